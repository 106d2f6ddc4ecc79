// Functions that a new instance has to run before it can be called.

import type { ParsedModule } from "../wasm/module-reader.ts";

/** An export to call, and what with. */
export interface Initialiser {
  readonly name: string;
  readonly values: readonly number[];
}

/** `_initialize` and `hs_init`, or constructors, in the order in which the Extism runtime runs them. */
export function initialisersOf(module: ParsedModule): readonly Initialiser[] {
  const initialise = hasExport(module, "_initialize", 0) ? [{ name: "_initialize", values: [] }] : [];
  if (hasExport(module, "hs_init", 2)) return [...initialise, { name: "hs_init", values: [0, 0] }];
  if (hasExport(module, "__wasm_call_ctors", 0)) return [{ name: "__wasm_call_ctors", values: [] }];
  return initialise;
}

/** True for an exported function that takes so many i32 and returns nothing. */
export function hasExport(module: ParsedModule, name: string, params: number): boolean {
  const item = module.exports.find((candidate) => candidate.name === name && candidate.kind === "function");
  if (item === undefined) return false;
  const type = module.types[module.functionTypes[item.index] as number];
  return type?.kind === "function" && type.params.length === params && type.params.every(({ code }) => code === 0x7f) && type.results.length === 0;
}
