// One attack, repeated in this process: prints what memory it holds after the first and after the last round, as JSON.
// Run by soak.ts with --expose-gc, a process for each attack, so that none is measured in the heap of another.

import { setTimeout as sleep, setImmediate as turn } from "node:timers/promises";

import { isMortiseError, loadPlugin, type PluginOptions } from "../src/index.ts";
import { moduleOf } from "../test/attacks/attack-run.ts";
import { type Attack, ATTACKS } from "../test/attacks/attacks.ts";

/** What a child reports. */
export interface SoakReport {
  readonly name: string;
  readonly kind: "calls" | "loads";
  /** Repetitions at each measurement: two, and more if memory grew between them. */
  readonly repetitions: readonly number[];
  /** Bytes at each measurement. */
  readonly heap: readonly number[];
  readonly rss: readonly number[];
  /** Endings by code, or "ok" for a call that did no harm. */
  readonly endings: Readonly<Record<string, number>>;
  readonly seconds: number;
}

/** Fuel for one repetition: thousands of them take seconds. */
const FUEL = 100_000;
/** What an attack needs to get as far as its attack. */
const FUEL_FOR: Readonly<Record<string, number>> = { "initialise-slowly": 20_000_000 };
/** Repetitions between two turns of the event loop, in which instances can be collected. */
const TURN_EVERY = 20;
/** A growth by more bytes than this asks for one more round, and so on up to this many measurements. */
const GROWTH = 5 << 20;
const MEASUREMENTS = 6;
/** Repetitions that tell how long one takes. */
const TRIAL = 6;

function scaled(attack: Attack): PluginOptions {
  const limits = { ...attack.options?.limits, fuel: FUEL_FOR[attack.name] ?? FUEL, timeoutMs: 10_000 };
  return { ...attack.options, name: attack.name, limits };
}

function endingOf(error: unknown): string {
  if (!isMortiseError(error)) throw error;
  return error.code;
}

/** One call of the attack and one of `ok`, or one load. */
async function makeRepetition(attack: Attack): Promise<() => string | Promise<string>> {
  const bytes = await moduleOf(attack);
  if (attack.ending.at === "load") {
    return async () => {
      try {
        await loadPlugin(bytes, scaled(attack));
        return "loaded";
      } catch (error) {
        return endingOf(error);
      }
    };
  }
  const plugin = await loadPlugin(bytes, scaled(attack));
  return () => {
    let ending = "ok";
    try {
      plugin.callSync("attack", attack.input);
    } catch (error) {
      ending = endingOf(error);
    }
    const output = plugin.callSync("ok").text();
    if (output !== "ok") throw new Error(`ok gave "${output}" after ${attack.name}`);
    return ending;
  };
}

/** Heap, what is outside of it, and resident memory, once everything that can be collected is. */
async function settledMemory(): Promise<{ heap: number; rss: number }> {
  for (let round = 0; round < 6; round++) {
    globalThis.gc?.();
    await sleep(20);
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed + external, rss };
}

/** Repeats one attack; rounds that would last longer than `maxSeconds` are cut, and the report says to how many. */
async function soak(attack: Attack, first: number, last: number, maxSeconds: number): Promise<SoakReport> {
  const began = performance.now();
  const repetition = await makeRepetition(attack);
  const endings: Record<string, number> = {};
  let done = 0;
  const repeat = async (until: number): Promise<void> => {
    for (; done < until; done++) {
      const ending = await repetition();
      endings[ending] = (endings[ending] ?? 0) + 1;
      if (done % TURN_EVERY === 0) await turn();
    }
  };
  await repeat(TRIAL); // compiles what runs often
  const trialBegan = performance.now();
  await repeat(TRIAL * 2);
  const share = Math.min(1, (maxSeconds * 1000) / (((performance.now() - trialBegan) / (TRIAL * 2)) * last));
  const late = Math.max(TRIAL * 8, Math.floor(last * share));
  const repetitions = [Math.max(TRIAL * 4, Math.floor(first * share)), late];
  const memory: { heap: number; rss: number }[] = [];
  for (const until of repetitions) {
    await repeat(until);
    memory.push(await settledMemory());
    const [before, after] = memory.slice(-2);
    const grew = after !== undefined && (after.heap - (before?.heap ?? 0) > GROWTH || after.rss - (before?.rss ?? 0) > GROWTH);
    // Memory that grows to a level and stays there is the engine's; memory that goes on growing is a leak.
    if (grew && memory.length < MEASUREMENTS) repetitions.push(until + late);
  }
  return {
    name: attack.name,
    kind: attack.ending.at === "load" ? "loads" : "calls",
    repetitions,
    heap: memory.map(({ heap }) => heap),
    rss: memory.map(({ rss }) => rss),
    endings,
    seconds: (performance.now() - began) / 1000,
  };
}

const [name, first, last, maxSeconds] = process.argv.slice(2);
const attack = ATTACKS.find((candidate) => candidate.name === name);
if (attack === undefined) throw new Error(`No attack "${name}"`);
console.log(JSON.stringify(await soak(attack, Number(first), Number(last), Number(maxSeconds))));
