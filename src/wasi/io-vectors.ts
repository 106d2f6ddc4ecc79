// Lists of buffers that a guest reads into or writes from.

import { ERRNO, fail } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Buffers of one call, as POSIX systems have it. */
export const MAX_VECTORS = 1024;
/** Bytes that one call moves at most; what is more is left for the next call, which the guest has to expect. */
export const MAX_TRANSFER = 1 << 20;
const VECTOR_BYTES = 8;
const MAX_TOTAL = 0xffff_ffff;

/** The buffers of the running call; one object serves all calls of an instance, so that none allocates. */
export class IoVectors {
  readonly starts = new Uint32Array(MAX_VECTORS);
  readonly lengths = new Uint32Array(MAX_VECTORS);
  count = 0;
  /** Bytes of all buffers, {@link MAX_TRANSFER} at most. */
  total = 0;

  /**
   * Reads and checks a list; buffers behind the first {@link MAX_TRANSFER} bytes are cut off.
   *
   * @throws WasiFailure `inval` for too many buffers or bytes, `fault` if the list or a buffer leaves the memory
   */
  read(memory: GuestMemory, address: number, count: number): void {
    const wanted = count >>> 0;
    this.count = 0;
    this.total = 0;
    if (wanted > MAX_VECTORS) fail(ERRNO.inval);
    const list = memory.range(address, wanted * VECTOR_BYTES);
    const { view } = memory;
    let asked = 0;
    for (let index = 0; index < wanted; index++) {
      const start = view.getUint32(list + index * VECTOR_BYTES, true);
      const length = view.getUint32(list + index * VECTOR_BYTES + 4, true);
      memory.range(start, length);
      asked += length;
      const taken = Math.min(length, MAX_TRANSFER - this.total);
      this.starts[index] = start;
      this.lengths[index] = taken;
      this.total += taken;
    }
    if (asked > MAX_TOTAL) fail(ERRNO.inval);
    this.count = wanted;
  }

  /** Copies bytes into the buffers, and returns how many fitted. */
  scatter(memory: GuestMemory, source: Uint8Array): number {
    let done = 0;
    for (let index = 0; index < this.count && done < source.length; index++) {
      const part = source.subarray(done, done + (this.lengths[index] as number));
      memory.bytes.set(part, this.starts[index]);
      done += part.length;
    }
    return done;
  }

  /** A copy of the first bytes in the buffers. */
  gather(memory: GuestMemory, maxBytes: number): Uint8Array<ArrayBuffer> {
    const out = new Uint8Array(Math.min(this.total, maxBytes));
    let done = 0;
    for (let index = 0; index < this.count && done < out.length; index++) {
      const start = this.starts[index] as number;
      const length = Math.min(this.lengths[index] as number, out.length - done);
      out.set(memory.bytes.subarray(start, start + length), done);
      done += length;
    }
    return out;
  }
}
