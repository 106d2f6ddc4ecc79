// What an operator may have overlooked, and what shows only when providers and plugins are loaded: with its place in the configuration.

import { didYouMean } from "../../api/near-names.ts";
import { builtinNameOf } from "../../config/builtins.ts";
import type { Config, PluginConfig } from "../../config/config.ts";
import type { ProviderConfig } from "../../config/gateway-config.ts";
import { type ConfigProblem, configError, problemAt } from "../../config/problems.ts";
import type { GatewayHost } from "../../gateway/index.ts";
import { type Provider, isMortiseError } from "../../index.ts";

type Report = Pick<Provider["report"], "configSchema" | "droppedKeys" | "hosts">;

/** Settings that a provider does not know, hosts that it may not reach, and a key that is missing; `reports` are by name. */
export function providerNotes({ gateway }: Config, reports: ReadonlyMap<string, Report>): ConfigProblem[] {
  return (gateway?.providers ?? []).flatMap((provider) => {
    const report = reports.get(provider.name);
    return report === undefined ? [] : notesOf(provider, report);
  });
}

function notesOf({ origin, place, config, keys }: ProviderConfig, { droppedKeys, configSchema, hosts }: Report): ConfigProblem[] {
  const { properties } = configSchema;
  const known = typeof properties === "object" && properties !== null ? Object.keys(properties) : [];
  const notes = droppedKeys.map((key) => {
    const reason = `is no setting of this provider, and is left out${didYouMean(key, known)}`;
    return problemAt(origin, { place: [...place, "config", ...key.split(".")], reason });
  });
  if (hosts.notGranted.length > 0) {
    const reason = `does not have ${hosts.notGranted.join(", ")}: requests to it will be denied`;
    notes.push(problemAt(origin, { place: [...place, "permissions", "hosts"], reason }));
  }
  // A server of one's own may do without.
  const wantsKey = known.includes("api_key") && config["base_url"] === undefined && hosts.granted.length > 0;
  if (wantsKey && keys === undefined && config["api_key"] === undefined)
    notes.push(problemAt(origin, { place, reason: 'has no key; config = { api_key = { env = "NAME" } } gives it one' }));
  return notes;
}

/** Plugins that are in no hook, and that no other plugin may call. */
export function pluginNotes({ plugins }: Config, { plugins: loaded }: GatewayHost): ConfigProblem[] {
  const called = new Set(plugins.flatMap(({ permissions: { call = [] } }) => call.map((entry) => entry.split(":")[0])));
  const idle = new Set(loaded.list().flatMap(({ name, hooks }) => (hooks.length === 0 && !called.has(name) ? [name] : [])));
  const reason = "takes part in nothing: it has none of the functions that the gateway calls";
  return plugins.flatMap(({ name, origin, place }) => (idle.has(name) ? [problemAt(origin, { place, reason })] : []));
}

/** The error of a plugin that cannot be loaded, at its place if the configuration is what is wrong. */
export function pluginFault(error: unknown, { source, origin, place, config }: PluginConfig): unknown {
  if (!isMortiseError(error)) return error;
  const { code, details } = error;
  if (code === "MORTISE_RETURN_CODE" && details["function"] === "init") {
    const known = builtinNameOf(source) === undefined ? "" : "; docs/gateway-plugins.md says what it takes";
    const at = Object.keys(config).length === 0 ? place : [...place, "config"];
    return configError([problemAt(origin, { place: at, reason: `is refused by the plugin, which does not say why${known}` })]);
  }
  if (code === "MORTISE_MISSING_IMPORT" && String(details["name"]).startsWith("qmt_"))
    return configError([
      problemAt(origin, { place: [...place, "source"], reason: "is a provider of models, which belongs to [[gateway.providers]]" }),
    ]);
  return error;
}

/** The same for a provider. */
export function providerFault(error: unknown, { gateway }: Config): unknown {
  if (!isMortiseError(error)) return error;
  const { code, details, message } = error;
  const said = typeof details["reason"] === "string" ? details["reason"] : message;
  const provider = gateway?.providers.find(({ name }) => name === details["plugin"]);
  if (provider === undefined) return error;
  const { origin, place } = provider;
  if (code === "MORTISE_PROVIDER_REFUSED")
    return configError([problemAt(origin, { place: [...place, "source"], reason: `is no provider: ${said}` })]);
  if (code !== "MORTISE_PROVIDER_ERROR" || details["function"] !== "from_config") return error;
  const at = Object.keys(provider.config).length === 0 ? place : [...place, "config"];
  return configError([problemAt(origin, { place: at, reason: `is refused by the provider: ${said}` })]);
}
