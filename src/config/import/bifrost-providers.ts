// Reads the table `providers` of Bifrost's config.json.

import type { Origin } from "../../manifest/place.ts";
import type { DraftPlugin, ImportedTable, Notes } from "./draft.ts";
import { whereFrom } from "./draft.ts";
import { isTable, tableAt } from "./fields.ts";
import { type TakenNames, freeName } from "./plugin-entry.ts";
import { carryValues } from "./plugin-values.ts";

/** Which provider speaks for which of theirs; those without a server of their own need one to be named. */
const SOURCES: Readonly<Record<string, readonly [source: string, baseUrl?: string]>> = {
  openai: ["builtin:openai"],
  anthropic: ["builtin:anthropic"],
  gemini: ["builtin:google"],
  mistral: ["builtin:openai", "https://api.mistral.ai/v1"],
  groq: ["builtin:openai", "https://api.groq.com/openai/v1"],
  ollama: ["builtin:openai", "http://localhost:11434/v1"],
  openrouter: ["builtin:openai", "https://openrouter.ai/api/v1"],
  cerebras: ["builtin:openai", "https://api.cerebras.ai/v1"],
  xai: ["builtin:openai", "https://api.x.ai/v1"],
  nebius: ["builtin:openai", "https://api.studio.nebius.com/v1"],
  parasail: ["builtin:openai", "https://api.parasail.io/v1"],
};
const KEYS: ReadonlySet<string> = new Set(["keys", "network_config", "concurrency_and_buffer_size", "custom_provider_config"]);
const NETWORK_KEYS = ["base_url", "default_request_timeout_in_seconds"];
const RETRY_KEYS = ["max_retries", "retry_backoff_initial", "retry_backoff_max"];
const NOT_HERE = "there is nothing like it here";

/** Providers, with notes on what could not be carried. @throws MortiseError MORTISE_CONFIG_INVALID for what is no table of tables */
export function bifrostProviders(value: unknown, origin: Origin, notes: Notes): DraftPlugin[] {
  if (value === undefined || value === null) return [];
  const taken: TakenNames = new Set();
  return Object.entries(tableAt(origin, value, ["providers"])).map(([name, given]) => readProvider(name, given, origin, notes, taken));
}

function readProvider(wanted: string, value: unknown, origin: Origin, notes: Notes, taken: TakenNames): DraftPlugin {
  const place = ["providers", wanted];
  const table = tableAt(origin, value, place);
  const from = whereFrom(origin, place);
  const custom = isTable(table["custom_provider_config"]) ? table["custom_provider_config"]["base_provider_type"] : undefined;
  const kind = typeof custom === "string" ? custom : wanted;
  const [source, baseUrl] = (Object.hasOwn(SOURCES, kind) ? SOURCES[kind] : undefined) ?? [];
  if (source === undefined) {
    notes.add(place, `the provider "${wanted}"`, "none that comes with Mortise speaks its interface", "write a provider, or use one of QueryMT's");
    return { comments: [`${from}: no provider speaks for "${wanted}", which was left out`], table: undefined };
  }
  for (const key of Object.keys(table)) if (!KEYS.has(key)) notes.add([...place, key], `the setting ${key}`, NOT_HERE, "look whether you need it");
  const name = freeName(notes, wanted, place, taken);
  const network = isTable(table["network_config"]) ? table["network_config"] : {};
  const url = readUrl(network["base_url"], custom === undefined ? baseUrl : undefined, source, [...place, "network_config", "base_url"], notes);
  const seconds = network["default_request_timeout_in_seconds"];
  const keys = readKeys(table["keys"], [...place, "keys"], name, notes);
  const concurrency = readConcurrency(table["concurrency_and_buffer_size"]);
  noteNetwork(network, [...place, "network_config"], notes);
  return {
    comments: [from],
    table: {
      name,
      source,
      ...(keys.length === 0 ? {} : { keys }),
      ...(typeof seconds === "number" && seconds > 0 && seconds <= 86_400 ? { request_timeout_ms: Math.round(seconds * 1000) } : {}),
      ...(concurrency === undefined ? {} : { concurrency }),
      ...(url === undefined ? {} : { config: { base_url: url } }),
    },
  };
}

/** Theirs ends before the version, which is part of it here. */
function readUrl(value: unknown, standard: string | undefined, source: string, place: readonly string[], notes: Notes): string | undefined {
  if (typeof value !== "string" || value === "") return standard;
  const url = URL.parse(value);
  if (url === null || !/^https?:$/.test(url.protocol) || url.username !== "" || url.password !== "") {
    notes.add(place, "base_url", "it is no plain URL of http: or https:", "write base_url under [gateway.providers.config]");
    return standard;
  }
  const plain = value.replace(/\/+$/, "");
  if (source !== "builtin:openai" || /\/v\d+$/.test(plain)) return plain;
  notes.add(place, "base_url", "it has no version there; here it has all that requests have in common", `look whether ${plain}/v1 is right`);
  return `${plain}/v1`;
}

function readKeys(value: unknown, place: readonly string[], provider: string, notes: Notes): Record<string, unknown>[] {
  if (!Array.isArray(value)) return [];
  return (value as unknown[]).flatMap((given, index) => {
    if (!isTable(given)) return [];
    const { name, value: key, weight, models } = given;
    const at = [...place, index];
    // A key that is empty is what providers without keys have.
    if (key === undefined || key === null || key === "") return [];
    const suffix = index === 0 ? "" : `_${index + 1}`;
    const { [`api_key${suffix}`]: carried } = carryValues(notes, { [`api_key${suffix}`]: key }, at, provider);
    if (carried === undefined) return [];
    for (const other of Object.keys(given))
      if (!["id", "name", "value", "weight", "models"].includes(other))
        notes.add([...at, other], `the setting ${other}`, NOT_HERE, "look whether you need it");
    const listed = Array.isArray(models) ? (models as unknown[]).filter((model) => typeof model === "string" && model !== "") : [];
    return [
      {
        ...(typeof name === "string" && name !== "" ? { name } : {}),
        key: carried,
        ...(typeof weight === "number" && weight >= 0 && weight <= 1_000_000 && weight !== 1 ? { weight } : {}),
        ...(listed.length === 0 || listed.includes("*") ? {} : { models: listed }),
      },
    ];
  });
}

function readConcurrency(value: unknown): Record<string, number> | undefined {
  if (!isTable(value)) return undefined;
  const { concurrency, buffer_size: buffer } = value;
  const isCount = (count: unknown): count is number => Number.isSafeInteger(count) && (count as number) > 0 && (count as number) <= 1_000_000;
  return isCount(concurrency) ? { limit: concurrency, ...(isCount(buffer) ? { queue: buffer } : {}) } : undefined;
}

function noteNetwork(network: ImportedTable, place: readonly string[], notes: Notes): void {
  if (RETRY_KEYS.some((key) => network[key] !== undefined))
    notes.add(place, "retries", "they hold for all providers together here", "write retries and backoff_ms under [gateway.attempts]");
  for (const key of Object.keys(network))
    if (![...NETWORK_KEYS, ...RETRY_KEYS].includes(key)) notes.add([...place, key], `the setting ${key}`, NOT_HERE, "look whether you need it");
}
