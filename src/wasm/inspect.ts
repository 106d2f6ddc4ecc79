// Describes a module without compiling or running it.

import type { MortiseError } from "../api/errors.ts";
import { type Detection, type WasmAbi, detectInterface, missingFor } from "./detect.ts";
import { findRefusals } from "./instrument.ts";
import { type ExternalKind, type Feature, type ParsedModule, functionTypeName, readModule, valueTypeName } from "./module-reader.ts";
import type { ModuleLimits } from "./policy.ts";

/** An import or export with its type in words, such as `(i32) -> i64` or `memory 1..16 pages`. */
export interface ModuleItem {
  readonly module?: string;
  readonly name: string;
  readonly kind: ExternalKind;
  readonly type: string;
}

/** What {@link inspect} finds. */
export interface ModuleDescription {
  /** Size of the binary in bytes. */
  readonly size: number;
  /** The plugin interface, what told it, and what it comes close to. */
  readonly interface: Detection;
  /** What it lacks for the interface that was asked for; absent if none was. */
  readonly asked?: { readonly name: WasmAbi; readonly missing: readonly string[] };
  readonly imports: readonly ModuleItem[];
  readonly exports: readonly ModuleItem[];
  /** Sizes in pages of 64 KiB; `maximum` is absent where the module sets none. */
  readonly memories: readonly { readonly minimum: number; readonly maximum?: number; readonly shared: boolean; readonly imported: boolean }[];
  readonly tables: readonly { readonly minimum: number; readonly maximum?: number; readonly element: string; readonly imported: boolean }[];
  readonly functions: { readonly imported: number; readonly defined: number };
  readonly globals: number;
  readonly start: boolean;
  readonly customSections: readonly { readonly name: string; readonly size: number }[];
  /** Features of the specification that the module uses, sorted. */
  readonly features: readonly Feature[];
  /** Why loading it would be refused under the given limits; empty if it would not. */
  readonly refusals: readonly { readonly code: string; readonly message: string }[];
}

/** Options of {@link inspect}. */
export interface InspectOptions extends ModuleLimits {
  /** Name of the module in messages. @default "the module" */
  readonly source?: string;
  /** Interface to compare it with, as the option `abi` of `loadPlugin` would ask for it. @default none */
  readonly abi?: WasmAbi;
}

/**
 * Reads a core module and says what it is: interface, imports, exports, memories, tables, features, and why it would
 * be refused.
 *
 * @throws MortiseError MORTISE_NOT_WASM, MORTISE_WASM_TEXT, MORTISE_WASM_COMPONENT, MORTISE_WASM_MALFORMED,
 *   MORTISE_WASM_UNSUPPORTED
 */
export function inspect(bytes: Uint8Array, options: InspectOptions = {}): ModuleDescription {
  const { abi, source = "the module", ...limits } = options;
  const module = readModule(bytes, source);
  const refused: readonly MortiseError[] = findRefusals(module, limits);
  return {
    size: bytes.length,
    interface: detectInterface(module),
    ...(abi === undefined ? {} : { asked: { name: abi, missing: missingFor(abi, module) } }),
    imports: module.imports.map((item) => ({ module: item.module, name: item.name, kind: item.kind, type: itemType(module, item.kind, item.index) })),
    exports: module.exports.map((item) => ({ name: item.name, kind: item.kind, type: itemType(module, item.kind, item.index) })),
    memories: module.memories.map(({ minimum, maximum, shared, imported }) => ({
      minimum,
      ...(maximum === undefined ? {} : { maximum }),
      shared,
      imported,
    })),
    tables: module.tables.map(({ minimum, maximum, element, imported }) => ({
      minimum,
      ...(maximum === undefined ? {} : { maximum }),
      element: valueTypeName(element),
      imported,
    })),
    functions: { imported: module.importedFunctions, defined: module.functionTypes.length - module.importedFunctions },
    globals: module.globals.length,
    start: module.start !== undefined,
    customSections: module.sections.filter(({ id }) => id === 0).map(({ name, start, end }) => ({ name: name ?? "", size: end - start })),
    features: [...module.features].toSorted(),
    refusals: refused.map(({ code, message }) => ({ code, message })),
  };
}

function itemType(module: ParsedModule, kind: ExternalKind, index: number): string {
  switch (kind) {
    case "function":
      return functionTypeName(module.types[module.functionTypes[index] as number]);
    case "memory":
      return `memory ${range(module.memories[index], "pages")}`;
    case "table":
      return `table of ${valueTypeName(module.tables[index]?.element ?? { code: 0x70 })} ${range(module.tables[index], "entries")}`;
    case "global":
      return `${module.globals[index]?.mutable === true ? "mutable " : ""}global ${valueTypeName(module.globals[index]?.type ?? { code: 0x7f })}`;
    case "tag":
      return `tag ${functionTypeName(module.types[module.tags[index] as number])}`;
  }
}

function range(limits: { readonly minimum: number; readonly maximum: number | undefined } | undefined, unit: string): string {
  return `${limits?.minimum ?? 0}..${limits?.maximum ?? ""} ${unit}`;
}
