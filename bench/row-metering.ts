// Row 4: what metering costs a guest that computes.

import { Meter, instrument } from "../src/wasm/index.ts";
import { guestBytes } from "./modules.ts";
import { type Samples, geometricMean, inRounds, ratioOf, spread, timeMs } from "./measure.ts";
import { type Result, type Row, type RowOptions, slower } from "./report.ts";

type Kernel = (n: number) => number;

/** Work for each kernel: about 10 to 50 ms a run. */
const SIZES: Readonly<Record<string, number>> = {
  sieve: 2_000_000,
  fib: 31,
  matmul: 200,
  mandelbrot: 400,
  sha256: 2_000_000,
  json_parse: 5000,
  regex: 3000,
  sort: 200_000,
  string_build: 100_000,
};
const GUESTS = ["kernels.c", "kernels.rs", "kernels.ts"] as const;
const GOAL = 1.15;
/** No kernel comes near it, but the clock is read as if it could. */
const TIMEOUT_MS = 60_000;
const WARM_UP_RUNS = { least: 5, most: 15 };
const STABLE = 1.05;

/** Both builds of one guest, instantiated; a metered kernel gets new fuel before each run. */
async function builds(guest: string): Promise<{ bare: (name: string) => Kernel; metered: (name: string) => Kernel }> {
  const bytes = await guestBytes(guest);
  const plain = await WebAssembly.instantiate(bytes);
  const instrumented = instrument(bytes, { source: guest });
  const { instance } = await WebAssembly.instantiate(instrumented.bytes);
  const meter = new Meter(instrumented, { timeoutMs: TIMEOUT_MS });
  meter.attach(instance);
  meter.start(instance);
  return {
    bare: (name) => plain.instance.exports[name] as Kernel,
    metered: (name) => {
      const kernel = instance.exports[name] as Kernel;
      return (n) => {
        meter.grant(meter.begin());
        return kernel(n);
      };
    },
  };
}

/** Runs both in turn until neither gets faster any more: the engine compiles hot functions again in the background. */
async function warmUp(bare: Kernel, metered: Kernel, n: number): Promise<void> {
  let last = Number.POSITIVE_INFINITY;
  for (let count = 0; count < WARM_UP_RUNS.most; count++) {
    const took = await timeMs(() => (bare(n), metered(n)));
    if (count >= WARM_UP_RUNS.least && took * STABLE > last) return;
    last = took;
  }
}

async function run({ quick }: RowOptions): Promise<Result[]> {
  const effort = { rounds: quick ? 3 : 9, slices: 3 };
  const results: Result[] = [];
  const means: number[] = [];
  for (const guest of GUESTS) {
    const { bare, metered } = await builds(guest);
    const ratios: number[] = [];
    for (const [name, n] of Object.entries(SIZES)) {
      const plain = bare(name);
      const checked = metered(name);
      if (plain(n) !== checked(n)) throw new Error(`${guest}: the metered ${name} computes something else`);
      await warmUp(plain, checked, n);
      const took = (kernel: Kernel) => async () => 1000 * (await timeMs(() => kernel(n)));
      // The same work every time: what is above the fastest run is disturbance from outside.
      const [above, below] = (await inRounds([took(checked), took(plain)], effort, (runs) => Math.min(...runs))) as [Samples, Samples];
      const ratio = ratioOf(above, below);
      ratios.push(ratio.median);
      results.push(slower(`${guest} ${name}(${n})`, spread(above), spread(below), ratio));
    }
    means.push(...ratios);
    results.push(mean(`${guest}, geometric mean`, ratios));
  }
  results.push(mean("all, geometric mean", means));
  return results;
}

function mean(what: string, ratios: readonly number[]): Result {
  const value = geometricMean(ratios);
  return { what, ours: "", against: "", value: `${value.toFixed(3)}x`, goal: `< ${GOAL}x`, reached: value < GOAL, numbers: { ratio: value } };
}

export const METERING: Row = {
  name: "metering",
  title: "a guest's own work, metered",
  measures: "Runs compute kernels with fuel, a deadline and growth limits watched, against the same module without instrumentation, both warmed up.",
  run,
};
