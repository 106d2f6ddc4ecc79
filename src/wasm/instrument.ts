// The rewriter: reads a module once and returns one that can be stopped, charged and capped from outside.

import { randomBytes } from "node:crypto";

import { MortiseError, isMortiseError, isPolicy } from "../api/errors.ts";
import { enableBranchHints } from "./branch-hints.ts";
import { CodeBuilder, type PlainOp } from "./code-builder.ts";
import { COST } from "./cost.ts";
import { type EmitInput, emitModule, traceBody } from "./emit.ts";
import { Helpers } from "./helpers.ts";
import { IntList } from "./int-list.ts";
import { type HiddenKey, Injection, encodeType } from "./injection.ts";
import { type ImportEntry, type ParsedModule, readModule } from "./module-reader.ts";
import { type Plan, planChecks } from "./plan.ts";
import { DEFAULT_MODULE_LIMITS, type ModuleLimits, refusals } from "./policy.ts";
import { functionsReaching } from "./reach.ts";
import { type ImportedCall, type ScanResult, scanBodies } from "./scan.ts";

/** Injected functions that an ABI brings along: its own memory, and stand-ins for its imports. */
export interface GuestEnvironment {
  /** Adds to the module; the result says what stands in for an imported function, if anything but a trampoline does. */
  install(injection: Injection, module: ParsedModule): (item: ImportEntry) => ImportedCall | undefined;
}

/** Options of {@link instrument}. */
export interface InstrumentOptions extends ModuleLimits {
  /** Name of the module in error messages. @default "the module" */
  readonly source?: string;
  /** Prefix of the hidden exports; must be unguessable for a guest. @default 16 random hexadecimal digits per process */
  readonly nonce?: string;
  /** Copy custom sections that rewriting leaves true. @default true */
  readonly keepCustomSections?: boolean;
  /** Name of the module in stack traces; only for a module that keeps no custom sections. @default none */
  readonly label?: string;
  /** Functions of an ABI to build into the module. */
  readonly environment?: GuestEnvironment;
}

/** Functions that a module may import; each gets a stand-in of its own. */
const MAX_IMPORTED_FUNCTIONS = 4096;

/** One for all modules: equal plugins give equal bytes, whose code the engine then shares. */
const PROCESS_NONCE = randomBytes(8).toString("hex");

/** A rewritten module, with its new binary. */
export interface InstrumentedModule extends RewrittenModule {
  /** The new binary; compile it in place of the original. */
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** What remains of interest of a rewritten module once it is compiled. */
export interface RewrittenModule {
  /** The original, as read. */
  readonly module: ParsedModule;
  /** Full name of a hidden export. */
  hiddenName(key: HiddenKey | `enter:${string}`): string;
  /** True for an export that the rewriter added. */
  isHidden(name: string): boolean;
  /**
   * Where an instruction of the new binary stands in the original; undefined in an injected function.
   *
   * @param functionIndex index of the function, the same in both
   * @param offset byte offset in the new binary, as stack traces give it
   */
  originalOffset(functionIndex: number, offset: number): number | undefined;
  /** 1 for each function, by index, from which one of the imported functions with these indexes can be reached. */
  reaching(imports: ReadonlySet<number>): Uint8Array;
}

/**
 * Rewrites a core WebAssembly module so that a host on the same thread can contain it: fuel is charged at loop heads
 * and function entries, bulk operations are charged by length and split, growth of memories and tables is capped, and
 * the start function is left to the host. The result computes what the original computes; see {@link Meter} for the
 * host's side.
 *
 * The output is valid exactly if the input was; the rewriter checks the format and all indexes, and leaves type
 * checking to the engine that compiles the output.
 *
 * @throws MortiseError MORTISE_NOT_WASM, MORTISE_WASM_TEXT, MORTISE_WASM_COMPONENT, MORTISE_WASM_MALFORMED or
 *   MORTISE_WASM_UNSUPPORTED for a broken module; MORTISE_SHARED_MEMORY, MORTISE_GC_HEAP, MORTISE_TOO_MANY_MEMORIES,
 *   MORTISE_TOO_MANY_TABLES, MORTISE_FUNCTION_TOO_LARGE or MORTISE_WASM_TOO_LARGE for one that policy refuses.
 */
export function instrument(bytes: Uint8Array, options: InstrumentOptions = {}): InstrumentedModule {
  return instrumentModule(readModule(bytes, options.source ?? "the module"), options);
}

/** {@link instrument} for a module whose sections are read already. */
export function instrumentModule(module: ParsedModule, options: InstrumentOptions): InstrumentedModule {
  enableBranchHints();
  const nonce = options.nonce ?? PROCESS_NONCE;
  const { scan, plan, injection, imported } = analyse(module, nonce, options.environment);
  // Only where several modules make up a plugin does somebody else than its own kernel look at it.
  if (options.label !== undefined) injection.hide("inHost", 3, injection.inHost);
  const [refusal] = refusals(module, scan, { ...DEFAULT_MODULE_LIMITS, ...definedLimits(options) });
  if (refusal !== undefined) throw refusal;
  const input: EmitInput = { module, scan, plan, injection, imported, keepCustomSections: options.keepCustomSections ?? true, label: options.label };
  const { bytes: rewritten, bodyStart } = emitModule(input);
  // What stays for translating offsets is cut to size: a host may keep thousands of modules.
  for (const list of Object.values(scan)) if (list instanceof IntList) list.trim();
  injection.release();
  return {
    bytes: rewritten,
    module,
    hiddenName: (key) => injection.name(key),
    isHidden: (name) => name.startsWith(nonce),
    originalOffset: (functionIndex, offset) => originalOffset(input, bodyStart, functionIndex, offset),
    reaching: (imports) => functionsReaching(module, scan, imports),
  };
}

/** Policy refusals that loading this module would meet, without rewriting it. */
export function findRefusals(module: ParsedModule, limits: ModuleLimits = {}): ReturnType<typeof refusals> {
  try {
    const { scan } = analyse(module, "", undefined);
    return refusals(module, scan, { ...DEFAULT_MODULE_LIMITS, ...definedLimits(limits) });
  } catch (error) {
    if (isMortiseError(error) && isPolicy(error.code)) return [error];
    throw error;
  }
}

function definedLimits(options: ModuleLimits): ModuleLimits {
  const { memories, tables, functionBytes, functionComplexity, gc, threads } = options;
  return Object.fromEntries(
    Object.entries({ memories, tables, functionBytes, functionComplexity, gc, threads }).filter(([, value]) => value !== undefined),
  );
}

interface Analysis {
  readonly scan: ScanResult;
  readonly plan: Plan;
  readonly injection: Injection;
  readonly imported: readonly ImportedCall[];
}

function analyse(module: ParsedModule, nonce: string, environment: GuestEnvironment | undefined): Analysis {
  if (module.importedFunctions > MAX_IMPORTED_FUNCTIONS) {
    const size = module.importedFunctions;
    throw new MortiseError("MORTISE_WASM_TOO_LARGE", {
      source: module.source,
      what: "the number of imported functions",
      size,
      limit: MAX_IMPORTED_FUNCTIONS,
    });
  }
  const injection = new Injection(module, nonce);
  const helpers = new Helpers(module, injection);
  const standIn = environment?.install(injection, module);
  const imported: ImportedCall[] = [];
  for (const entry of module.imports) {
    if (entry.kind !== "function") continue;
    const typeIndex = module.functionTypes[entry.index] as number;
    imported.push(standIn?.(entry) ?? trampoline(injection, module, entry.index, typeIndex));
  }
  if (module.start !== undefined) {
    // Through a function of its own: exporting the start function itself would declare references to it.
    const start = imported[module.start]?.target ?? module.start;
    injection.hide(
      "start",
      0,
      injection.define([], [], [], (code) => code.call(start)),
    );
  }
  const scan = scanBodies(module, { imported, helper: (kind, first, second) => helpers.get(kind, first, second) });
  return { scan, plan: planChecks(module, scan), injection, imported };
}

/**
 * Calls an imported function, marks the crossing, and looks at the budget on return: the host makes it negative to stop
 * the guest, or to suspend it until a result that was promised has arrived.
 */
function trampoline(injection: Injection, module: ParsedModule, index: number, typeIndex: number): ImportedCall {
  const type = module.types[typeIndex];
  if (type?.kind !== "function") throw new RangeError(`type ${typeIndex} is not a function type`); // checked by the reader
  const [result] = type.results;
  const bits = type.results.length === 1 ? BITS[result?.code ?? 0] : undefined;
  const [outer, kept] = [type.params.length, type.params.length + 1];
  const code = new CodeBuilder();
  injection.crossing(code, outer, (inner) => {
    for (const [local] of type.params.entries()) inner.get(local);
    return inner.call(index);
  });
  if (bits !== undefined) code.set(kept);
  code.globalGet(injection.budget).i32(0).op("i32.lt_s").if().call(injection.refill);
  if (bits !== undefined) {
    injection
      .callHost(code.get(kept).op(...bits.to), "take")
      .op(...bits.from)
      .set(kept);
  }
  code.op("end");
  if (bits !== undefined) code.get(kept);
  const target = injection.function({
    typeIndex,
    params: type.params.map(encodeType),
    results: type.results.map(encodeType),
    locals: bits === undefined || result === undefined ? [encodeType("i32")] : [encodeType("i32"), encodeType(result)],
    code,
  });
  return { target, cost: COST.hostCall };
}

/** How a number type goes to 64 bits and back, by its encoding. */
const BITS: Readonly<Record<number, { readonly to: readonly PlainOp[]; readonly from: readonly PlainOp[] }>> = {
  0x7f: { to: ["i64.extend_i32_u"], from: ["i32.wrap_i64"] },
  0x7e: { to: [], from: [] },
  0x7d: { to: ["i32.reinterpret_f32", "i64.extend_i32_u"], from: ["i32.wrap_i64", "f32.reinterpret_i32"] },
  0x7c: { to: ["i64.reinterpret_f64"], from: ["f64.reinterpret_i64"] },
};

/** Translates an offset in the rewritten module; only traps need it, so that nothing is kept for it. */
function originalOffset(input: EmitInput, bodyStart: Int32Array, functionIndex: number, offset: number): number | undefined {
  const { bodies, importedFunctions } = input.module;
  const body = functionIndex - importedFunctions;
  if (body < 0 || body >= bodies.length / 2) return undefined;
  const rewritten = offset - ((bodyStart[body] as number) + BODY_SIZE_BYTES);
  return Math.min((bodies[body * 2] as number) + traceBody(input, body, rewritten), bodies[body * 2 + 1] as number);
}

/** Bytes of the size prefix that the emitter writes before each body. */
const BODY_SIZE_BYTES = 5;
