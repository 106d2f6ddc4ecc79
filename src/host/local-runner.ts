// Runs a plugin's functions in this thread.

import type { CompiledGuest, ExportedValue, GuestEntry, GuestInstance, PluginState } from "../abi/guest.ts";
import type { MortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import { canSuspend } from "../wasm/host-functions.ts";
import { enterInstance, leaveInstance } from "./instance-cap.ts";
import type { Runner, RunnerCall, RunnerFactory } from "./runner.ts";

/** Makes instances of a compiled plugin in this thread. */
export function localRunners(guest: CompiledGuest, state: PluginState): RunnerFactory {
  const ways = new Map(Array.from(guest.entries, ([name, entry]): [string, Way] => [name, { entry, suspendingCalls: entry.waits ? ALWAYS : 0 }]));
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

const ALWAYS = Number.POSITIVE_INFINITY;
/** Units that ordinary code uses up in a small part of a slice of time: 60 to 125 µs. Misses of the cache make that 25 ms at most. */
const FEW_UNITS = 250_000;
/** Calls that can be suspended after one that used no more, and took a slice of time all the same. */
const DOUBTFUL_CALLS = 64;

/** How a function is called. */
interface Way {
  readonly entry: GuestEntry;
  /**
   * Calls to come that are made so that they can be suspended, which costs some: all if the function may have to wait, or was
   * seen to hold the thread for longer than a slice of time; some if a busy machine may have had the thread meanwhile.
   */
  suspendingCalls: number;
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
    if (way.suspendingCalls === 0) return this.#callNow(way, call);
    way.suspendingCalls--;
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
      if (instance.heldThread && canSuspend) {
        const isDoubtful = !instance.poisoned && instance.fuelUsed <= FEW_UNITS;
        way.suspendingCalls = Math.max(way.suspendingCalls, isDoubtful ? DOUBTFUL_CALLS : ALWAYS);
      }
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
