// What a host function in this thread may do with the blocks of a guest elsewhere.

import type { CallAccess } from "../abi/call-context.ts";
import { LOG_LEVELS, type PluginState } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import { type OperateOrder, type ResultReport, SHIPPED_BLOCK_BYTES, type Section } from "./protocol.ts";
import { fromWire, toWire } from "./wire-values.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Has the child do one thing while it waits. @throws MortiseError what the child ran into, or that it does not wait */
export type Operate = (order: OperateOrder, data?: Section) => { readonly result: ResultReport; readonly bytes: Section | undefined };

/** One question that the child waits for, most often a call of a host function. */
export interface OpenHostCall {
  readonly id: number;
  readonly values: readonly (number | bigint)[];
  /** Blocks that came along, by address; each serves one reading, since the guest was charged for one. */
  readonly blocks: Map<number, Section>;
  /** Cost units that are left to the guest; infinite without a limit. */
  readonly fuel: number;
  /** Cost units that were used for it since. */
  charge: number;
  /** Arguments whose blocks were read, as bits; undefined for what has no arguments. */
  wanted: number | undefined;
}

/** Access to the guest of one call. `current` gives the host call that the child waits for, if it does. */
export function remoteAccess(
  state: Pick<PluginState, "name" | "logLevel" | "variables">,
  fn: string,
  signal: () => AbortSignal,
  timeLeftMs: () => number,
  current: () => OpenHostCall | undefined,
  operate: Operate,
): CallAccess {
  const readRange = (address: bigint | number, length: number): Section =>
    // Never more than was asked for, whatever comes.
    (operate({ type: "operate", operation: "read", address: toWire(address), length }).bytes ?? new Uint8Array(0)).subarray(0, length);
  const read = (address: bigint | number, length?: number): Section => {
    if (length !== undefined) return readRange(address, length);
    const call = current();
    const at = Number(address);
    const shipped = call?.blocks.get(at);
    const block = shipped ?? operate({ type: "operate", operation: "read", address: toWire(address) }).bytes ?? new Uint8Array(0);
    call?.blocks.delete(at);
    if (call?.wanted !== undefined && block.length <= SHIPPED_BLOCK_BYTES) {
      const argument = call.values.findIndex((value) => Number(value) === at);
      if (argument >= 0 && argument < 31) call.wanted |= 1 << argument;
    }
    return block;
  };
  const blockAt = ({ value }: ResultReport): bigint => BigInt(fromWire(value) ?? 0);
  return {
    plugin: state.name,
    function: fn,
    logLevel: LOG_LEVELS[state.logLevel] ?? "info",
    signal,
    read,
    borrow: read,
    owner: state,
    timeLeftMs,
    fuelLeft() {
      const call = current();
      return call === undefined ? 0 : Math.max(call.fuel - call.charge, 0);
    },
    charge(units) {
      const call = current();
      if (call !== undefined) call.charge += units;
    },
    readText(address, length) {
      try {
        return strict.decode(read(address, length));
      } catch (error) {
        if (error instanceof TypeError) throw new MortiseError("MORTISE_BAD_TEXT", { plugin: state.name, function: fn, what: "a block" });
        throw error;
      }
    },
    // Always a copy: what is sent is given away.
    write: (address, data) => void operate({ type: "operate", operation: "write", address: toWire(address) }, new Uint8Array(data)),
    store: (data) =>
      blockAt(operate({ type: "operate", operation: "store" }, typeof data === "string" ? encoder.encode(data) : new Uint8Array(data)).result),
    length: (address) => Number(fromWire(operate({ type: "operate", operation: "length", address: toWire(address) }).result.value) ?? 0),
    alloc: (size) => blockAt(operate({ type: "operate", operation: "alloc", address: toWire(size) }).result),
    free(address) {
      current()?.blocks.delete(Number(address));
      operate({ type: "operate", operation: "free", address: toWire(address) });
    },
    setError(message) {
      if (message === undefined) operate({ type: "operate", operation: "setError" });
      else operate({ type: "operate", operation: "setError", data: true }, encoder.encode(message));
    },
    getVariable: (name) => state.variables.get(name)?.slice(),
    setVariable(name, value) {
      if (value === undefined) operate({ type: "operate", operation: "setVariable", name });
      else {
        const data = typeof value === "string" ? encoder.encode(value) : new Uint8Array(value);
        operate({ type: "operate", operation: "setVariable", name, data: true }, data);
      }
    },
  };
}
