// What the functions of one instance work with.

import type { Descriptors } from "./descriptors.ts";
import type { GuestMemory } from "./guest-memory.ts";
import type { IoVectors } from "./io-vectors.ts";
import type { WasiGrants } from "./options.ts";
import type { OutputBudget } from "./streams.ts";
import type { WasiHost } from "./wasi.ts";

/** Bytes that a system call is charged as, besides those that it handles: about what it takes in time. */
const SYSTEM_CALL_BYTES = 32_768;

/** One instance. */
export interface WasiContext {
  readonly grants: WasiGrants;
  readonly host: WasiHost;
  readonly memory: GuestMemory;
  readonly vectors: IoVectors;
  readonly descriptors: Descriptors;
  readonly output: OutputBudget;
  /** Monotonic clock of the host when the instance was made, in nanoseconds. */
  readonly originNs: bigint;
  readonly waits: Waits;
}

/** What an instance waits for, to be given up when it is stopped. */
export interface Waits {
  /** Counts how often everything was given up. */
  generation: number;
  readonly timers: Set<NodeJS.Timeout>;
}

/**
 * Functions by name. They take what the guest passes: i32 as a signed number, i64 as a signed bigint. They return an
 * error number or a promise of one, or throw WasiFailure or the error of a system call.
 */
export type Functions = Readonly<Record<string, (...values: never[]) => number | Promise<number>>>;

/** Charges a system call. */
export function chargeCall(host: WasiHost): void {
  host.charge(SYSTEM_CALL_BYTES);
}
