// The Extism memory of one instance as JavaScript sees it: input, output, and blocks.

import { MortiseError } from "../../api/errors.ts";
import { COST } from "../../wasm/cost.ts";
import { RecentTexts } from "../recent-texts.ts";
import type { Meter } from "../../wasm/meter.ts";
import type { CompiledModule, PluginState } from "../guest.ts";
import { BASE, CONTROL } from "./kernel.ts";

export const PAGE = 65_536;
/** Longest text that is written character by character, which is faster than the encoder's call. */
const SHORT_TEXT = 96;
/** Longest output that is copied byte by byte. */
const SHORT_OUTPUT = 64;
/** Highest address that a block can have. */
const MAX_ADDRESS = 0x7fff_ffff;
/** Bytes that a block needs behind its text: padding, and its entry in the block table. */
const BLOCK_OVERHEAD = 32;

const encoder = new TextEncoder();

/** Reads and writes an instance's Extism memory; what comes from the guest is checked, and work is charged. */
export class ExtismHeap {
  /** Function that runs, for messages. */
  function = "";
  bytes: Uint8Array<ArrayBuffer>;
  control: Int32Array<ArrayBuffer>;
  readonly #memory: WebAssembly.Memory;
  readonly #meter: Meter;
  readonly #state: PluginState;
  readonly #texts = new RecentTexts();
  readonly #alloc: (size: number) => number;
  readonly #free: (address: number) => void;
  readonly #length: (address: number) => number;

  constructor(exports: WebAssembly.Exports, { instrumented }: CompiledModule, meter: Meter, state: PluginState) {
    this.#memory = exports[instrumented.hiddenName("memory")] as WebAssembly.Memory;
    this.#meter = meter;
    this.#state = state;
    this.#alloc = exports[instrumented.hiddenName("enter:alloc")] as (size: number) => number;
    this.#free = exports[instrumented.hiddenName("enter:free")] as (address: number) => void;
    this.#length = exports[instrumented.hiddenName("enter:length")] as (address: number) => number;
    this.bytes = new Uint8Array(this.#memory.buffer);
    this.control = new Int32Array(this.#memory.buffer, 0, BASE / 4);
  }

  /** Makes the views anew if the memory has grown. */
  refresh(): void {
    const buffer = this.#memory.buffer;
    if (this.bytes.buffer === buffer) return;
    this.bytes = new Uint8Array(buffer);
    this.control = new Int32Array(buffer, 0, BASE / 4);
  }

  /**
   * Writes an input where the next call expects it, and returns its length.
   *
   * @throws MortiseError MORTISE_INPUT_LIMIT
   */
  writeInput(input: string | Uint8Array | undefined): number {
    return input === undefined ? 0 : typeof input === "string" ? this.#writeText(input) : this.#writeBytes(input);
  }

  #writeText(text: string): number {
    const { length } = text;
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    if (BASE + length * 3 + BLOCK_OVERHEAD > this.bytes.length) {
      const size = Buffer.byteLength(text, "utf8");
      this.#makeRoom(size);
    }
    const { bytes } = this;
    if (length <= SHORT_TEXT) {
      let index = 0;
      for (; index < length; index++) {
        const unit = text.charCodeAt(index);
        if (unit > 0x7f) break;
        bytes[BASE + index] = unit;
      }
      if (index === length) return length;
    }
    return encoder.encodeInto(text, bytes.subarray(BASE)).written;
  }

  #writeBytes(input: Uint8Array): number {
    const { length } = input;
    if (BASE + length + BLOCK_OVERHEAD > this.bytes.length) this.#makeRoom(length);
    this.bytes.set(input, BASE);
    return length;
  }

  #makeRoom(size: number): void {
    if (this.bytes.length === 0) this.refresh();
    const missing = BASE + size + BLOCK_OVERHEAD - this.bytes.length;
    if (missing <= 0) return;
    const pages = Math.ceil(missing / PAGE);
    const taken = this.#meter.takePages(pages);
    try {
      if (taken) this.#memory.grow(pages);
    } catch {
      // The engine has no room: the same answer as for the limit.
      this.#meter.returnPages(pages);
    }
    this.refresh();
    if (BASE + size + BLOCK_OVERHEAD > this.bytes.length) {
      throw new MortiseError("MORTISE_INPUT_LIMIT", { ...this.#who, size, limit: this.#state.limits.memoryBytes });
    }
  }

  /** Whether the guest set an output, if only an empty one. */
  get outputSet(): boolean {
    return this.control[CONTROL.outputSet >> 2] !== 0;
  }

  /**
   * A copy of what the guest set as its output.
   *
   * @throws MortiseError MORTISE_BAD_POINTER or MORTISE_OUTPUT_LIMIT
   */
  readOutput(): Uint8Array<ArrayBuffer> {
    const { control } = this;
    const offset = (control[CONTROL.outputOffset >> 2] as number) >>> 0;
    const length = (control[CONTROL.outputLength >> 2] as number) >>> 0;
    const high = (control[(CONTROL.outputOffset >> 2) + 1] as number) | (control[(CONTROL.outputLength >> 2) + 1] as number);
    if (high === 0 && length === 0) return new Uint8Array(0);
    if (high !== 0 || offset < BASE || offset + length > (control[CONTROL.heapEnd >> 2] as number)) {
      throw this.badPointer("an output", this.word(CONTROL.outputOffset), this.word(CONTROL.outputLength));
    }
    const limit = this.#state.limits.outputBytes;
    if (length > limit) throw new MortiseError("MORTISE_OUTPUT_LIMIT", { ...this.#who, size: length, limit });
    return this.#copy(offset, length);
  }

  #copy(offset: number, length: number): Uint8Array<ArrayBuffer> {
    const { bytes } = this;
    if (length > SHORT_OUTPUT) return bytes.slice(offset, offset + length);
    const out = new Uint8Array(length);
    for (let index = 0; index < length; index++) out[index] = bytes[offset + index] as number;
    return out;
  }

  /** A 64-bit control word. */
  word(at: number): bigint {
    return new DataView(this.#memory.buffer).getBigUint64(at, true);
  }

  badPointer(what: string, address: bigint, size: bigint): MortiseError {
    return new MortiseError("MORTISE_BAD_POINTER", { ...this.#who, what, address: `0x${address.toString(16)}`, size: size.toString() });
  }

  get #who(): { plugin: string; function: string } {
    return { plugin: this.#state.name, function: this.function };
  }

  /** Charges the guest for bytes that the host handles. */
  charge(bytes: number): void {
    if (bytes >= COST.hostBytesPerUnit) this.#meter.charge(Math.floor(bytes / COST.hostBytesPerUnit));
  }

  /** The bytes of a block, in place; empty if there is none. */
  block(address: bigint | number): Uint8Array<ArrayBuffer> {
    const at = Number(address);
    if (!(at >= BASE && at <= MAX_ADDRESS)) return new Uint8Array(0);
    const length = this.#length(at);
    this.charge(length);
    if (this.bytes.length === 0) this.refresh();
    return this.bytes.subarray(at, at + length);
  }

  /** Writes into a block. @throws MortiseError MORTISE_BAD_POINTER */
  write(address: bigint | number, data: Uint8Array): void {
    const block = this.block(address);
    if (data.length > block.length) throw this.badPointer("a block", BigInt(address), BigInt(data.length));
    block.set(data);
  }

  release(address: bigint | number): void {
    const at = Number(address);
    if (at >= BASE && at <= MAX_ADDRESS) this.#free(at);
  }

  /** The text of a block. @throws MortiseError MORTISE_BAD_TEXT */
  text(address: bigint | number, what: string, length?: number): string {
    const block = this.block(address);
    try {
      return this.#texts.decode(length === undefined ? block : block.subarray(0, length));
    } catch {
      throw new MortiseError("MORTISE_BAD_TEXT", { ...this.#who, what });
    }
  }

  /** A new block of zeros; address 0 for no bytes. @throws MortiseError MORTISE_MEMORY_LIMIT */
  allocZeros(size: number): number {
    const address = this.alloc(size);
    // It may be one that was used before and freed.
    if (address !== 0) this.bytes.fill(0, address, address + size);
    return address;
  }

  /** A new block, for whoever fills it; address 0 for no bytes. @throws MortiseError MORTISE_MEMORY_LIMIT */
  alloc(size: number): number {
    if (size <= 0) return 0;
    this.charge(size);
    const address = Number.isSafeInteger(size) && size <= MAX_ADDRESS ? this.#alloc(size) : 0;
    if (address === 0) throw new MortiseError("MORTISE_MEMORY_LIMIT", { ...this.#who, limit: this.#state.limits.memoryBytes });
    this.refresh();
    return address;
  }

  /** Puts bytes or text into a new block. @throws MortiseError MORTISE_MEMORY_LIMIT */
  store(data: Uint8Array | string): bigint {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    const address = this.alloc(bytes.length);
    if (address !== 0) this.bytes.set(bytes, address);
    return BigInt(address);
  }

  /** Makes a text the call's error message, or takes it away. */
  setError(text: string | undefined): void {
    const address = text === undefined ? 0n : this.store(text);
    new DataView(this.#memory.buffer).setBigUint64(CONTROL.error, address, true);
  }
}
