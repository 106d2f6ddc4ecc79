// Runs a plugin's functions in this thread.

import type { CompiledGuest, GuestEntry, GuestInstance, PluginState } from "../abi/guest.ts";
import { ExtismInstance } from "../abi/extism/instance.ts";
import type { MortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import { canSuspend } from "../wasm/host-functions.ts";
import { enterInstance, leaveInstance } from "./instance-cap.ts";
import type { Runner, RunnerCall, RunnerFactory } from "./runner.ts";

/** Makes instances of a compiled plugin in this thread. */
export function localRunners(guest: CompiledGuest, state: PluginState): RunnerFactory {
  /** Functions that were seen to hold the thread for longer than a slice of time. */
  const slow = new Set<GuestEntry>();
  return {
    create(timeoutMs) {
      enterInstance(state.name);
      try {
        return new LocalRunner(guest, ExtismInstance.create(guest, state, timeoutMs), slow);
      } catch (error) {
        leaveInstance();
        throw error;
      }
    },
    close: () => {},
  };
}

/** Counts out the instances of plugins that nobody closed. */
const dropped = new FinalizationRegistry<undefined>(() => leaveInstance());

class LocalRunner implements Runner {
  readonly #guest: CompiledGuest;
  readonly #instance: GuestInstance;
  readonly #slow: Set<GuestEntry>;
  #disposed = false;

  constructor(guest: CompiledGuest, instance: GuestInstance, slow: Set<GuestEntry>) {
    this.#guest = guest;
    this.#instance = instance;
    this.#slow = slow;
    dropped.register(this, undefined, this);
  }

  call(call: RunnerCall): PluginOutput | Promise<PluginOutput> {
    const entry = this.#entry(call);
    if (!entry.waits && !this.#slow.has(entry)) return this.#callNow(entry, call);
    return this.#instance.callSuspending(entry, call.input, call.context, call.timeoutMs, call.statedMs);
  }

  callSync(call: RunnerCall): PluginOutput {
    return this.#callNow(this.#entry(call), call);
  }

  #callNow(entry: GuestEntry, call: RunnerCall): PluginOutput {
    try {
      return this.#instance.call(entry, call.input, call.context, call.timeoutMs, call.statedMs);
    } finally {
      if (this.#instance.heldThread && canSuspend) this.#slow.add(entry);
    }
  }

  #entry({ entry }: RunnerCall): GuestEntry {
    const found = this.#guest.entries.get(entry);
    if (found === undefined) throw new RangeError(`no function ${entry}`); // the plugin has checked it
    return found;
  }

  stop(error: MortiseError): void {
    this.#instance.stop(error);
  }

  get poisoned(): boolean {
    return this.#instance.poisoned;
  }

  get fuelUsed(): number {
    return this.#instance.fuelUsed;
  }

  get inputBytes(): number {
    return this.#instance.inputBytes;
  }

  get memoryBytes(): number {
    return this.#instance.memoryBytes;
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    leaveInstance();
    dropped.unregister(this);
    this.#instance.dispose();
  }
}
