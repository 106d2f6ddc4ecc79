// Clocks. They are rounded unless `wasi.clock` is "precise", so that they cannot time the machine's caches.

import type { Functions, WasiContext } from "./context.ts";
import { ERRNO, fail } from "./errno.ts";

/** `$clockid`. */
export const CLOCK = { realtime: 0, monotonic: 1, processTime: 2, threadTime: 3 } as const;

/** Monotonic time of a new instance. Not 0, which the runtime of Go takes for a broken clock. */
const START_NS = 1_000_000_000n;

/**
 * A clock in nanoseconds, not rounded. Everything but the clock on the wall starts with the instance, so that nothing
 * tells of the machine; the time of processor that the host has used is none of a guest's business either.
 *
 * @throws WasiFailure `inval` for no clock
 */
export function readClock({ grants, originNs }: WasiContext, id: number): bigint {
  if (id === CLOCK.realtime) return grants.clock.realtimeNs();
  if (id < 0 || id > CLOCK.threadTime) fail(ERRNO.inval);
  return grants.clock.monotonicNs() - originNs + START_NS;
}

/** `clock_res_get` and `clock_time_get`. */
export function clockFunctions(context: WasiContext): Functions {
  const { memory, grants } = context;
  const grain = grants.grainNs;
  return {
    clock_res_get: (id: number, address: number) => {
      memory.range(address, 8);
      if (id < 0 || id > CLOCK.threadTime) fail(ERRNO.inval);
      memory.setU64(address, grain);
      return ERRNO.success;
    },
    clock_time_get: (id: number, _precision: bigint, address: number) => {
      memory.range(address, 8);
      const time = readClock(context, id);
      memory.setU64(address, grain === 1n ? time : time - (time % grain));
      return ERRNO.success;
    },
  };
}
