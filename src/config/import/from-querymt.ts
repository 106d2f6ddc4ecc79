// Reads providers.toml, .json and .yaml of QueryMT.

import type { Origin } from "../../manifest/place.ts";
import type { Draft, DraftPlugin, ImportedTable } from "./draft.ts";
import { Notes, whereFrom } from "./draft.ts";
import { requireText, tableAt, tablesAt } from "./fields.ts";
import { type TakenNames, carrySource, freeName, isLibrary } from "./plugin-entry.ts";
import { carryValues, hostFault, variableName } from "./plugin-values.ts";

/** Providers that come with Mortise, too. */
const BUILTINS: ReadonlySet<string> = new Set(["openai", "anthropic", "google"]);

/** Variables that shipped providers read their key from, where it is not called after the provider. */
const KEY_VARIABLES: ReadonlyMap<string, string> = new Map([["google", "GEMINI_API_KEY"]]);

/** Hosts that shipped providers ask without a base_url. */
const HOSTS: ReadonlyMap<string, string> = new Map([
  ["alibaba", "dashscope-intl.aliyuncs.com"],
  ["anthropic", "api.anthropic.com"],
  ["codex", "chatgpt.com"],
  ["deepseek", "api.deepseek.com"],
  ["google", "generativelanguage.googleapis.com"],
  ["groq", "api.groq.com"],
  ["kimi-code", "api.kimi.com"],
  ["mistral", "api.mistral.ai"],
  ["moonshot", "api.moonshot.ai"],
  ["ollama", "localhost:11434"],
  ["openai", "api.openai.com"],
  ["openrouter", "openrouter.ai"],
  ["xai", "api.x.ai"],
  ["zai", "api.z.ai"],
]);

/** What each key of `[oci]` did, and what there is here. */
const OCI_KEYS: Readonly<Record<string, readonly [why: string, todo: string]>> = {
  insecure_skip_signature: ["signatures of images are not looked at here", "pin each plugin with digest"],
  use_sigstore_tuf_data: ["there is no trust in certificates here", "pin each plugin with digest"],
  rekor_pub_keys: ["there is no transparency log here", "pin each plugin with digest"],
  fulcio_certs: ["there is no trust in certificates here", "pin each plugin with digest"],
  cert_issuer: ["there is no trust in certificates here", "pin each plugin with digest"],
  cert_email: ["there is no trust in certificates here", "pin each plugin with digest"],
  cert_url: ["there is no trust in certificates here", "pin each plugin with digest"],
  github_workflow_repository: ["there is no trust in certificates here", "pin each plugin with digest"],
};
const IGNORED_THERE = "it is read by nobody there, and would be refused here";

/**
 * Reads a configuration of QueryMT.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID for what QueryMT itself would not read
 */
export function fromQueryMt(root: ImportedTable, origin: Origin): Draft {
  const notes = new Notes(origin);
  notes.addUnknown(root, ["providers", "oci"], [], IGNORED_THERE);
  const oci = root["oci"] === undefined || root["oci"] === null ? {} : tableAt(origin, root["oci"], ["oci"]);
  for (const key of Object.keys(oci)) {
    const [why, todo] = OCI_KEYS[key] ?? [IGNORED_THERE, "look whether it is misspelt; otherwise nothing"];
    notes.add(["oci", key], `the setting ${key}`, why, todo);
  }
  const taken: TakenNames = new Set();
  const providers = tablesAt(origin, root["providers"], ["providers"]).map((provider, index) => readProvider(provider, index, origin, notes, taken));
  return { system: "QueryMT", tables: {}, providers, plugins: [], notes: notes.list };
}

function readProvider(provider: ImportedTable, index: number, origin: Origin, notes: Notes, taken: TakenNames): DraftPlugin {
  const place = ["providers", index] as const;
  const wanted = requireText(origin, provider, "name", place);
  const path = requireText(origin, provider, "path", place);
  notes.addUnknown(provider, ["name", "path", "config"], place, IGNORED_THERE);
  const from = whereFrom(origin, place);
  if (isLibrary(path)) {
    notes.add(
      [...place, "path"],
      "a native library",
      "it hands out objects of Rust, which nothing but the same build of QueryMT can use",
      "use the provider's WebAssembly build",
    );
    return { comments: [`${from}: "${wanted}" is a native library, which was left out`], table: undefined };
  }
  const name = freeName(notes, wanted, [...place, "name"], taken);
  const source = carrySource(notes, path, [...place, "path"], "the working directory");
  if (path.startsWith("oci://") && BUILTINS.has(wanted))
    notes.add(
      [...place, "path"],
      `the provider "${wanted}"`,
      "one for the same servers comes with Mortise",
      `write source = "builtin:${wanted}" instead`,
    );
  const given = provider["config"] === undefined || provider["config"] === null ? {} : tableAt(origin, provider["config"], [...place, "config"]);
  const { allowed_hosts: allowedHosts, timeout_seconds: timeoutSeconds, ...rest } = given;
  const at = [...place, "config"] as const;
  const hosts = [...readAllowedHosts(allowedHosts, at, notes), ...baseHost(rest["base_url"], at, notes)];
  const config = carryValues(notes, rest, at, name);
  const comments = [from];
  if (config["api_key"] === undefined) comments.push(keyHint(wanted, at, notes));
  if (hosts.length === 0) comments.push(hostHint(wanted, at, notes));
  const timeoutMs = readTimeout(timeoutSeconds, at, notes);
  return {
    comments,
    table: {
      name,
      source,
      ...(timeoutMs === undefined ? {} : { request_timeout_ms: timeoutMs }),
      ...(hosts.length === 0 ? {} : { permissions: { hosts: [...new Set(hosts)] } }),
      ...(Object.keys(config).length === 0 ? {} : { config }),
    },
  };
}

/** Undefined where the default holds. */
function readTimeout(seconds: unknown, at: readonly (string | number)[], notes: Notes): number | undefined {
  const place = [...at, "timeout_seconds"];
  if (seconds === undefined || seconds === null) {
    notes.add(
      at,
      "the time of a request",
      "there was no limit; here a request may take 120,000 ms, and a stream 600,000",
      "write request_timeout_ms and stream_timeout_ms, if that is not right",
    );
    return undefined;
  }
  if (typeof seconds === "number" && seconds > 0 && seconds <= 86_400) {
    notes.add(
      place,
      "timeout_seconds",
      "nothing read it there; here the request ends at that time",
      "correct request_timeout_ms, if that is too short",
    );
    return Math.round(seconds * 1000);
  }
  notes.add(place, "timeout_seconds", "it is no number of seconds", "write request_timeout_ms");
  return undefined;
}

function readAllowedHosts(value: unknown, at: readonly (string | number)[], notes: Notes): string[] {
  if (value === undefined || value === null) return [];
  const place = [...at, "allowed_hosts"];
  if (!Array.isArray(value)) {
    notes.add(
      place,
      "allowed_hosts",
      "it is no list, with which the provider did not load there either",
      "write hosts under [gateway.providers.permissions]",
    );
    return [];
  }
  if (value.length === 0)
    notes.add(
      place,
      "an empty allowed_hosts",
      "it allowed every host there; here it allows none",
      "name the hosts under [gateway.providers.permissions]",
    );
  return (value as unknown[]).flatMap((host, index) => {
    const fault = typeof host === "string" ? hostFault(host) : "it is no text";
    if (fault === undefined) return [host as string];
    notes.add([...place, index], "a host", `${fault}; only whole names were matched there`, "write it in the grammar of docs/http.md");
    return [];
  });
}

/** The host that a provider is told to ask. */
function baseHost(value: unknown, at: readonly (string | number)[], notes: Notes): string[] {
  if (typeof value !== "string") return [];
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol)) return [];
  const host = `${url.hostname}${url.port === "" ? "" : `:${url.port}`}`;
  if (hostFault(host) !== undefined) return [];
  notes.add(
    [...at, "base_url"],
    "the host of base_url, which was granted",
    "its requests were not held to any list there",
    `write "private:${host}" under [gateway.providers.permissions], if the name leads into a network of your own`,
  );
  return [host];
}

function keyHint(provider: string, at: readonly (string | number)[], notes: Notes): string {
  const variable = KEY_VARIABLES.get(provider) ?? variableName([provider, "api_key"]);
  notes.add(
    at,
    "an API key that is not written",
    "every provider could read every variable there; here it gets what its table names",
    `add api_key = { env = "${variable}" } under [gateway.providers.config], if the provider needs a key`,
  );
  return `if it needs a key: api_key = { env = "${variable}" } under [gateway.providers.config]`;
}

function hostHint(provider: string, at: readonly (string | number)[], notes: Notes): string {
  const host = HOSTS.get(provider) ?? "HOST";
  notes.add(
    at,
    "hosts that are not written",
    "requests went anywhere there; here they go to hosts that are granted",
    `add hosts = ["${host}"] under [gateway.providers.permissions]`,
  );
  return `needs, to ask its own server: hosts = ["${host}"] under [gateway.providers.permissions]`;
}
