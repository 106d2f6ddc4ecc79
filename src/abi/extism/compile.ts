// Reads, rewrites and compiles the modules of an Extism plugin, and checks what they import.

import { MortiseError, isMortiseError, printable } from "../../api/errors.ts";
import type { ResolvedLimits } from "../../api/limits.ts";
import { instrumentModule } from "../../wasm/instrument.ts";
import { type ParsedModule, functionTypeName, readModule } from "../../wasm/module-reader.ts";
import { canSuspend } from "../../wasm/host-functions.ts";
import { WASI_MODULE } from "../../wasi/functions.ts";
import type { CompiledGuest, CompiledModule, ExportTable, GuestEntry, HostFunctions, LinkStubs } from "../guest.ts";
import { checkImports } from "./check-imports.ts";
import { WAITING } from "./environment.ts";
import { ENV, extismKernel, isCallable, linkedEnvironment } from "./kernel.ts";
import { type LinkPlan, MAIN, type NamedModule, buildStubs, planLinks } from "./link.ts";

const PAGE = 65_536;

/** The binary of one module of a plugin. */
export interface ModuleSource {
  /** `main` for the one whose functions can be called. */
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** What compiling needs to know of a plugin. */
export interface CompileOptions {
  readonly plugin: string;
  readonly limits: ResolvedLimits;
  readonly hostFunctions: HostFunctions;
  /** Let modules use the garbage-collected heap; only in a process of their own. */
  readonly gc?: "allow" | "refuse";
}

/**
 * Compiles a plugin for the Extism interface.
 *
 * @throws MortiseError what `instrument` throws, and MORTISE_WASM_INVALID, MORTISE_MISSING_IMPORT, MORTISE_IMPORT_TYPE,
 *   MORTISE_LINK_CYCLE, MORTISE_TOO_MANY_MEMORIES, MORTISE_INITIAL_MEMORY or MORTISE_INITIAL_TABLE
 */
export async function compileExtism(sources: readonly ModuleSource[], options: CompileOptions): Promise<CompiledGuest> {
  try {
    return await compile(sources, options);
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    // Reading and rewriting know the module alone.
    throw new MortiseError(error.code, { ...error.details, plugin: options.plugin }, error.cause);
  }
}

async function compile(sources: readonly ModuleSource[], options: CompileOptions): Promise<CompiledGuest> {
  const { plugin, limits } = options;
  const several = sources.length > 1;
  const read = sources.map(({ name, bytes }) => ({
    name,
    module: readModule(bytes, several ? `module "${name}" of plugin "${plugin}"` : `plugin "${plugin}"`),
  }));
  const plan = planLinks(plugin, read);
  const linked = new Set(plan.order.length > 1 ? plan.order.map(({ name }) => name) : []);
  for (const { name, module } of plan.order) checkImports(module, plugin, options.hostFunctions, othersThan(name, linked));
  const { initialPages, initialEntries } = checkSizes(plan, plugin, limits);
  const modules: CompiledModule[] = [];
  for (const [index, item] of plan.order.entries()) modules.push(await compileModule(item, linked.size === 0 ? "" : `m${index}`, linked, options));
  const main = modules.find(({ name }) => name === MAIN);
  if (main === undefined) throw new RangeError("no main module"); // sources have one
  return {
    main,
    modules,
    stubs: await compileStubs(plan, plugin),
    entries: callableExports(main, linked.size > 0 || modules.length > 1),
    initialPages,
    initialEntries,
    links: plan.links,
  };
}

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
  try {
    return { name, instrumented, module: await WebAssembly.compile(bytes), label };
  } catch (error) {
    throw new MortiseError("MORTISE_WASM_INVALID", { source: module.source, reason: engineReason(error) }, error);
  }
}

async function compileStubs({ links, stubTypes }: LinkPlan, plugin: string): Promise<LinkStubs | undefined> {
  if (stubTypes.length === 0) return undefined;
  const targets = links.filter(({ stub }) => stub !== undefined);
  try {
    return { module: await WebAssembly.compile(buildStubs(stubTypes)), targets };
  } catch (error) {
    // A type that names another of its own module, which the module of stubs has not.
    throw new MortiseError("MORTISE_WASM_INVALID", { source: `the links of plugin "${plugin}"`, reason: engineReason(error) }, error);
  }
}

/** The engine's text without its prefix and without the offset, which is one in the rewritten module. */
function engineReason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return printable(text.replace(/^WebAssembly\.\w+\(\): /, "").replace(/ @\+\d+$/, ""));
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
function callableExports({ instrumented }: CompiledModule, linked: boolean): Map<string, GuestEntry> {
  const { module } = instrumented;
  const entries = new Map<string, GuestEntry>();
  const waiting = linked ? undefined : instrumented.reaching(waitingImports(module));
  for (const { name, kind, index } of module.exports) {
    if (kind !== "function" || index < module.importedFunctions || !isCallable(module, index)) continue;
    const waits = canSuspend && (waiting === undefined || waiting[index] === 1);
    entries.set(name, { name, hidden: instrumented.hiddenName(`enter:call:${index}`), once: name === "_start", index: entries.size, waits });
  }
  return entries;
}

/** Imports that may have to wait. A host function that is not declared `async` may return a promise all the same. */
function waitingImports(module: ParsedModule): Set<number> {
  const waiting = module.imports.filter(({ kind, module: space, name }) => {
    if (kind !== "function") return false;
    if (space === ENV) return WAITING.has(name);
    return space === WASI_MODULE ? WASI_WAITING.has(name) : true;
  });
  return new Set(waiting.map(({ index }) => index));
}

/** Functions of WASI that sleep, or read from what may have nothing to read yet. */
const WASI_WAITING = new Set(["poll_oneoff", "fd_read"]);
