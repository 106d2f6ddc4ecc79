// Random bytes, from the system or from `wasi.random`.

import { randomFillSync } from "node:crypto";

import type { Functions, WasiContext } from "./context.ts";
import { ERRNO, fail } from "./errno.ts";

/** Bytes that node:crypto fills in one go. */
const PART_BYTES = 65_536;
/** Bytes of one call: there is no short answer to a wish for random bytes, and more would hold the thread for long. */
export const MAX_RANDOM = 1 << 20;

/** `random_get`. */
export function randomFunctions({ memory, host, grants }: WasiContext): Functions {
  return {
    random_get: (address: number, length: number) => {
      const size = length >>> 0;
      const at = memory.range(address, size);
      if (size > MAX_RANDOM) fail(ERRNO.inval);
      host.charge(size);
      if (grants.random === undefined) {
        for (let done = 0; done < size; done += PART_BYTES) randomFillSync(memory.bytes, at + done, Math.min(PART_BYTES, size - done));
        return ERRNO.success;
      }
      // A function of the user's gets bytes of its own: those of the guest are not to be kept.
      const bytes = new Uint8Array(size);
      grants.random(bytes);
      memory.bytes.set(bytes, at);
      return ERRNO.success;
    },
  };
}
