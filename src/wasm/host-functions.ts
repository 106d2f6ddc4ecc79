// The host's side of the table that every instrumented module carries: one set of WebAssembly functions for the whole
// process. Each is handed the meter of the instance that calls, so that nothing has to be known about who is running.

import { SLOT, TICK_SLOTS } from "./injection.ts";

/** What instances ask of their meter; see {@link SLOT}. None of these may throw: a guest could catch that. */
export interface MeteredInstance {
  tick(budget: number): number;
  wait(): Promise<number>;
  take(bits: bigint): bigint;
  morePages(count: number): number;
  moreEntries(count: number): number;
}

/**
 * A module that wraps JavaScript functions as WebAssembly functions, so that a table can hold them. It calls them: handed on
 * as they are, each table would keep a note of its own on each of them.
 */
// prettier-ignore
const WRAPPING_MODULE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x0d, 0x02,
  0x60, 0x02, 0x7f, 0x6f, 0x01, 0x7f, // (type 0 (func (param i32 externref) (result i32)))
  0x60, 0x02, 0x7e, 0x6f, 0x01, 0x7e, // (type 1 (func (param i64 externref) (result i64)))
  0x02, 0x1a, 0x05,
  0x00, 0x01, 0x30, 0x00, 0x00, // (import "" "0" (func (type 0)))
  0x00, 0x01, 0x31, 0x00, 0x00,
  0x00, 0x01, 0x32, 0x00, 0x01, // (import "" "2" (func (type 1)))
  0x00, 0x01, 0x33, 0x00, 0x00,
  0x00, 0x01, 0x34, 0x00, 0x00,
  0x03, 0x06, 0x05, 0x00, 0x00, 0x01, 0x00, 0x00,
  0x07, 0x15, 0x05,
  0x01, 0x30, 0x00, 0x05, // (export "0" (func 5))
  0x01, 0x31, 0x00, 0x06,
  0x01, 0x32, 0x00, 0x07,
  0x01, 0x33, 0x00, 0x08,
  0x01, 0x34, 0x00, 0x09,
  0x0a, 0x2e, 0x05,
  0x08, 0x00, 0x20, 0x00, 0x20, 0x01, 0x10, 0x00, 0x0b, // (call 0 (local.get 0) (local.get 1))
  0x08, 0x00, 0x20, 0x00, 0x20, 0x01, 0x10, 0x01, 0x0b,
  0x08, 0x00, 0x20, 0x00, 0x20, 0x01, 0x10, 0x02, 0x0b,
  0x08, 0x00, 0x20, 0x00, 0x20, 0x01, 0x10, 0x03, 0x0b,
  0x08, 0x00, 0x20, 0x00, 0x20, 0x01, 0x10, 0x04, 0x0b,
]);

// Not yet in the types of every library: WebAssembly's JavaScript promise integration.
interface PromiseIntegration {
  readonly Suspending?: new (fn: (...values: never[]) => unknown) => WebAssembly.ImportValue;
  readonly promising?: (fn: WebAssembly.ExportValue) => unknown;
}

const { Suspending, promising } = WebAssembly as PromiseIntegration;

/** Whether this engine can suspend a guest (JavaScript promise integration). */
export const canSuspend: boolean = typeof Suspending === "function" && typeof promising === "function";

/** The form of an export that returns a promise and may be suspended. Only where {@link canSuspend}. */
export function toPromising<Values extends readonly unknown[]>(fn: (...values: Values) => number): (...values: Values) => Promise<number> {
  if (promising === undefined) throw new TypeError("this engine cannot suspend WebAssembly");
  return promising(fn) as (...values: Values) => Promise<number>;
}

let shared: readonly WebAssembly.ExportValue[] | undefined;

function makeFunctions(): readonly WebAssembly.ExportValue[] {
  const wait = (_unused: number, meter: MeteredInstance): Promise<number> => meter.wait();
  const functions: Record<string, WebAssembly.ImportValue> = {
    [SLOT.tick]: (budget: number, meter: MeteredInstance) => meter.tick(budget),
    [SLOT.wait]: Suspending === undefined ? () => -1 : new Suspending(wait),
    [SLOT.take]: (bits: bigint, meter: MeteredInstance) => meter.take(bits),
    [SLOT.pages]: (count: number, meter: MeteredInstance) => meter.morePages(count),
    [SLOT.entries]: (count: number, meter: MeteredInstance) => meter.moreEntries(count),
  };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(WRAPPING_MODULE), { "": functions });
  return Array.from({ length: TICK_SLOTS }, (_, slot) => exports[slot] as WebAssembly.ExportValue);
}

/** Fills an instance's table of host functions. */
export function fillTable(table: WebAssembly.Table): void {
  shared ??= makeFunctions();
  for (let slot = 0; slot < TICK_SLOTS; slot++) table.set(slot, shared[slot]);
}
