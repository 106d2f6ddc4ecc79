// Reads, rewrites and compiles an Extism plugin, and checks what it imports.

import { MortiseError, isMortiseError, printable } from "../../api/errors.ts";
import type { ResolvedLimits } from "../../api/limits.ts";
import { didYouMean } from "../../api/near-names.ts";
import { WASI_FUNCTIONS, WASI_MODULE, wasiType } from "../../wasi/functions.ts";
import { type RewrittenModule, instrumentModule } from "../../wasm/instrument.ts";
import { type ImportEntry, type ParsedModule, type TypeDefinition, functionTypeName, readModule } from "../../wasm/module-reader.ts";
import type { CompiledGuest, GuestEntry, HostFunctions } from "../guest.ts";
import { ENV, ENV_TYPES, environmentType, extismKernel, isCallable } from "./kernel.ts";

const PAGE = 65_536;

/**
 * Compiles a plugin for the Extism interface.
 *
 * @throws MortiseError what `instrument` throws, and MORTISE_WASM_INVALID, MORTISE_MISSING_IMPORT, MORTISE_IMPORT_TYPE,
 *   MORTISE_INITIAL_MEMORY or MORTISE_INITIAL_TABLE
 */
export async function compileExtism(bytes: Uint8Array, plugin: string, limits: ResolvedLimits, hostFunctions: HostFunctions): Promise<CompiledGuest> {
  try {
    return await compile(bytes, plugin, limits, hostFunctions);
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    // Reading and rewriting know the module alone.
    throw new MortiseError(error.code, { ...error.details, plugin }, error.cause);
  }
}

async function compile(bytes: Uint8Array, plugin: string, limits: ResolvedLimits, hostFunctions: HostFunctions): Promise<CompiledGuest> {
  const source = `plugin "${plugin}"`;
  const module = readModule(bytes, source);
  checkImports(module, plugin, hostFunctions);
  const initialPages = sum(module.memories) + 1;
  const initialEntries = sum(module.tables);
  if (initialPages * PAGE > limits.memoryBytes) {
    throw new MortiseError("MORTISE_INITIAL_MEMORY", { plugin, found: initialPages * PAGE, limit: limits.memoryBytes });
  }
  if (initialEntries > limits.tableEntries)
    throw new MortiseError("MORTISE_INITIAL_TABLE", { plugin, found: initialEntries, limit: limits.tableEntries });
  const { bytes: rewritten, ...instrumented } = instrumentModule(module, {
    environment: extismKernel,
    keepCustomSections: false,
    functionBytes: limits.functionBytes,
    functionComplexity: limits.functionComplexity,
    memories: limits.memories,
    tables: limits.tables,
  });
  try {
    return { instrumented, module: await WebAssembly.compile(rewritten), initialPages, initialEntries };
  } catch (error) {
    throw new MortiseError("MORTISE_WASM_INVALID", { source, reason: engineReason(error) }, error);
  }
}

function sum(items: readonly { readonly minimum: number }[]): number {
  return items.reduce((total, { minimum }) => total + minimum, 0);
}

/** The engine's text without its prefix and without the offset, which is one in the rewritten module. */
function engineReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replace(/^WebAssembly\.\w+\(\): /, "").replace(/ @\+\d+$/, ""));
}

/** Exports that can be called, by name. */
export function callableExports(guest: RewrittenModule): Map<string, GuestEntry> {
  const { module } = guest;
  const entries = new Map<string, GuestEntry>();
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function" || index < module.importedFunctions || !isCallable(module, index)) continue;
    entries.set(name, { name, hidden: guest.hiddenName(`enter:call:${index}`), once: name === "_start" });
  }
  return entries;
}

function checkImports(module: ParsedModule, plugin: string, hostFunctions: HostFunctions): void {
  const types = new Map<string, string>();
  for (const item of module.imports) {
    const missing = (hint: string): MortiseError =>
      new MortiseError("MORTISE_MISSING_IMPORT", { plugin, kind: item.kind, module: item.module, name: item.name, hint });
    if (item.kind !== "function") throw missing("; only functions can be imported");
    const type = module.types[module.functionTypes[item.index] as number];
    const found = functionTypeName(type);
    const wrongType = (wanted: string): MortiseError =>
      new MortiseError("MORTISE_IMPORT_TYPE", { plugin, module: item.module, name: item.name, found, wanted });
    const key = JSON.stringify([item.module, item.name]);
    const before = types.get(key);
    if (before !== undefined && before !== found) throw wrongType(`${before}, as it is imported elsewhere in the module`);
    types.set(key, found);
    if (item.module === ENV) {
      const wanted = environmentType(item.name);
      if (wanted === undefined) throw missing(didYouMean(item.name, Object.keys(ENV_TYPES)) || "; it may need a newer version of Mortise");
      if (functionTypeName(wanted) !== found) throw wrongType(functionTypeName(wanted));
    } else if (item.module === WASI_MODULE) {
      const wanted = wasiType(item.name);
      if (wanted === undefined) throw missing(didYouMean(item.name, Object.keys(WASI_FUNCTIONS)));
      const shown = `(${wanted.params.join(", ")}) -> ${wanted.results[0] ?? "()"}`;
      if (shown !== found) throw wrongType(shown);
    } else checkHostFunction(item, type, hostFunctions, missing, wrongType);
  }
}

function checkHostFunction(
  item: ImportEntry,
  type: TypeDefinition | undefined,
  hostFunctions: HostFunctions,
  missing: (hint: string) => MortiseError,
  wrongType: (wanted: string) => MortiseError,
): void {
  const space = Object.hasOwn(hostFunctions, item.module) ? hostFunctions[item.module] : undefined;
  if (space === undefined || !Object.hasOwn(space, item.name)) {
    throw missing(
      `; give it as hostFunctions["${printable(item.module)}"]["${printable(item.name)}"]${didYouMean(item.name, Object.keys(space ?? {}))}`,
    );
  }
  const numbers = type?.kind === "function" && type.results.length <= 1 && [...type.params, ...type.results].every(({ code }) => code >= 0x7c);
  if (!numbers) throw wrongType("a function over i32, i64, f32 and f64 with at most one result");
}
