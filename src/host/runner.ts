// Where a plugin's functions run: in this thread, in a worker thread or in a process of their own.

import type { ExportedValue, GuestCall } from "../abi/guest.ts";
import type { MortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";

/** One call, as a runner takes it. */
export interface RunnerCall extends GuestCall {
  /** Name of a callable export. */
  readonly entry: string;
}

/** One place where a plugin's functions run, one call at a time. */
export interface Runner {
  /** Runs one call. Throws or rejects with a MortiseError. */
  call(call: RunnerCall): PluginOutput | Promise<PluginOutput>;
  /** Runs one call at once, where that is possible. @throws MortiseError */
  callSync?(call: RunnerCall): PluginOutput;
  /** Ends the running call as soon as can be; it then rejects with `error`. */
  stop(error: MortiseError): void;
  /** True once it must be dropped. */
  readonly poisoned: boolean;
  /** Cost units and input bytes of the last call, and the bytes of all memories now. */
  readonly fuelUsed: number;
  readonly inputBytes: number;
  readonly memoryBytes: number;
  /** Milliseconds that its calls have held this thread since this was last asked; counted only with a limits.cpuShare below 1. */
  takeHeldMs?(): number;
  /** A memory, table or global that the plugin exports, where that can be had. */
  exportedValue?(name: string): ExportedValue | undefined;
  /** Frees it; never leaves a handle, timer or message port behind. */
  dispose(): void;
}

/** Makes runners of one plugin. */
export interface RunnerFactory {
  /**
   * A new runner, initialised: start function and initialisers have run.
   *
   * @param timeoutMs milliseconds for that
   * @throws MortiseError why it could not be made
   */
  create(timeoutMs: number): Runner | Promise<Runner>;
  /** Frees what runners share; those that live are ended. */
  close(): void | Promise<void>;
}
