// Checks that what a module imports is there, and has the type it is imported with.

import { MortiseError, printable } from "../../api/errors.ts";
import { didYouMean } from "../../api/near-names.ts";
import { WASI_FUNCTIONS, WASI_MODULE, wasiType } from "../../wasi/functions.ts";
import { type ImportEntry, type ParsedModule, type TypeDefinition, functionTypeName } from "../../wasm/module-reader.ts";
import type { HostFunctions } from "../guest.ts";
import { ENV, ENV_TYPES, environmentType } from "./kernel.ts";

/**
 * Checks that everything a module imports is provided, with the type it is imported with.
 *
 * @param linked names of modules whose exports are imported; those imports are checked where they are linked
 * @throws MortiseError MORTISE_MISSING_IMPORT or MORTISE_IMPORT_TYPE
 */
export function checkImports(module: ParsedModule, plugin: string, hostFunctions: HostFunctions, linked: ReadonlySet<string>): void {
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
