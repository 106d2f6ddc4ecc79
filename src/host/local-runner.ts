// Runs a plugin's functions in this thread.

import type { CompiledGuest, ExportedValue, GuestEntry, GuestInstance, PluginState } from "../abi/guest.ts";
import type { MortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import { canSuspend } from "../wasm/host-functions.ts";
import { enterInstance, leaveInstance } from "./instance-cap.ts";
import type { Runner, RunnerCall, RunnerFactory } from "./runner.ts";

/** Makes instances of a compiled plugin in this thread. */
export function localRunners(guest: CompiledGuest, state: PluginState): RunnerFactory {
  const ways = new Map(Array.from(guest.entries, ([name, entry]): [string, Way] => [name, { entry, suspends: entry.waits }]));
  return {
    create(timeoutMs) {
      enterInstance(state.name);
      try {
        return new LocalRunner(ways, guest.instantiate(state, timeoutMs));
      } catch (error) {
        leaveInstance();
        throw error;
      }
    },
    close: () => {},
  };
}

/** How a function is called. */
interface Way {
  readonly entry: GuestEntry;
  /** So that it can be suspended: it may have to wait, or was seen to hold the thread for longer than a slice of time. */
  suspends: boolean;
}

/** Counts out the instances of plugins that nobody closed. */
const dropped = new FinalizationRegistry<undefined>(() => leaveInstance());

class LocalRunner implements Runner {
  readonly #ways: ReadonlyMap<string, Way>;
  readonly #instance: GuestInstance;
  #disposed = false;

  constructor(ways: ReadonlyMap<string, Way>, instance: GuestInstance) {
    this.#ways = ways;
    this.#instance = instance;
    instance.takeHeldMs(); // who makes an instance counts what that takes, also if it fails
    dropped.register(this, undefined, this);
  }

  call(call: RunnerCall): PluginOutput | Promise<PluginOutput> {
    const way = this.#way(call);
    if (!way.suspends) return this.#callNow(way, call);
    return this.#instance.callSuspending(way.entry, call);
  }

  callSync(call: RunnerCall): PluginOutput {
    return this.#callNow(this.#way(call), call);
  }

  #callNow(way: Way, call: RunnerCall): PluginOutput {
    const instance = this.#instance;
    try {
      return instance.call(way.entry, call);
    } finally {
      if (instance.heldThread && canSuspend) way.suspends = true;
    }
  }

  #way({ entry }: RunnerCall): Way {
    const way = this.#ways.get(entry);
    if (way === undefined) throw new RangeError(`no function ${entry}`); // the plugin has checked it
    return way;
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

  takeHeldMs(): number {
    return this.#instance.takeHeldMs();
  }

  exportedValue(name: string): ExportedValue | undefined {
    return this.#instance.exportedValue(name);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    leaveInstance();
    dropped.unregister(this);
    this.#instance.dispose();
  }
}
