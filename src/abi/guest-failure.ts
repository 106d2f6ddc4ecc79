// Turns what comes out of a guest, a trap or a thrown value, into a coded error.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { ResolvedLimits } from "../api/limits.ts";
import type { CompiledModule } from "./guest.ts";
import type { Meter, StopReason } from "../wasm/meter.ts";
import { functionLabel, readFunctionNames } from "../wasm/names.ts";

/** One frame of the guest's stack: the function's own name, and the byte offset in the original module. */
export interface GuestFrame {
  readonly function: string;
  readonly offset: number;
  /** Name of the module, where a plugin has several. */
  readonly module?: string;
}

/** What a failure is described with. */
export interface FailureContext {
  readonly plugin: string;
  readonly function: string;
  readonly limits: ResolvedLimits;
  readonly timeoutMs: number;
  /** Cost units that the call had. */
  readonly fuel: number;
  readonly modules: readonly CompiledModule[];
  readonly meter: Meter;
  /** Error that a host function left. */
  readonly hostFailure: unknown;
}

const STOP_CODES: Record<
  Exclude<StopReason, "host">,
  "MORTISE_FUEL" | "MORTISE_TIMEOUT" | "MORTISE_MEMORY_LIMIT" | "MORTISE_TABLE_LIMIT" | "MORTISE_STACK_OVERFLOW"
> = {
  fuel: "MORTISE_FUEL",
  timeout: "MORTISE_TIMEOUT",
  memory: "MORTISE_MEMORY_LIMIT",
  table: "MORTISE_TABLE_LIMIT",
  stack: "MORTISE_STACK_OVERFLOW",
};

/** Explains why a guest stopped. */
export function explainFailure(error: unknown, context: FailureContext): MortiseError {
  const { plugin, meter, limits } = context;
  const who = { plugin, function: context.function };
  const stopped = meter.stopped;
  if (stopped === "host" && context.hostFailure !== undefined) return hostFailure(context.hostFailure, who);
  if (stopped !== undefined && stopped !== "host") {
    const limit = { fuel: context.fuel, timeout: context.timeoutMs, memory: limits.memoryBytes, table: limits.tableEntries, stack: 0 }[stopped];
    return new MortiseError(STOP_CODES[stopped], { ...who, limit, trace: guestTrace(error, context.modules) });
  }
  if (isStackOverflow(error)) return new MortiseError("MORTISE_STACK_OVERFLOW", { ...who, trace: guestTrace(error, context.modules) });
  if (error instanceof WebAssembly.RuntimeError) {
    return new MortiseError("MORTISE_TRAP", { ...who, reason: error.message, trace: guestTrace(error, context.modules) });
  }
  if (error instanceof WebAssembly.Exception) return new MortiseError("MORTISE_UNCAUGHT_EXCEPTION", who);
  if (isMortiseError(error)) return error;
  return new MortiseError("MORTISE_INTERNAL", { ...who, reason: printable(error) }, error);
}

function hostFailure(error: unknown, who: { plugin: string; function: string }): MortiseError {
  if (!isMortiseError(error)) return new MortiseError("MORTISE_INTERNAL", { ...who, reason: printable(error) }, error);
  return new MortiseError(error.code, { ...error.details, ...who }, error.cause);
}

/** True for the error that V8 throws when the stack is used up, in JavaScript or in WebAssembly. */
export function isStackOverflow(error: unknown): boolean {
  return error instanceof RangeError && error.message.startsWith("Maximum call stack size exceeded");
}

const FRAME = /wasm:\/\/wasm\/(?:([^\s:]*)-)?[0-9a-f]+:wasm-function\[(\d+)\]:0x([0-9a-f]+)/g;
const MAX_FRAMES = 32;

/**
 * The guest's frames, innermost first. The rewritten modules carry no names but their own, so that the text of the stack
 * cannot be forged by them; injected functions are left out.
 */
export function guestTrace(error: unknown, modules: readonly CompiledModule[]): GuestFrame[] {
  const stack: unknown = error instanceof Error ? error.stack : undefined;
  // A program may have a prepareStackTrace that gives something else.
  if (typeof stack !== "string") return [];
  const frames: GuestFrame[] = [];
  for (const [, label = "", index, offset] of stack.matchAll(FRAME)) {
    const found = modules.find((module) => module.label === label);
    const original = found?.instrumented.originalOffset(Number(index), Number.parseInt(offset ?? "0", 16));
    if (found === undefined || original === undefined) continue;
    const { module } = found.instrumented;
    frames.push({
      function: functionLabel(module, readFunctionNames(module), Number(index)),
      offset: original,
      ...(label === "" ? {} : { module: found.name }),
    });
    if (frames.length === MAX_FRAMES) break;
  }
  return frames;
}
