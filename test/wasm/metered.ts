// Runs original and instrumented forms of a module in the same way, for tests that compare them.
import { instrument, type InstrumentedModule, type InstrumentOptions, Meter, type MeterOptions } from "../../src/wasm/index.ts";
import { createHost, execute, type Host, observe, type Outcome, type Run, type Surface } from "./execution.ts";

/** Corpus and generated modules are ours: what a policy would refuse is what we want to see run. */
export const everythingAllowed: InstrumentOptions = { gc: "allow", threads: "allow" };

export interface MeteredRun extends Run {
  readonly fuelUsed: number;
  readonly stopped: string | undefined;
}

/** A module rewritten and compiled, ready for any number of runs. */
export interface Prepared {
  readonly instrumented: InstrumentedModule;
  readonly module: WebAssembly.Module;
}

export function prepare(bytes: Uint8Array<ArrayBuffer>, options: InstrumentOptions = everythingAllowed): Prepared {
  const instrumented = instrument(bytes, options);
  return { instrumented, module: new WebAssembly.Module(instrumented.bytes) };
}

/** Runs a rewritten module under a new meter. */
export function executeMetered(prepared: Prepared, surface: Surface, options: MeterOptions = {}, host: Host = createHost()): MeteredRun {
  const meter = new Meter(prepared.instrumented, options);
  let attached = false;
  const run = execute(prepared.module, surface, host, {
    attach: (instance) => {
      meter.attach(instance);
      attached = true;
    },
    start: (instance) => meter.start(instance),
  });
  return { ...run, fuelUsed: attached ? meter.fuelUsed : 0, stopped: attached ? meter.stopped : undefined };
}

/** One call, what it added to the fuel used, and why it was stopped, if it was. */
export interface Measured {
  readonly outcome: Outcome;
  readonly fuel: number;
  readonly stopped: string | undefined;
}

/** An instance with a meter of its own; each call reports what it added to the fuel used. */
export class MeteredInstance {
  readonly #meter: Meter;
  readonly #instance: WebAssembly.Instance;
  readonly #started: Outcome;

  constructor(prepared: Prepared, fuel?: number, imports: WebAssembly.Imports = {}) {
    this.#meter = new Meter(prepared.instrumented, fuel === undefined ? {} : { fuel });
    this.#instance = new WebAssembly.Instance(prepared.module, imports);
    this.#meter.attach(this.#instance);
    this.#started = observe(() => this.#meter.start(this.#instance));
  }

  /** Fuel used since the start function began. */
  get fuelUsed(): number {
    return this.#meter.fuelUsed;
  }

  call(name: string, args: readonly unknown[]): Measured {
    const callee = this.#instance.exports[name];
    if (typeof callee !== "function") throw new Error(`no function "${name}"`);
    const before = this.#meter.fuelUsed;
    const outcome = this.#started.kind === "value" ? observe(() => Reflect.apply(callee, undefined, args)) : this.#started;
    return { outcome, fuel: this.#meter.fuelUsed - before, stopped: this.#meter.stopped };
  }
}

/** One call on a new instance, its start function included. */
export function measure(prepared: Prepared, name: string, args: readonly unknown[], fuel?: number, imports?: WebAssembly.Imports): Measured {
  const instance = new MeteredInstance(prepared, fuel, imports);
  return { ...instance.call(name, args), fuel: instance.fuelUsed };
}
