// Row 7: when a guest that never returns is stopped.

import { type Plugin, isMortiseError, loadPlugin } from "../src/index.ts";
import { guestBytes } from "./modules.ts";
import { type Result, type Row, type RowOptions, milliseconds } from "./report.ts";

const TIMEOUT_MS = 50;
const GOAL_MS = 51;

/** Milliseconds from the call of a looping export to its error; then calls another export, which must work. */
async function stopTime(plugin: Plugin, method: "call" | "callSync"): Promise<number> {
  const began = performance.now();
  let failure: unknown;
  try {
    if (method === "call") await plugin.call("spin");
    else plugin.callSync("spin");
  } catch (error) {
    failure = error;
  }
  const took = performance.now() - began;
  if (!isMortiseError(failure) || failure.code !== "MORTISE_TIMEOUT") throw new Error("the loop was not stopped by its deadline", { cause: failure });
  (await plugin.call("globals")).bytes();
  return took;
}

/** Milliseconds that a JavaScript loop takes which looks at the clock all the time: what the machine allows at best. */
function busyTime(): number {
  const began = performance.now();
  let now = began;
  while (now - began < TIMEOUT_MS) now = performance.now();
  return now - began;
}

async function measure(plugin: Plugin, method: "call" | "callSync", runs: number): Promise<Result> {
  const times: number[] = [];
  const best: number[] = [];
  for (let index = 0; index < runs; index++) {
    best.push(busyTime());
    times.push(await stopTime(plugin, method));
  }
  const at = (values: readonly number[], share: number): number =>
    values.toSorted((left, right) => left - right)[Math.min(runs - 1, Math.floor(share * runs))] as number;
  const inTime = (values: readonly number[]): number => values.filter((time) => time <= GOAL_MS).length;
  return {
    what: `spin, ${method}, ${runs} runs`,
    ours: milliseconds(at(times, 0.5)),
    against: `${milliseconds(at(best, 0.5))}, ${inTime(best)} in time`,
    value: `${inTime(times)} in time (${milliseconds(at(times, 0))}, 90 % ${milliseconds(at(times, 0.9))}, last ${milliseconds(at(times, 1))})`,
    goal: `≤ ${GOAL_MS} ms`,
    reached: inTime(times) === runs,
    numbers: { medianMs: at(times, 0.5), p90Ms: at(times, 0.9), maxMs: at(times, 1), inTime: inTime(times), busyInTime: inTime(best), runs },
  };
}

async function run({ quick }: RowOptions): Promise<Result[]> {
  const plugin = await loadPlugin(await guestBytes("fixtures.c"), {
    name: "fixtures.c",
    limits: { timeoutMs: TIMEOUT_MS },
    hostFunctions: { "extism:host/user": { host_reflect: () => 0n } },
  });
  const runs = quick ? 10 : 50;
  const results = [await measure(plugin, "call", runs), await measure(plugin, "callSync", runs)];
  await plugin.close();
  return results;
}

export const DEADLINE: Row = {
  name: "deadline",
  title: `a loop with a deadline of ${TIMEOUT_MS} ms, on this thread`,
  measures:
    "Calls an export that never returns until its error is in hand; after each run another export of the plugin is called and must answer. Against a JavaScript loop that reads the clock until 50 ms are over: what it misses, the machine took.",
  run,
};
