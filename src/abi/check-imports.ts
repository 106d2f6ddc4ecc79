// Checks that what a module imports is there, and has the type it is imported with.

import { MortiseError, printable } from "../api/errors.ts";
import { didYouMean } from "../api/near-names.ts";
import { WASI_FUNCTIONS, WASI_MODULE, wasiType } from "../wasi/functions.ts";
import { type ImportEntry, type ParsedModule, type TypeDefinition, functionTypeName } from "../wasm/module-reader.ts";
import type { HostFunctions, ProvidedFunctions } from "./guest.ts";

/** What there is to import. */
export interface Provisions {
  readonly plugin: string;
  readonly hostFunctions: HostFunctions;
  readonly provided: ProvidedFunctions;
  /** Names of modules whose exports are imported; those imports are checked where they are linked. */
  readonly linked: ReadonlySet<string>;
  /** Functions of the interface itself: its import module, and their types by name. */
  readonly environment?: { readonly module: string; readonly names: readonly string[]; type(name: string): TypeDefinition | undefined };
}

/**
 * Checks that everything a module imports is provided, with the type it is imported with.
 *
 * @throws MortiseError MORTISE_MISSING_IMPORT or MORTISE_IMPORT_TYPE
 */
export function checkImports(module: ParsedModule, { plugin, hostFunctions, provided, linked, environment }: Provisions): void {
  const types = new Map<string, string>();
  for (const item of module.imports) {
    if (linked.has(item.module)) continue;
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
    if (item.module === environment?.module) {
      const wanted = environment.type(item.name);
      if (wanted === undefined) throw missing(didYouMean(item.name, environment.names) || "; it may need a newer version of Mortise");
      if (functionTypeName(wanted) !== found) throw wrongType(functionTypeName(wanted));
    } else if (item.module === WASI_MODULE) {
      const wanted = wasiType(item.name);
      if (wanted === undefined) throw missing(didYouMean(item.name, Object.keys(WASI_FUNCTIONS)));
      if (shownType(wanted) !== found) throw wrongType(shownType(wanted));
    } else if (!Object.hasOwn(hostFunctions[item.module] ?? {}, item.name) && Object.hasOwn(provided, item.module)) {
      const space = provided[item.module] ?? {};
      const wanted = Object.hasOwn(space, item.name) ? space[item.name] : undefined;
      if (wanted === undefined) throw missing(didYouMean(item.name, Object.keys(space)));
      if (shownType(wanted) !== found) throw wrongType(shownType(wanted));
    } else checkHostFunction(item, type, hostFunctions, missing, wrongType);
  }
}

function shownType({ params, results }: { readonly params: readonly string[]; readonly results: readonly string[] }): string {
  return `(${params.join(", ")}) -> ${results[0] ?? "()"}`;
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
