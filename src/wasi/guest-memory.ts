// The guest's memory as the functions read and write it: every address is checked before anything is done.

import { ERRNO, fail } from "./errno.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Views of the memory that a guest exports, taken anew when it has grown. */
export class GuestMemory {
  readonly #memory: () => WebAssembly.Memory | undefined;
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #view: DataView<ArrayBuffer> = new DataView(this.#bytes.buffer);

  constructor(memory: () => WebAssembly.Memory | undefined) {
    this.#memory = memory;
  }

  /**
   * Checks `[address, address + length)` and returns the address, unsigned. What is read or written through the other
   * members must have been checked by this first, and again after anything during which the guest may have run.
   *
   * @throws WasiFailure `fault` if it leaves the memory
   */
  range(address: number, length: number): number {
    const memory = this.#memory();
    if (memory === undefined) return fail(ERRNO.fault);
    const { buffer } = memory;
    if (buffer !== this.#bytes.buffer) {
      this.#bytes = new Uint8Array(buffer);
      this.#view = new DataView(buffer);
    }
    const at = address >>> 0;
    if (at + length > this.#bytes.length) fail(ERRNO.fault);
    return at;
  }

  /** All of the memory. */
  get bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }

  /** All of the memory, for numbers; they are little-endian. */
  get view(): DataView<ArrayBuffer> {
    return this.#view;
  }

  /** A view of a checked range. */
  part(address: number, length: number): Uint8Array<ArrayBuffer> {
    const at = this.range(address, length);
    return this.#bytes.subarray(at, at + length);
  }

  /** Text in the memory. @throws WasiFailure `ilseq` if it is not UTF-8 */
  text(address: number, length: number): string {
    const part = this.part(address, length >>> 0);
    try {
      return strict.decode(part);
    } catch (error) {
      // The decoder says TypeError; anything else, such as an exhausted stack, is not about the text.
      if (error instanceof TypeError) fail(ERRNO.ilseq);
      throw error;
    }
  }

  /** Writes a 32-bit number. @throws WasiFailure `fault` */
  setU32(address: number, value: number): void {
    const at = this.range(address, 4);
    this.#view.setUint32(at, value, true);
  }

  /** Writes a 64-bit number. @throws WasiFailure `fault` */
  setU64(address: number, value: bigint): void {
    const at = this.range(address, 8);
    this.#view.setBigUint64(at, value, true);
  }
}
