// The memory that a plugin exports, as the host sees it: every address and length that the guest gives is checked.

import { MortiseError } from "../../api/errors.ts";
import { COST } from "../../wasm/cost.ts";
import type { Meter } from "../../wasm/meter.ts";
import type { PluginState } from "../guest.ts";
import { RecentTexts } from "../recent-texts.ts";

/** Longest text that is written character by character, which is faster than the encoder's call. */
const SHORT_TEXT = 96;
const encoder = new TextEncoder();

/** Where a block lies. */
export interface Range {
  readonly address: number;
  readonly size: number;
}

/** Reads and writes the memory of the present instance; the guest is charged for it. */
export class LinearMemory {
  /** Function that runs, for messages. */
  function = "";
  readonly #state: PluginState;
  readonly #meter: Meter;
  readonly #texts = new RecentTexts();
  #memory: WebAssembly.Memory | undefined;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);

  constructor(state: PluginState, meter: Meter) {
    this.#state = state;
    this.#meter = meter;
  }

  attach(memory: WebAssembly.Memory): void {
    this.#memory = memory;
    this.#bytes = new Uint8Array(memory.buffer);
  }

  /** The memory's bytes now; it may have grown. */
  get #view(): Uint8Array<ArrayBuffer> {
    const buffer = this.#memory?.buffer;
    if (buffer !== undefined && this.#bytes.buffer !== buffer) this.#bytes = new Uint8Array(buffer);
    return this.#bytes;
  }

  /** Bytes that there are. */
  get length(): number {
    return this.#view.length;
  }

  /** The bytes of a range, in place. @throws MortiseError MORTISE_BAD_POINTER */
  range(address: bigint | number, size: bigint | number, what: string): Uint8Array<ArrayBuffer> {
    const from = unsigned(address);
    const length = Number(size);
    const view = this.#view;
    // A host function may hand on whatever a guest gave it: a fraction, or a negative i64.
    if (!(from >= 0 && length >= 0 && from + length <= view.length && Number.isSafeInteger(from) && Number.isSafeInteger(length)))
      throw this.badPointer(what, from, length);
    if (length >= COST.hostBytesPerUnit) this.#meter.charge(Math.floor(length / COST.hostBytesPerUnit));
    return view.subarray(from, from + length);
  }

  /** Writes an input whose room was checked. */
  write(address: number, input: string | Uint8Array, size: number): void {
    if (size >= COST.hostBytesPerUnit) this.#meter.charge(Math.floor(size / COST.hostBytesPerUnit));
    const view = this.#view;
    if (typeof input !== "string") view.set(input, address);
    else if (size !== input.length || size > SHORT_TEXT) encoder.encodeInto(input, view.subarray(address, address + size));
    else for (let index = 0; index < size; index++) view[address + index] = input.charCodeAt(index);
  }

  /** The text of a range. @throws MortiseError MORTISE_BAD_POINTER or MORTISE_BAD_TEXT */
  text(address: bigint | number, size: bigint | number, what: string): string {
    const bytes = this.range(address, size, what);
    try {
      return this.#texts.decode(bytes);
    } catch {
      throw new MortiseError("MORTISE_BAD_TEXT", { ...this.#who, what });
    }
  }

  badPointer(what: string, address: number, size: number): MortiseError {
    return new MortiseError("MORTISE_BAD_POINTER", { ...this.#who, what, address: `0x${address.toString(16)}`, size: String(size) });
  }

  get #who(): { plugin: string; function: string } {
    return { plugin: this.#state.name, function: this.function };
  }
}

/** An address as the guest means it: what comes as a negative i32 lies in the upper half. */
function unsigned(address: bigint | number): number {
  const value = Number(address);
  return value < 0 && value >= -0x8000_0000 ? value + 0x1_0000_0000 : value;
}
