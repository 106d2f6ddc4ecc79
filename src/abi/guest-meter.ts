// The meter of one instance of a guest, by the plugin's limits.

import { Meter } from "../wasm/meter.ts";
import type { CompiledGuest, PluginState } from "./guest.ts";

const PAGE = 65_536;

/** Makes a meter that allows what the plugin may use beyond what its modules start with. */
export function guestMeter(guest: CompiledGuest, { limits, clock }: PluginState, timeoutMs: number): Meter {
  return new Meter(guest.main.instrumented, {
    fuel: limits.fuel,
    timeoutMs,
    growPages: Math.floor(limits.memoryBytes / PAGE) - guest.initialPages,
    growEntries: limits.tableEntries - guest.initialEntries,
    sliceMs: limits.sliceMs,
    cpuShare: limits.cpuShare,
    clock,
  });
}
