// Tells which plugin interface a module speaks, from the names and types of its imports and exports.

import { type ParsedModule, functionTypeName } from "./module-reader.ts";

/** Interfaces that WebAssembly plugins are loaded with. */
export type WasmAbi = "extism" | "querymt" | "bifrost" | "helios";

/** Interfaces that detection tells apart. `raw` and `wasi-command` load as `extism`, of which they import nothing. */
export type Interface = WasmAbi | "wasi-command" | "raw";

/** What {@link detectInterface} finds. */
export interface Detection {
  readonly name: Interface;
  /** What told it. */
  readonly because: string;
  /** Functions of the interface that a host calls by themselves: hooks, or parts of a provider. */
  readonly functions: readonly string[];
  /** Interfaces that it comes close to, with what it lacks for each. */
  readonly nearly: readonly { readonly name: WasmAbi; readonly missing: readonly string[] }[];
}

/** Functions of Bifrost plugins that its host calls for requests; three generations of names. */
export const BIFROST_HOOKS: readonly string[] = [
  "http_pre_hook",
  "http_post_hook",
  "http_stream_chunk_hook",
  "http_intercept",
  "http_transport_intercept",
  "pre_hook",
  "post_hook",
];

/** Hooks of HeliosProxy plugins. */
export const HELIOS_HOOKS: readonly string[] = [
  "pre_query",
  "post_query",
  "authenticate",
  "authorize",
  "route",
  "cache_get",
  "cache_set",
  "rewrite",
  "metrics",
  "on_connect",
  "on_disconnect",
  "custom_hook",
];

/** Functions that every QueryMT plugin exports, and those by which the third generation of its interface is known. */
export const QUERYMT_REQUIRED: readonly string[] = ["name", "init_logging", "config_schema", "from_config"];
export const QUERYMT_THIRD: readonly string[] = [
  "chat_request",
  "chat_stream_request",
  "parse_chat_response",
  "list_models_request",
  "parse_list_models_response",
];
const QUERYMT_SECOND: readonly string[] = ["chat", "chat_stream", "list_models", "embed", "complete", "transcribe", "speech"];

/** Names that a Bifrost plugin's allocator may have, in order of preference. */
export const BIFROST_ALLOCATORS: readonly string[] = ["plugin_malloc", "malloc"];

const ALLOCATE = "(i32) -> i32";
const BUFFER = "(i32, i32) -> i64";
const SINK = "(i32, i32) -> ()";

/** What a module lacks for being loaded with an interface; empty if nothing. */
export function missingFor(abi: WasmAbi, module: ParsedModule): string[] {
  const exported = exportedTypes(module);
  const memory = exported.get("memory") === "memory" ? [] : [`a memory exported as "memory"`];
  if (abi === "bifrost") {
    const allocator = BIFROST_ALLOCATORS.some((name) => exported.get(name) === ALLOCATE);
    return [...memory, ...(allocator ? [] : [`an allocator: "plugin_malloc" or "malloc" of type ${ALLOCATE}`])];
  }
  if (abi === "helios") {
    return [...memory, ...lacks(exported, "alloc", ALLOCATE), ...lacks(exported, "dealloc", SINK)];
  }
  if (abi === "querymt") return QUERYMT_REQUIRED.filter((name) => !isCallable(exported.get(name))).map((name) => `"${name}"`);
  return [];
}

function lacks(exported: ReadonlyMap<string, string>, name: string, type: string): string[] {
  return exported.get(name) === type ? [] : [`"${name}" of type ${type}`];
}

/** Tells which plugin interface a module speaks. */
export function detectInterface(module: ParsedModule): Detection {
  const exported = exportedTypes(module);
  const named = (names: readonly string[], fits: (type: string | undefined) => boolean): string[] => names.filter((name) => fits(exported.get(name)));
  const extism = module.imports.find((item) => item.module === "extism:host/env" || item.module === "extism:host/user");
  if (extism !== undefined) {
    const missing = missingFor("querymt", module);
    const third = named(QUERYMT_THIRD, isCallable);
    const functions = [...third, ...named(QUERYMT_SECOND, isCallable)];
    if (missing.length === 0)
      return { name: "querymt", because: `it imports "${extism.module}" and exports ${quote(QUERYMT_REQUIRED)}`, functions, nearly: [] };
    return {
      name: "extism",
      because: `it imports "${extism.module}" "${extism.name}"`,
      functions: [],
      nearly: functions.length > 1 && missing.length < QUERYMT_REQUIRED.length ? [{ name: "querymt", missing }] : [],
    };
  }
  const bifrost = named(BIFROST_HOOKS, isBuffers);
  const helios = named(HELIOS_HOOKS, (type) => type === BUFFER || type === SINK);
  const getsName = exported.get("get_name") === "() -> i64";
  const missing = { bifrost: missingFor("bifrost", module), helios: missingFor("helios", module) };
  if (missing.bifrost.length === 0 && getsName) {
    const allocator = BIFROST_ALLOCATORS.find((name) => exported.get(name) === ALLOCATE) ?? "";
    return { name: "bifrost", because: `it exports ${quote(["get_name", allocator])}`, functions: bifrost, nearly: [] };
  }
  if (missing.helios.length === 0 && (helios.length > 0 || [...exported.values()].includes(BUFFER))) {
    return { name: "helios", because: `it exports ${quote(["alloc", "dealloc", ...helios.slice(0, 1)])}`, functions: helios, nearly: [] };
  }
  const nearly: { name: WasmAbi; missing: string[] }[] = [];
  if (bifrost.length > 0 || getsName)
    nearly.push({ name: "bifrost", missing: [...missing.bifrost, ...(getsName ? [] : [`"get_name" of type () -> i64`])] });
  if (helios.length > 0) nearly.push({ name: "helios", missing: missing.helios });
  if (exported.get("_start")?.startsWith("(") === true) return { name: "wasi-command", because: `it exports "_start"`, functions: [], nearly };
  return { name: "raw", because: "it imports nothing of a known interface", functions: [], nearly };
}

/** Types of exported functions, and "memory" for memories, by name. */
function exportedTypes(module: ParsedModule): Map<string, string> {
  return new Map(
    module.exports.map(({ name, kind, index }) => [
      name,
      kind === "function" ? functionTypeName(module.types[module.functionTypes[index] as number]) : kind,
    ]),
  );
}

function isCallable(type: string | undefined): boolean {
  return type === "() -> i32" || type === "() -> ()";
}

/** A function over one, two or three buffers. */
function isBuffers(type: string | undefined): boolean {
  return type !== undefined && /^\(i32, i32(, i32, i32){0,2}\) -> i64$/.test(type);
}

function quote(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
