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
function readClock({ grants, originNs }: WasiContext, id: number): bigint {
  if (id === CLOCK.realtime) return grants.clock.realtimeNs();
  if (id < 0 || id > CLOCK.threadTime) fail(ERRNO.inval);
  return grants.clock.monotonicNs() - originNs + START_NS;
}

/** The time of a clock as the guest may see it: rounded down, unless it was granted exactly. @throws WasiFailure `inval` for no clock */
export function guestTime(context: WasiContext, id: number): bigint {
  return roundTime(context.grants, readClock(context, id));
}

/** A time in nanoseconds, rounded down to what clocks tell. */
export function roundTime({ grainNs }: Pick<WasiContext["grants"], "grainNs">, time: bigint): bigint {
  return grainNs === 1n ? time : time - (time % grainNs);
}

/** `clock_res_get` and `clock_time_get`. */
export function clockFunctions(context: WasiContext): Functions {
  const { memory, grants } = context;
  return {
    clock_res_get: (id: number, address: number) => {
      memory.range(address, 8);
      if (id < 0 || id > CLOCK.threadTime) fail(ERRNO.inval);
      memory.setU64(address, grants.grainNs);
      return ERRNO.success;
    },
    clock_time_get: (id: number, _precision: bigint, address: number) => {
      memory.range(address, 8);
      memory.setU64(address, guestTime(context, id));
      return ERRNO.success;
    },
  };
}
