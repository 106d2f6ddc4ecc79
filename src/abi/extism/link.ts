// Several modules as one plugin: which are needed, in which order they are instantiated, and what each import gets.
//
// Modules call each other as WebAssembly functions, never through JavaScript, across which no engine can suspend a
// guest. Where two need functions of each other, one of them imports stubs: functions of a small module that call
// through a table, which is filled once everybody is there. Memories, tables and globals have no such way out.

import { MortiseError } from "../../api/errors.ts";
import { didYouMean } from "../../api/near-names.ts";
import { CodeBuilder, leb, nameBytes } from "../../wasm/code-builder.ts";
import { type EncodedType, encodeBody, encodeType } from "../../wasm/injection.ts";
import { type ExportEntry, type ImportEntry, type ParsedModule, type TypeDefinition, functionTypeName } from "../../wasm/module-reader.ts";
import { WASI_MODULE } from "../../wasi/functions.ts";
import { SERVICES_MODULE } from "../../api/services.ts";
import type { NamedModule } from "../compile-options.ts";
import type { ModuleLink } from "../guest.ts";
import { ENV, isKernelFunction } from "./kernel.ts";

/** How modules fit together. */
export interface LinkPlan {
  /** Modules in the order of instantiation. */
  readonly order: readonly NamedModule[];
  readonly links: readonly ModuleLink[];
  /** Types of the stubs, by index. */
  readonly stubTypes: readonly TypeDefinition[];
}

/** Name of the module whose functions can be called. */
export const MAIN = "main";

/**
 * Finds the modules that `main` needs, and the order in which they can be instantiated.
 *
 * @throws MortiseError MORTISE_MISSING_IMPORT, MORTISE_IMPORT_TYPE or MORTISE_LINK_CYCLE; MORTISE_MANIFEST_INVALID for a
 *   module under a name of the host's
 */
export function planLinks(plugin: string, modules: readonly NamedModule[]): LinkPlan {
  for (const { name } of modules) {
    if (name !== ENV && name !== WASI_MODULE && name !== SERVICES_MODULE) continue;
    // It would take the place of what the host provides under that name, checks and charges included.
    throw new MortiseError("MORTISE_MANIFEST_INVALID", { source: `plugin "${plugin}"`, at: "", reason: `a module cannot be named "${name}"` });
  }
  const byName = new Map(modules.map((item) => [item.name, item]));
  const needed = neededModules(byName);
  const order = instantiationOrder(plugin, needed, byName);
  const place = new Map(order.map(({ name }, index) => [name, index]));
  const links: ModuleLink[] = [];
  const stubTypes: TypeDefinition[] = [];
  for (const [importer, { name, module }] of order.entries()) {
    for (const item of module.imports) {
      const kernel = item.module === ENV && item.kind === "function" && isKernelFunction(item.name) && name !== MAIN;
      const provider = place.get(kernel ? MAIN : item.module);
      if (provider === undefined || (!kernel && item.module === name)) continue;
      if (!kernel) checkExport(plugin, module, item, order[provider] as NamedModule);
      let stub: number | undefined;
      if (provider >= importer) stub = stubTypes.push(module.types[module.functionTypes[item.index] as number] as TypeDefinition) - 1;
      links.push({ importer, item, provider, export: item.name, kernel, stub });
    }
  }
  return { order, links, stubTypes };
}

/** Main and what it imports from, directly or not. */
function neededModules(byName: ReadonlyMap<string, NamedModule>): NamedModule[] {
  const needed = new Set<NamedModule>();
  const visit = (item: NamedModule | undefined): void => {
    if (item === undefined || needed.has(item)) return;
    needed.add(item);
    for (const entry of item.module.imports) visit(byName.get(entry.module));
  };
  visit(byName.get(MAIN));
  return [...needed];
}

/** Whatever is not a function has to be there first; of the modules that could be next, the one that needs the fewest stubs is. */
function instantiationOrder(plugin: string, needed: readonly NamedModule[], byName: ReadonlyMap<string, NamedModule>): NamedModule[] {
  const left = new Set(needed);
  const order: NamedModule[] = [];
  const missing = ({ name, module }: NamedModule, functions: boolean): number =>
    module.imports.filter(
      (item) => (item.kind === "function") === functions && item.module !== name && left.has(byName.get(item.module) as NamedModule),
    ).length;
  while (left.size > 0) {
    const ready = [...left].filter((item) => missing(item, false) === 0);
    if (ready.length === 0) throw new MortiseError("MORTISE_LINK_CYCLE", { plugin, names: [...left].map(({ name }) => `"${name}"`).join(", ") });
    // Main comes late: all others reach its kernel, which costs a stub each, but not what main imports from them.
    const next = ready.reduce((best, item) => (rank(item, missing) < rank(best, missing) ? item : best));
    left.delete(next);
    order.push(next);
  }
  return order;
}

function rank(item: NamedModule, missing: (item: NamedModule, functions: boolean) => number): number {
  return missing(item, true) + (item.name === MAIN ? 0.5 : 0);
}

function checkExport(plugin: string, importer: ParsedModule, item: ImportEntry, provider: NamedModule): void {
  const found = provider.module.exports.find(({ name }) => name === item.name);
  if (found === undefined || found.kind !== item.kind) {
    const hint =
      found === undefined
        ? `; the linked module "${provider.name}" has no such export${didYouMean(
            item.name,
            provider.module.exports.map(({ name }) => name),
          )}`
        : `; the linked module "${provider.name}" exports a ${found.kind} of that name`;
    throw new MortiseError("MORTISE_MISSING_IMPORT", { plugin, kind: item.kind, module: item.module, name: item.name, hint });
  }
  if (item.kind !== "function") return;
  const wanted = typeOf(provider.module, found);
  const given = typeOf(importer, item);
  if (wanted !== given) throw new MortiseError("MORTISE_IMPORT_TYPE", { plugin, module: item.module, name: item.name, found: given, wanted });
}

function typeOf(module: ParsedModule, item: ImportEntry | ExportEntry): string {
  return functionTypeName(module.types[module.functionTypes[item.index] as number]);
}

/** Exported table and functions of a module of stubs: stub i has the name `i` and calls entry i of table `t`. */
export function buildStubs(types: readonly TypeDefinition[]): Uint8Array<ArrayBuffer> {
  const section = (id: number, items: readonly (readonly number[])[]): number[] => {
    const content = [...leb(items.length), ...items.flat()];
    return [id, ...leb(content.length), ...content];
  };
  const signatures = types.map((type) => {
    if (type.kind !== "function") throw new RangeError("a stub needs a function type"); // only functions get here
    return { params: type.params.map(encodeType), results: type.results.map(encodeType) };
  });
  const bodies = signatures.map(({ params }, index) => {
    const code = new CodeBuilder();
    for (const param of params.keys()) code.get(param);
    code.i32(index).callIndirect(index, 0);
    return encodeBody({ params, results: [], locals: [], code });
  });
  const size = leb(types.length);
  const typeItems = signatures.map(({ params, results }) => functionType(params, results));
  const indexes = types.map((_type, index) => leb(index));
  const exported = types.map((_type, index) => nameBytes(String(index)).concat(0, leb(index)));
  const sections = [
    section(1, typeItems),
    section(3, indexes),
    section(4, [[0x70, 1].concat(size, size)]),
    section(7, [nameBytes("t").concat(1, 0), ...exported]),
    section(10, bodies),
  ];
  return Uint8Array.from([0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00].concat(...sections));
}

function functionType(params: readonly EncodedType[], results: readonly EncodedType[]): number[] {
  return [0x60].concat(leb(params.length), params.flat(), leb(results.length), results.flat());
}
