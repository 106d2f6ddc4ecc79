// Compiles a plugin that exchanges buffers through a memory that it exports.

import { MortiseError } from "../../api/errors.ts";
import { canSuspend } from "../../wasm/host-functions.ts";
import { instrumentModule } from "../../wasm/instrument.ts";
import { type ParsedModule, functionTypeName } from "../../wasm/module-reader.ts";
import { checkImports } from "../check-imports.ts";
import { type CompileOptions, type NamedModule, compileBytes } from "../compile-options.ts";
import type { CompiledGuest, CompiledModule, ExportTable, GuestEntry, ProvidedFunctions } from "../guest.ts";
import { waitingImports } from "../waiting-imports.ts";
import type { Dialect } from "./dialect.ts";
import { LinearInstance } from "./instance.ts";
import { type Shape, shapeOf } from "./shapes.ts";

const PAGE = 65_536;

/** A compiled plugin, and how its functions are called. */
export interface LinearGuest extends CompiledGuest {
  readonly dialect: Dialect;
  /** By {@link GuestEntry.index}. */
  readonly shapes: readonly Shape[];
}

/**
 * Compiles a plugin for one of the interfaces over an exported memory.
 *
 * @throws MortiseError what `instrument` throws, and MORTISE_WASM_INVALID, MORTISE_MISSING_IMPORT, MORTISE_IMPORT_TYPE,
 *   MORTISE_INITIAL_MEMORY, MORTISE_INITIAL_TABLE; MORTISE_MANIFEST_INVALID if it has several modules
 */
export async function compileLinear(dialect: Dialect, modules: readonly NamedModule[], options: CompileOptions): Promise<LinearGuest> {
  const { plugin, limits, hostFunctions, gc = "refuse" } = options;
  const [only, another] = modules;
  if (only === undefined || another !== undefined) {
    const reason = `a plugin for ${dialect.abi} is one module, but it has ${modules.length}`;
    throw new MortiseError("MORTISE_MANIFEST_INVALID", { source: `plugin "${plugin}"`, at: "", reason });
  }
  const { module } = only;
  const provided = merge(dialect.provided, options.provided);
  checkImports(module, { plugin, hostFunctions, provided, linked: new Set() });
  const pages = sum(module.memories);
  const entries = sum(module.tables);
  if (pages * PAGE > limits.memoryBytes) throw new MortiseError("MORTISE_INITIAL_MEMORY", { plugin, found: pages * PAGE, limit: limits.memoryBytes });
  if (entries > limits.tableEntries) throw new MortiseError("MORTISE_INITIAL_TABLE", { plugin, found: entries, limit: limits.tableEntries });
  const { bytes, ...instrumented } = instrumentModule(module, {
    keepCustomSections: false,
    functionBytes: limits.functionBytes,
    functionComplexity: limits.functionComplexity,
    memories: limits.memories,
    tables: limits.tables,
    gc,
  });
  const main: CompiledModule = { name: only.name, instrumented, module: await compileBytes(bytes, module.source), label: "" };
  const shapes: Shape[] = [];
  const guest: LinearGuest = {
    abi: dialect.abi,
    dialect,
    shapes,
    main,
    modules: [main],
    stubs: undefined,
    links: [],
    entries: callable(dialect, main, waitingImports(module, hostFunctions, provided), shapes),
    initialPages: pages,
    initialEntries: entries,
    instantiate: (state, timeoutMs) => LinearInstance.create(guest, state, provided, timeoutMs),
  };
  return guest;
}

function sum(items: readonly { readonly minimum: number }[]): number {
  return items.reduce((total, { minimum }) => total + minimum, 0);
}

/** What the host provides to this plugin comes before what all plugins of the interface may import. */
function merge(first: ProvidedFunctions, second: ProvidedFunctions): ProvidedFunctions {
  const merged: Record<string, ProvidedFunctions[string]> = { ...first };
  for (const [module, functions] of Object.entries(second)) merged[module] = { ...merged[module], ...functions };
  return merged;
}

function callable(dialect: Dialect, { instrumented }: CompiledModule, waits: ReadonlySet<number>, shapes: Shape[]): Map<string, GuestEntry> {
  const { module } = instrumented;
  const entries = new Map<string, GuestEntry>();
  const waiting = instrumented.reaching(waits);
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function") continue;
    const type = module.types[module.functionTypes[index] as number];
    const shape = shapeOf(dialect, name, type?.kind === "function" ? type : undefined);
    if (shape === undefined) continue;
    entries.set(name, { name, hidden: name, once: false, index: shapes.length, waits: canSuspend && waiting[index] === 1 });
    shapes.push(shape);
  }
  return entries;
}

/** What a plugin exports, for those who want to call it. */
export function linearExports(dialect: Dialect, module: ParsedModule): ExportTable {
  const names = new Map<string, string>();
  const others = new Map<string, string>();
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function") continue;
    const type = module.types[module.functionTypes[index] as number];
    const fits = shapeOf(dialect, name, type?.kind === "function" ? type : undefined) !== undefined;
    if (fits) names.set(name, functionTypeName(type));
    else others.set(name, `a function of type ${functionTypeName(type)}`);
  }
  return { callable: names, others };
}
