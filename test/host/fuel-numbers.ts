// How much fuel the prebuilt kernels and plugins use: the same everywhere, or the test beside this file fails.
//
//   node test/host/fuel-numbers.ts            prints the numbers
//   node test/host/fuel-numbers.ts --write    writes them to fuel-golden.json, after a change of the cost rule

import { readFileSync, writeFileSync } from "node:fs";

import { loadPlugin } from "../../src/index.ts";
import { type InstrumentedModule, Meter, type MeterOptions, instrument } from "../../src/wasm/index.ts";

/** File with the numbers that are right. */
export const GOLDEN = new URL("fuel-golden.json", import.meta.url);

/** Modules with kernels; they import nothing and export functions from i32 to i32. */
export const KERNEL_MODULES = ["kernels.c", "kernels.rs", "kernels.ts"] as const;

/** A small size of work for each kernel. */
export const KERNELS: Readonly<Record<string, number>> = {
  sieve: 1000,
  fib: 12,
  matmul: 8,
  mandelbrot: 10,
  sha256: 300,
  json_parse: 5,
  regex: 5,
  sort: 200,
  string_build: 50,
};

// Go's runtime asks for the time and for random numbers, so that its fuel is not the same twice: it is not among these.
const PLUGINS: readonly (readonly [module: string, fn: string, input: string])[] = [
  ["count_vowels.c", "count_vowels", "The quick brown fox jumps over the lazy dog"],
  ["count_vowels.rs", "count_vowels", "The quick brown fox jumps over the lazy dog"],
  ["count_vowels.ts", "count_vowels", "The quick brown fox jumps over the lazy dog"],
  ["echo.c", "echo", "x".repeat(1000)],
  ["echo.rs", "echo", "x".repeat(100_000)],
  ["echo.c", "noop", ""],
  ["sha256.c", "sha256", "abc"],
  ["vowels.ts", "count_vowels", "größer"],
  ["word_frequency.rs", "top_words", "# Title\n\nthe joint and the tenon"],
];

const read = (module: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(readFileSync(new URL(`../../guests/prebuilt/${module}.wasm`, import.meta.url)));

/** A module with kernels, ready to run. */
export interface KernelModule {
  readonly instrumented: InstrumentedModule;
  readonly module: WebAssembly.Module;
}

export function prepareKernels(name: string): KernelModule {
  const instrumented = instrument(read(name));
  return { instrumented, module: new WebAssembly.Module(instrumented.bytes) };
}

/** Runs one kernel in a new instance. */
export function runKernel(
  { instrumented, module }: KernelModule,
  kernel: string,
  n: number,
  options: MeterOptions = {},
): { fuel: number; result: number | undefined; stopped: string | undefined } {
  const instance = new WebAssembly.Instance(module, {});
  const meter = new Meter(instrumented, options);
  meter.attach(instance);
  let result: number | undefined;
  try {
    meter.start(instance);
    result = (instance.exports[kernel] as (n: number) => number)(n);
  } catch (error) {
    if (meter.stopped === undefined) throw error;
  }
  return { fuel: meter.fuelUsed, result, stopped: meter.stopped };
}

/** Fuel by module and function. */
export type FuelNumbers = Record<string, Record<string, number>>;

/** Measures everything; plugins at the first and at the third call of an instance. */
export async function measureFuel(): Promise<FuelNumbers> {
  const numbers: FuelNumbers = {};
  for (const name of KERNEL_MODULES) {
    const prepared = prepareKernels(name);
    numbers[name] = Object.fromEntries(Object.entries(KERNELS).map(([kernel, n]) => [`${kernel}(${n})`, runKernel(prepared, kernel, n).fuel]));
  }
  for (const [name, fn, input] of PLUGINS) {
    const plugin = await loadPlugin(read(name), { limits: { timeoutMs: 60_000 } });
    plugin.callSync(fn, input);
    const first = plugin.stats().fuel.last;
    plugin.callSync(fn, input);
    plugin.callSync(fn, input);
    numbers[name] = { ...numbers[name], [`${fn}, first call`]: first, [`${fn}, third call`]: plugin.stats().fuel.last };
    await plugin.close();
  }
  return numbers;
}

if (import.meta.main) {
  const text = `${JSON.stringify(await measureFuel(), undefined, 2)}\n`;
  if (process.argv.includes("--write")) writeFileSync(GOLDEN, text);
  else process.stdout.write(text);
}
