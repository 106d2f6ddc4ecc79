// Fuel, a deadline and a cap on memory for a module that has nothing to do with plugins.

import { readFile } from "node:fs/promises";

import { Meter, instrument } from "mortise/wasm";

type Kernel = (n: number) => number;

// A module that imports nothing and exports functions over numbers.
const bytes = await readFile(new URL("../guests/prebuilt/kernels.c.wasm", import.meta.url));
const instrumented = instrument(bytes, { source: "kernels" });
const { instance } = await WebAssembly.instantiate(instrumented.bytes);

const meter = new Meter(instrumented, { fuel: 20_000_000, timeoutMs: 60_000, growPages: 1024 });
meter.attach(instance);
meter.start(instance); // what the start function would have done, under the same limits

const sieve = instance.exports["sieve"] as Kernel;

function run(n: number): string {
  meter.grant(meter.begin()); // new fuel, and the deadline starts anew
  try {
    return `checksum ${sieve(n)}`;
  } catch (error) {
    if (meter.stopped === undefined) throw error;
    return `stopped: ${meter.stopped}`;
  }
}

const small = run(1000);
const fuel = meter.fuelUsed;
console.log(`sieve(1,000): ${small}`);
console.log(`the same work costs the same fuel: ${run(1000) === small && meter.fuelUsed === fuel}`);
console.log(`ten times the work costs more: ${run(10_000) !== small && meter.fuelUsed > 5 * fuel}`);
console.log(`sieve(10,000,000): ${run(10_000_000)}`);
console.log(`sieve(1,000), once more: ${run(1000)}`);
