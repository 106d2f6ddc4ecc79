// What a module imports and exports, read from its bytes: the rewritten module that runs has more.

import { type ParsedModule, readModule } from "../wasm/module-reader.ts";

/** Number types, by the names of the text format. */
export type NumberType = "i32" | "i64" | "f32" | "f64";

const NUMBER_TYPES: ReadonlyMap<number, NumberType> = new Map([
  [0x7f, "i32"],
  [0x7e, "i64"],
  [0x7d, "f32"],
  [0x7c, "f64"],
]);

/** A function that a module imports. */
export interface ImportedFunction {
  readonly module: string;
  readonly name: string;
  /** Undefined without a result, or if it is no number. */
  readonly result: NumberType | undefined;
}

/** One module of a plugin. */
export interface ModuleFacts {
  /** Names that callers may use: its own, `main`, and its place in the manifest. */
  readonly names: readonly string[];
  readonly isMain: boolean;
  readonly exports: readonly WebAssembly.ModuleExportDescriptor[];
  readonly imports: readonly WebAssembly.ModuleImportDescriptor[];
  readonly functions: readonly ImportedFunction[];
}

/**
 * Reads one module.
 *
 * @throws MortiseError as readModule of `mortise/wasm`
 */
export function readFacts(bytes: Uint8Array, source: string, names: readonly string[]): ModuleFacts {
  const module = readModule(bytes, source);
  return {
    names,
    isMain: names.includes("main"),
    exports: module.exports.map(({ name, kind }) => ({ name, kind })),
    imports: module.imports.map((item) => ({ module: item.module, name: item.name, kind: item.kind })),
    functions: importedFunctions(module),
  };
}

function importedFunctions(module: ParsedModule): ImportedFunction[] {
  return module.imports.flatMap((item) => {
    if (item.kind !== "function") return [];
    const type = module.types[module.functionTypes[item.index] as number];
    const result = type?.kind === "function" ? type.results[0] : undefined;
    return [{ module: item.module, name: item.name, result: result === undefined ? undefined : NUMBER_TYPES.get(result.code) }];
  });
}
