// Reloads under load: so many requests a second for so long, with a reload every second, of which one in five is broken; and
// the manager against its model over many random sequences of commands. Prints one JSON object.
//
//   node --conditions=source --expose-gc scripts/soak-reload.ts [--seconds N] [--rate N] [--sequences N] [--seed S]

import { parseArgs } from "node:util";

import { runModel } from "../test/manager/model.ts";
import { type StormReport, reloadStorm } from "../test/manager/reload-storm.ts";

/** What came of it. */
export interface ReloadReport extends StormReport {
  readonly seconds: number;
  readonly rate: number;
  /** MiB of heap and of resident memory, after the first quarter and at the end, both after garbage collection. */
  readonly heapMib: readonly [first: number, last: number];
  readonly rssMib: readonly [first: number, last: number];
  readonly model: { readonly seed: number; readonly sequences: number; readonly commands: number };
}

const MIB = 1 << 20;

async function remains(): Promise<{ readonly heap: number; readonly rss: number }> {
  for (let pass = 0; pass < 5; pass++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: (heapUsed + external) / MIB, rss: rss / MIB };
}

/** Requests at a steady rate by the clock: what could not be begun in time is begun at once. */
async function storm(seconds: number, rate: number): Promise<StormReport> {
  const began = performance.now();
  let begun = 0;
  let reloads = 0;
  return reloadStorm({
    workMs: 5,
    next: async () => {
      await new Promise((resolve) => setTimeout(resolve, 1));
      const elapsed = (performance.now() - began) / 1000;
      if (elapsed >= seconds) return undefined;
      const count = Math.floor(elapsed * rate) - begun;
      begun += count;
      return count;
    },
    isReloadDue: () => {
      if ((performance.now() - began) / 1000 < reloads + 1) return false;
      reloads++;
      return true;
    },
  });
}

async function soak(seconds: number, rate: number, sequences: number, seed: number): Promise<ReloadReport> {
  const commands = sequences === 0 ? 0 : await runModel(sequences, seed);
  // What engine and allocator keep for later they take in the first part.
  const first = await storm(seconds / 4, rate);
  const before = await remains();
  const report = await storm(seconds, rate);
  const after = await remains();
  return {
    ...report,
    wrong: [...first.wrong, ...report.wrong],
    seconds,
    rate,
    heapMib: [before.heap, after.heap],
    rssMib: [before.rss, after.rss],
    model: { seed, sequences, commands },
  };
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    rate: { type: "string", default: "5000" },
    sequences: { type: "string", default: "100000" },
    seed: { type: "string", default: "1" },
  },
});
console.log(JSON.stringify(await soak(Number(values.seconds), Number(values.rate), Number(values.sequences), Number(values.seed))));
