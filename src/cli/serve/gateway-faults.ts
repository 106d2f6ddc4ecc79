// What the gateway says against options that came out of a configuration, at the place in its file.

import type { Config } from "../../config/config.ts";
import { configError, problemAt } from "../../config/problems.ts";
import { Router } from "../../gateway/policies/router.ts";
import { isMortiseError } from "../../index.ts";
import type { Place } from "../../manifest/place.ts";

/** Options of the gateway by their names in a configuration, where these differ. */
const NAMES: Readonly<Record<string, string>> = {
  defaultProvider: "default_provider",
  rateLimits: "rates",
  clientConcurrency: "client_concurrency",
  onlyListed: "only_listed",
  listModels: "list_models",
  keyRest: "key_rest",
  value: "key",
};

/** Checks what only shows where providers, models and aliases are together. @throws MortiseError MORTISE_CONFIG_INVALID */
export function checkRoutes(config: Config): void {
  const { gateway } = config;
  if (gateway === undefined) return;
  const providers = Object.fromEntries(gateway.providers.map(({ name, models, onlyListed }) => [name, { models, onlyListed }]));
  const [only, ...others] = gateway.providers;
  const defaultProvider = gateway.defaultProvider ?? (others.length === 0 ? only?.name : undefined);
  try {
    void new Router({ providers, aliases: gateway.aliases, defaultProvider });
  } catch (error) {
    throw placed(error, config);
  }
}

/** The error at its place, if it is about an option of a gateway that was made of this configuration; any other is what it was. */
export function placed(error: unknown, { gateway }: Config): unknown {
  if (gateway === undefined || !isMortiseError(error) || error.code !== "MORTISE_INVALID_OPTION") return error;
  const { option, found, wanted } = error.details as { readonly option: string; readonly found: string; readonly wanted: string };
  const place = placeOf(
    option,
    gateway.providers.map(({ name }) => name),
    Object.keys(gateway.aliases),
  );
  return place === undefined ? error : configError([problemAt(gateway.origin, { place, reason: `is ${found} but must be ${wanted}` })]);
}

/** `providers.openai.models[0]` as a place; names of providers and aliases may have dots. */
function placeOf(option: string, providers: readonly string[], aliases: readonly string[]): Place | undefined {
  const [, kind = "", rest = ""] = /^(\w+)\.?(.*)$/s.exec(option) ?? [];
  const place: (string | number)[] = ["gateway", NAMES[kind] ?? kind];
  if (kind === "providers") {
    const name = longest(providers, rest);
    if (name === undefined) return undefined;
    return [...place, providers.indexOf(name), ...parts(rest.slice(name.length))];
  }
  if (kind === "aliases") {
    const name = longest(aliases, rest);
    return name === undefined ? place : [...place, name, ...parts(rest.slice(name.length))];
  }
  return ["defaultProvider", "attempts", "clients", "rateLimits", "clientConcurrency", "limits"].includes(kind)
    ? [...place, ...parts(rest)]
    : undefined;
}

function longest(names: readonly string[], text: string): string | undefined {
  return names.filter((name) => text.startsWith(name)).toSorted((a, b) => b.length - a.length)[0];
}

/** `.models[0]` as `["models", 0]`. */
function parts(text: string): (string | number)[] {
  return Array.from(text.matchAll(/\.?([\w-]+)|\[(\d+)\]/g), ([, name, index]) => (name === undefined ? Number(index) : (NAMES[name] ?? name)));
}
