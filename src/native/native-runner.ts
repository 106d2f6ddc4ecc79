// Runs the functions of a native plugin: no instances, no memory of its own, nothing that could be thrown away.

import type { MortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import type { Runner, RunnerCall, RunnerFactory } from "../host/runner.ts";
import { NativeCall } from "./native-call.ts";
import type { NativeFunction, NativePlugin } from "./options.ts";

/** Makes runners of one plugin; they share the code and its state. */
export function nativeRunners(plugin: NativePlugin): RunnerFactory {
  return { create: () => new NativeRunner(plugin), close: () => {} };
}

class NativeRunner implements Runner {
  /** A function that was given up goes on in the same process: a new runner would change nothing. */
  readonly poisoned = false;
  readonly fuelUsed = 0;
  readonly memoryBytes = 0;
  inputBytes = 0;
  #heldMs = 0;
  readonly #plugin: NativePlugin;
  #running: NativeCall | undefined;

  constructor(plugin: NativePlugin) {
    this.#plugin = plugin;
  }

  call(call: RunnerCall): PluginOutput | Promise<PluginOutput> {
    return this.#holding(() => this.#begin(call).run(this.#function(call)));
  }

  callSync(call: RunnerCall): PluginOutput {
    return this.#holding(() => this.#begin(call).runSync(this.#function(call)));
  }

  /** Counts how long work holds the thread. What a function does after its first `await` is nobody's in particular. */
  #holding<T>(work: () => T): T {
    const { clock, limits } = this.#plugin.state;
    if (limits.cpuShare === 1) return work();
    const began = clock();
    try {
      return work();
    } finally {
      this.#heldMs += clock() - began;
    }
  }

  takeHeldMs(): number {
    const ms = this.#heldMs;
    this.#heldMs = 0;
    return ms;
  }

  #begin(call: RunnerCall): NativeCall {
    const running = new NativeCall(this.#plugin, call);
    this.inputBytes = running.inputBytes;
    this.#running = running;
    return running;
  }

  #function({ entry }: RunnerCall): NativeFunction {
    const work = this.#plugin.functions.get(entry);
    if (work === undefined) throw new RangeError(`no function ${entry}`); // the plugin has checked it
    return work;
  }

  stop(error: MortiseError): void {
    this.#running?.stop(error);
  }

  dispose(): void {
    this.#running = undefined;
  }
}
