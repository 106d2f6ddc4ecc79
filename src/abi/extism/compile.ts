// Compiles the modules of an Extism plugin, linked with each other, and checks what they import.

import { MortiseError } from "../../api/errors.ts";
import type { ResolvedLimits } from "../../api/limits.ts";
import { canSuspend } from "../../wasm/host-functions.ts";
import { instrumentModule } from "../../wasm/instrument.ts";
import { type ParsedModule, functionTypeName } from "../../wasm/module-reader.ts";
import { checkImports } from "../check-imports.ts";
import { type CompileOptions, type NamedModule, compileBytes } from "../compile-options.ts";
import type { CompiledGuest, CompiledModule, ExportTable, GuestEntry, LinkStubs } from "../guest.ts";
import { waitingImports } from "../waiting-imports.ts";
import { ExtismInstance } from "./instance.ts";
import { ENV, ENV_TYPES, environmentType, extismKernel, isCallable, linkedEnvironment } from "./kernel.ts";
import { type LinkPlan, MAIN, buildStubs, planLinks } from "./link.ts";

const PAGE = 65_536;

/**
 * Compiles a plugin for the Extism interface.
 *
 * @throws MortiseError what `instrument` throws, and MORTISE_WASM_INVALID, MORTISE_MISSING_IMPORT, MORTISE_IMPORT_TYPE,
 *   MORTISE_LINK_CYCLE, MORTISE_TOO_MANY_MEMORIES, MORTISE_INITIAL_MEMORY or MORTISE_INITIAL_TABLE
 */
export async function compileExtism(read: readonly NamedModule[], options: CompileOptions): Promise<CompiledGuest> {
  const { plugin, limits, hostFunctions, provided } = options;
  const plan = planLinks(plugin, read);
  const linked = new Set(plan.order.length > 1 ? plan.order.map(({ name }) => name) : []);
  for (const { name, module } of plan.order) {
    checkImports(module, { plugin, hostFunctions, provided, linked: othersThan(name, linked), environment: ENVIRONMENT });
  }
  const { initialPages, initialEntries } = checkSizes(plan, plugin, limits);
  const modules: CompiledModule[] = [];
  for (const [index, item] of plan.order.entries()) modules.push(await compileModule(item, linked.size === 0 ? "" : `m${index}`, linked, options));
  const main = modules.find(({ name }) => name === MAIN);
  if (main === undefined) throw new RangeError("no main module"); // sources have one
  const guest: CompiledGuest = {
    abi: "extism",
    main,
    modules,
    stubs: await compileStubs(plan, plugin),
    entries: callableExports(main, linked.size > 0 || modules.length > 1, options),
    initialPages,
    initialEntries,
    links: plan.links,
    instantiate: (state, timeoutMs) => ExtismInstance.create(guest, state, timeoutMs),
  };
  return guest;
}

const ENVIRONMENT = { module: ENV, names: Object.keys(ENV_TYPES), type: environmentType };

/** A module cannot import from itself: its own name is that of host functions. */
function othersThan(name: string, linked: ReadonlySet<string>): ReadonlySet<string> {
  return new Set([...linked].filter((other) => other !== name));
}

/** Sums over all modules, each memory and table counted where it is made. */
function checkSizes({ order }: LinkPlan, plugin: string, limits: ResolvedLimits): { readonly initialPages: number; readonly initialEntries: number } {
  const memories = order.flatMap(({ module }) => definedIn(module, "memory", module.memories));
  const tables = order.flatMap(({ module }) => definedIn(module, "table", module.tables));
  const initialPages = sum(memories) + 1;
  const initialEntries = sum(tables);
  const source = `plugin "${plugin}"`;
  if (memories.length > limits.memories)
    throw new MortiseError("MORTISE_TOO_MANY_MEMORIES", { source, count: memories.length, limit: limits.memories });
  if (tables.length > limits.tables) throw new MortiseError("MORTISE_TOO_MANY_TABLES", { source, count: tables.length, limit: limits.tables });
  if (initialPages * PAGE > limits.memoryBytes) {
    throw new MortiseError("MORTISE_INITIAL_MEMORY", { plugin, found: initialPages * PAGE, limit: limits.memoryBytes });
  }
  if (initialEntries > limits.tableEntries)
    throw new MortiseError("MORTISE_INITIAL_TABLE", { plugin, found: initialEntries, limit: limits.tableEntries });
  return { initialPages, initialEntries };
}

function definedIn<T>(module: ParsedModule, kind: "memory" | "table", items: readonly T[]): readonly T[] {
  return items.slice(module.imports.filter((item) => item.kind === kind).length);
}

function sum(items: readonly { readonly minimum: number }[]): number {
  return items.reduce((total, { minimum }) => total + minimum, 0);
}

async function compileModule(
  { name, module }: NamedModule,
  label: string,
  linked: ReadonlySet<string>,
  options: CompileOptions,
): Promise<CompiledModule> {
  const { limits, gc = "refuse" } = options;
  const others = othersThan(name, linked);
  const { bytes, ...instrumented } = instrumentModule(module, {
    environment: name === MAIN ? extismKernel(others) : linkedEnvironment(others),
    keepCustomSections: false,
    functionBytes: limits.functionBytes,
    functionComplexity: limits.functionComplexity,
    memories: limits.memories,
    tables: limits.tables,
    gc,
    ...(label === "" ? {} : { label }),
  });
  return { name, instrumented, module: await compileBytes(bytes, module.source), label };
}

async function compileStubs({ links, stubTypes }: LinkPlan, plugin: string): Promise<LinkStubs | undefined> {
  if (stubTypes.length === 0) return undefined;
  const targets = links.filter(({ stub }) => stub !== undefined);
  // It fails for a type that names another of its own module, which the module of stubs has not.
  return { module: await compileBytes(buildStubs(stubTypes), `the links of plugin "${plugin}"`), targets };
}

/** What a plugin exports, for those who want to call it. */
export function exportTable(module: ParsedModule): ExportTable {
  const callable = new Map<string, string>();
  const others = new Map<string, string>();
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function") continue;
    const own = index >= module.importedFunctions;
    const type = functionTypeName(module.types[module.functionTypes[index] as number]);
    if (own && isCallable(module, index)) callable.set(name, type);
    else others.set(name, `${own ? "a function" : "an import"} of type ${type}`);
  }
  return { callable, others };
}

/** Exports of the main module that can be called, by name. */
function callableExports({ instrumented }: CompiledModule, linked: boolean, { hostFunctions, provided }: CompileOptions): Map<string, GuestEntry> {
  const { module } = instrumented;
  const entries = new Map<string, GuestEntry>();
  const waiting = linked ? undefined : instrumented.reaching(waitingImports(module, hostFunctions, provided));
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function" || index < module.importedFunctions || !isCallable(module, index)) continue;
    const waits = canSuspend && (waiting === undefined || waiting[index] === 1);
    entries.set(name, { name, hidden: instrumented.hiddenName(`enter:call:${index}`), once: name === "_start", index: entries.size, waits });
  }
  return entries;
}
