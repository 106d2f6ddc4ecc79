// Options that a function of Query gives with a call of a plugin, under a ceiling that the operator sets.

import { printable } from "../api/errors.ts";
import { type Limits, invalidOption, resolveLimits } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import type { ConfigValue, HttpSettings, PluginOptions } from "../host/options.ts";
import { parseJson } from "../manifest/json-reader.ts";
import { kindOf, positionAt } from "../manifest/place.ts";
import { overlapOfHosts } from "./query-hosts.ts";
import { grantPaths } from "./query-paths.ts";

/** Characters of the options as text. */
const MAX_CHARS = 1 << 20;
const PAGE_BYTES = 65_536;
/** Pages that a memory of 32 bits can have. */
const MAX_PAGES = 65_536;
/** What an object `memory` means for variables if it does not say. */
const DEFAULT_VAR_BYTES = 1 << 20;
/** What loadPlugin takes where the operator says nothing. */
const DEFAULT_RESPONSE_BYTES = 50 << 20;

const KEYS = ["memory", "allowed_hosts", "allowed_paths", "config", "timeout", "timeout_ms"] as const;
const MEMORY_KEYS = ["max_pages", "max_http_response_bytes", "max_var_bytes", "maximum", "requested"] as const;

type Table<Key extends string> = Readonly<Partial<Record<Key, unknown>>>;

/**
 * What loadPlugin takes for a call with the options of Query's `plugin(name, function, input, options)`. A key that is
 * absent or null means what Query documents: memory, hosts and time up to the ceiling; no folders, no configuration but the
 * operator's. `allowed_hosts: []` means no hosts. More than the ceiling is never given: numbers are lowered to it, hosts
 * are those that both sides name, and a folder that it does not hold is refused.
 *
 * @param given JSON text, an object, or nothing: null, undefined, or an empty text
 * @param ceiling what the operator allows; what it leaves out is the default of loadPlugin, and denied where that grants
 * @throws MortiseError MORTISE_INVALID_OPTION naming the key
 */
export function resolveQueryOptions(given: string | object | null | undefined, ceiling: PluginOptions): PluginOptions {
  const options = tableOf("options", readGiven(given), KEYS);
  const memory = options.memory ?? undefined;
  const limits = tableOf("options.memory", memory ?? {}, MEMORY_KEYS);
  const http = limitHttp(ceiling, wholeNumber("options.memory.max_http_response_bytes", limits.max_http_response_bytes, 0));
  const hosts = limitHosts(ceiling, options.allowed_hosts);
  return {
    ...ceiling,
    limits: limitLimits(ceiling, options, limits, memory !== undefined),
    config: limitConfig(ceiling, options.config),
    permissions: { ...ceiling.permissions, hosts, paths: grantPaths(options.allowed_paths, ceiling.permissions?.paths) },
    // A service of the operator's would serve a plugin whatever its hosts are.
    ...(http === undefined ? {} : { http: Array.isArray(options.allowed_hosts) ? withoutService(http) : http }),
  };
}

function readGiven(given: unknown): unknown {
  if (given === null || given === undefined || given === "") return {};
  if (typeof given !== "string") return given;
  if (given.length > MAX_CHARS) throw invalidOption("options", `text of ${given.length} characters`, `text of ${MAX_CHARS} at most`);
  const value = parseJson(given, (reason, offset) => {
    const { line, column } = positionAt(given, offset);
    throw invalidOption("options", `text that is no JSON (line ${line}, column ${column}: ${reason})`, "a JSON object");
  });
  return value ?? {};
}

/** Checks that there are known keys only. */
function tableOf<const Key extends string>(option: string, value: unknown, keys: readonly Key[]): Table<Key> {
  if (typeof value !== "object" || value === null || Array.isArray(value) || value instanceof Map)
    throw invalidOption(option, kindOf(value), "an object");
  for (const key of Object.keys(value)) {
    if (keys.includes(key as Key)) continue;
    throw invalidOption(`${option}.${printable(key, 80)}`, "unknown", `one of ${keys.join(", ")}${didYouMean(key, keys)}`);
  }
  return value as Table<Key>;
}

function wholeNumber(option: string, value: unknown, least: number, most: number = Number.MAX_SAFE_INTEGER): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least && value <= most) return value;
  throw invalidOption(option, kindOf(value), `a whole number from ${least} ${most === Number.MAX_SAFE_INTEGER ? "up" : `to ${most}`}`);
}

/** One of two names for the same thing. */
function either(first: string, a: number | undefined, second: string, b: number | undefined): number | undefined {
  if (a !== undefined && b !== undefined) throw invalidOption(second, "given beside its other name", `left out where ${first} is given`);
  return a ?? b;
}

function limitLimits(
  { limits = {} }: PluginOptions,
  { timeout, timeout_ms }: Table<(typeof KEYS)[number]>,
  { max_pages, maximum, requested, max_var_bytes }: Table<(typeof MEMORY_KEYS)[number]>,
  hasMemory: boolean,
): Limits {
  const most = resolveLimits(limits);
  const pages = either(
    "options.memory.max_pages",
    wholeNumber("options.memory.max_pages", max_pages, 0, MAX_PAGES),
    "options.memory.maximum",
    wholeNumber("options.memory.maximum", maximum, 0, MAX_PAGES),
  );
  const timeoutMs = either(
    "options.timeout",
    wholeNumber("options.timeout", timeout, 1),
    "options.timeout_ms",
    wholeNumber("options.timeout_ms", timeout_ms, 1),
  );
  const varBytes = wholeNumber("options.memory.max_var_bytes", max_var_bytes, 0) ?? (hasMemory ? DEFAULT_VAR_BYTES : undefined);
  const lowered = {
    ...limits,
    ...(pages === undefined ? {} : { memoryBytes: Math.min(most.memoryBytes, pages * PAGE_BYTES) }),
    ...(varBytes === undefined ? {} : { varBytes: Math.min(most.varBytes, varBytes) }),
    // Only calls get less time: what an instance needs to start is not up to the function that calls it.
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.min(most.timeoutMs, timeoutMs), initTimeoutMs: most.initTimeoutMs }),
  };
  checkRequested(wholeNumber("options.memory.requested", requested, 0, MAX_PAGES), lowered.memoryBytes ?? most.memoryBytes);
  return lowered;
}

/** Memory grows as the plugin needs it, so that nothing is taken in advance; but what cannot come is said. */
function checkRequested(pages: number | undefined, memoryBytes: number): void {
  const most = Math.floor(memoryBytes / PAGE_BYTES);
  if (pages !== undefined && pages > most) throw invalidOption("options.memory.requested", String(pages), `${most} pages at most`);
}

function limitHosts({ permissions, http }: PluginOptions, given: unknown): readonly string[] {
  const most = permissions?.hosts ?? [];
  if (given === undefined || given === null) return most;
  if (!Array.isArray(given)) throw invalidOption("options.allowed_hosts", kindOf(given), "a list of hosts");
  if (given.length > 0 && http?.service !== undefined)
    throw invalidOption("options.allowed_hosts", "a list of hosts", "null or empty: the operator's own HTTP service decides where requests go");
  return overlapOfHosts(given, "options.allowed_hosts", most, "permissions.hosts");
}

function limitHttp({ http }: PluginOptions, maxResponseBytes: number | undefined): HttpSettings | undefined {
  if (maxResponseBytes === undefined) return http;
  if (http?.service !== undefined)
    throw invalidOption(
      "options.memory.max_http_response_bytes",
      String(maxResponseBytes),
      "left out: the operator's own HTTP service has its limits",
    );
  return { ...http, maxResponseBytes: Math.min(http?.maxResponseBytes ?? DEFAULT_RESPONSE_BYTES, maxResponseBytes) };
}

function withoutService({ service: _service, ...http }: HttpSettings): HttpSettings {
  return http;
}

function limitConfig({ config: own = {} }: PluginOptions, given: unknown): NonNullable<PluginOptions["config"]> {
  const config: Record<string, ConfigValue> = Object.assign(Object.create(null), own);
  if (given === undefined || given === null) return config;
  if (typeof given !== "object" || Array.isArray(given) || given instanceof Map) throw invalidOption("options.config", kindOf(given), "an object");
  for (const [key, value] of Object.entries(given)) {
    const option = `options.config.${printable(key, 80)}`;
    if (key === "__proto__" || !key.isWellFormed()) throw invalidOption(option, "a name that is no name", "another name");
    if (Object.hasOwn(own, key)) throw invalidOption(option, "given", "left out: the operator sets it");
    config[key] = textOf(option, value);
  }
  return config;
}

/** Text as it is; anything else as JSON, since plugins read text. */
function textOf(option: string, value: unknown): string {
  const text = typeof value === "string" ? value : value === null ? undefined : JSON.stringify(value);
  if (typeof text !== "string" || !text.isWellFormed()) throw invalidOption(option, kindOf(value), "text, or what JSON can express");
  return text;
}
