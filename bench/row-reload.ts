// What requests notice of it when their plugin is replaced while they come.

import { createHost, hook } from "../src/index.ts";
import { spread } from "./measure.ts";
import { distinct, guestBytes } from "./modules.ts";
import { type Result, type Row, type RowOptions, milliseconds } from "./report.ts";

/** Requests a second, and between two reloads. */
const RATE = 5000;
const REQUESTS_PER_RELOAD = 1000;
const INPUT = { title: "x".repeat(900), text: "The mortise takes the tenon." };

interface Latencies {
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly max: number;
}

/** Milliseconds from when each of so many requests was due to its end, at a steady rate, with a reload now and then or none. */
async function serve(reloads: boolean, rounds: number): Promise<Latencies & { readonly switchUs: number }> {
  const bytes = await guestBytes("hooks.c");
  await using host = await createHost({ hooks: { beforeSave: hook.chain<typeof INPUT>() } });
  await host.plugins.load(bytes, { name: "plugin" });
  for (let left = 2000; left > 0; left--) await host.hooks.beforeSave(INPUT);
  const latencies: number[] = [];
  const switches: number[] = [];
  const total = rounds * REQUESTS_PER_RELOAD;
  const began = performance.now();
  const dueAt = (number: number): number => began + (number * 1000) / RATE;
  let pending: Promise<unknown> = Promise.resolve();
  for (let number = 0; number < total; number++) {
    while (performance.now() < dueAt(number)) await new Promise(setImmediate);
    if (reloads && number % REQUESTS_PER_RELOAD === 0) pending = host.plugins.reload("plugin", distinct(bytes));
    await host.hooks.beforeSave(INPUT);
    latencies.push(performance.now() - dueAt(number));
  }
  await pending;
  // The switch by itself: between two versions that are loaded.
  await host.plugins.stage("plugin", distinct(bytes), { version: "other" });
  const present = host.plugins.list()[0]?.version ?? "1";
  for (let time = 0; time < 1000; time++) {
    const start = performance.now();
    host.plugins.switchTo("plugin", time % 2 === 0 ? "other" : present);
    switches.push((performance.now() - start) * 1000);
  }
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] as number;
  return { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: at(1), switchUs: spread(switches).median };
}

async function run({ quick }: RowOptions): Promise<Result[]> {
  const rounds = quick ? 5 : 25;
  const steady = await serve(false, rounds);
  const reloaded = await serve(true, rounds);
  const line = (what: string, key: keyof Latencies): Result => ({
    what: `${what} of requests, ${rounds} reloads`,
    ours: milliseconds(reloaded[key]),
    against: `${milliseconds(steady[key])} without reloads`,
    value: `${milliseconds(Math.max(reloaded[key] - steady[key], 0))} more`,
    numbers: { reloadedMs: reloaded[key], steadyMs: steady[key] },
  });
  return [
    line("median", "p50"),
    line("99 %", "p99"),
    line("99.9 %", "p999"),
    line("slowest", "max"),
    { what: "the switch itself", ours: milliseconds(reloaded.switchUs / 1000), against: "", value: "", numbers: { switchUs: reloaded.switchUs } },
  ];
}

export const RELOAD_ROW: Row = {
  name: "reload",
  title: "a plugin that is replaced under load",
  measures:
    "Runs a hook over 1 KiB of JSON at 5,000 requests a second, with a reload at every thousandth, and without; the time is counted from when a request was due, so that what holds the thread counts for all that wait.",
  run,
};
