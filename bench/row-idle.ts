// Row 6: what an idle instance keeps in memory.

import { compileGuest } from "../src/abi/compile.ts";
import type { PluginState } from "../src/abi/guest.ts";
import { resolveOptions } from "../src/host/options.ts";
import { resolveWasi } from "../src/wasi/options.ts";
import { loadPlugin } from "../src/index.ts";
import { runChild } from "./run-child.ts";
import { guestBytes } from "./modules.ts";
import { collectGarbage, spread } from "./measure.ts";
import { type Result, type Row, type RowOptions, kibibytes } from "./report.ts";

const COUNT = 1000;
const GOAL_BYTES = 10 * 1024;
const GUESTS = ["count_vowels.c", "count_vowels.rs"] as const;

/** How a child makes its instances. */
type Kind = "bare" | "instance" | "plugin";

/** Bytes for each instance. */
interface Footprint {
  readonly rss: number;
  readonly heap: number;
}

/** Makes one instance. */
async function maker(kind: Kind, guest: string): Promise<() => Promise<unknown>> {
  const bytes = await guestBytes(guest);
  const options = { ...resolveOptions({}), name: guest };
  if (kind === "plugin") return () => loadPlugin(bytes, { name: guest });
  if (kind === "instance") {
    const compiled = await compileGuest("extism", [{ name: "main", bytes }], {
      plugin: guest,
      limits: options.limits,
      hostFunctions: {},
      provided: {},
    });
    return async () => {
      const state: PluginState = {
        ...options,
        config: new Map(),
        configJson: "{}",
        provided: {},
        variables: new Map(),
        variableBytes: 0,
        droppedLogs: 0,
        http: undefined,
        wasi: resolveWasi(undefined, undefined),
      };
      return compiled.instantiate(state, 1000);
    };
  }
  const module = await WebAssembly.compile(bytes);
  const functions: Record<string, () => void> = {};
  for (const { name } of WebAssembly.Module.imports(module)) functions[name] = () => {};
  return async () => new WebAssembly.Instance(module, { "extism:host/env": functions });
}

function settledMemory(): { rss: number; heap: number } {
  for (let pass = 0; pass < 4; pass++) collectGarbage();
  const { rss, heapUsed } = process.memoryUsage();
  return { rss, heap: heapUsed };
}

/** Body of a child process: makes instances and keeps them. */
export async function idleChild(kind: string, guest: string, count: number): Promise<Footprint> {
  const make = await maker(kind as Kind, guest);
  const kept = [await make()];
  const before = settledMemory();
  while (kept.length <= count) kept.push(await make());
  const after = settledMemory();
  if (kept.length !== count + 1) throw new Error("an instance is missing");
  return { rss: (after.rss - before.rss) / count, heap: (after.heap - before.heap) / count };
}

async function measure(guest: string, rounds: number): Promise<Result[]> {
  const all: Record<Kind, Footprint[]> = { bare: [], instance: [], plugin: [] };
  for (let round = 0; round < rounds; round++) {
    for (const kind of Object.keys(all) as Kind[]) all[kind].push((await runChild("idle", kind, guest, String(COUNT))) as Footprint);
  }
  const median = (kind: Kind, what: keyof Footprint): number => spread(all[kind].map((footprint) => footprint[what])).median;
  const line = (kind: Kind, what: keyof Footprint, text: string, goal: boolean): Result => {
    const [ours, bare] = [median(kind, what), median("bare", what)];
    const differences = spread(all[kind].map((footprint, round) => footprint[what] - (all.bare[round] as Footprint)[what]));
    return {
      what: `${guest}, ${text}`,
      ours: kibibytes(ours),
      against: kibibytes(bare),
      value: `+${kibibytes(differences.median)} (${kibibytes(differences.min)}..${kibibytes(differences.max)})`,
      ...(goal ? { goal: `≤ +${kibibytes(GOAL_BYTES)}`, reached: differences.median <= GOAL_BYTES } : {}),
      numbers: { oursBytes: ours, bareBytes: bare, moreBytes: differences.median },
    };
  };
  return [
    line("instance", "rss", "resident, one compiled module", true),
    line("instance", "heap", "JavaScript heap of it, one compiled module", false),
    line("plugin", "rss", "resident, loadPlugin for each", false),
    line("plugin", "heap", "JavaScript heap of it, loadPlugin for each", false),
  ];
}

async function run({ quick }: RowOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const guest of GUESTS) results.push(...(await measure(guest, quick ? 1 : 5)));
  return results;
}

export const IDLE: Row = {
  name: "idle",
  title: `${COUNT.toLocaleString("en")} idle instances`,
  measures:
    "Memory for each of 1,000 initialised instances that were not called yet, after garbage collection, in a process of their own, against as many bare WebAssembly.Instance objects of the original module.",
  run,
};
