// WASI for one instance of a guest, on that guest's meter.

import { COST } from "../wasm/cost.ts";
import type { Meter } from "../wasm/meter.ts";
import { type Wasi, createWasi } from "../wasi/wasi.ts";
import type { PluginState } from "./guest.ts";
import type { HostCalls } from "./host-calls.ts";

/**
 * Makes the functions of WASI for an instance.
 *
 * @param self the instance, once it is there
 * @param exited told the exit code of a program that ends itself; the guest is then stopped
 */
export function guestWasi(
  state: PluginState,
  meter: Meter,
  calls: HostCalls,
  self: () => WebAssembly.Instance | undefined,
  exited: (code: number) => void,
): Wasi {
  return createWasi(state.wasi, {
    memory: () => {
      const memory = self()?.exports["memory"];
      return memory instanceof WebAssembly.Memory ? memory : undefined;
    },
    exit: (code) => {
      exited(code);
      meter.stopGuest("host");
    },
    charge: (bytes) => {
      if (bytes >= COST.hostBytesPerUnit) meter.charge(Math.floor(bytes / COST.hostBytesPerUnit));
    },
    timeLeftMs: () => meter.timeLeftMs,
    canSuspend: () => calls.mayWait,
  });
}
