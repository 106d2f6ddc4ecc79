// Row: a plugin that calls another one, against the other one called by the host.

import type { Plugin } from "../src/index.ts";
import { createHost } from "../src/manager/create-host.ts";
import { assembleText } from "../test/wasm/assemble.ts";
import { type Case, type Samples, interleave, spread } from "./measure.ts";
import { guestBytes } from "./modules.ts";
import type { Result, Row, RowOptions } from "./report.ts";

/** Calls of the other plugin in one call of the guest: what a call of the guest itself costs disappears among them. */
const TIMES = 200;
const BYTES = 1024;
const GOAL_US = 2;

/** What is called: a plugin that copies its input in and out again, and one that returns at once. */
const CALLED = ["echo", "noop"] as const;

/** A guest that has its input in a block already, and hands it to a function of the other plugin again and again. */
function guestText(fn: string, times: number): string {
  const store = (local: string, text: string): string =>
    Array.from(Buffer.from(text), (byte, at) => `(call $store (i64.add (local.get ${local}) (i64.const ${at})) (i32.const ${byte}))`).join("");
  return `(module
    (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
    (import "extism:host/env" "free" (func $free (param i64)))
    (import "extism:host/env" "store_u8" (func $store (param i64 i32)))
    (import "extism:host/env" "input_offset" (func $input (result i64)))
    (import "mortise:host" "plugin_call" (func $call (param i64 i64 i64) (result i64)))
    (func (export "run") (local $left i32) (local $name i64) (local $fn i64) (local $output i64)
      (local.set $name (call $alloc (i64.const 4)))
      ${store("$name", "echo")}
      (local.set $fn (call $alloc (i64.const ${fn.length})))
      ${store("$fn", fn)}
      (local.set $left (i32.const ${times}))
      (loop
        (local.set $output (call $call (local.get $name) (local.get $fn) (call $input)))
        (if (i64.ne (local.get $output) (i64.const 0)) (then (call $free (local.get $output))))
        (br_if 0 (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))`;
}

const INPUT = new Uint8Array(BYTES).fill(0x61);

function directly(name: string, plugin: Plugin, fn: string): Case {
  return {
    name,
    run: (times) => {
      for (let left = times * TIMES; left > 0; left--) plugin.callSync(fn, INPUT).bytes();
    },
  };
}

/** The guest's own call waits for nothing, but is made so that it could. */
function inside(name: string, plugin: Plugin): Case {
  return {
    name,
    run: async (times) => {
      for (let left = times; left > 0; left--) await plugin.call("run", INPUT);
    },
  };
}

async function run({ effort }: RowOptions): Promise<Result[]> {
  const host = await createHost({ hooks: {} });
  const callee = await host.plugins.load(await guestBytes("echo.c"), { name: "echo" });
  const cases: Case[] = [];
  for (const fn of CALLED) {
    const caller = await host.plugins.load(await assembleText(fn, guestText(fn, TIMES)), { name: `calls ${fn}`, permissions: { call: ["echo:*"] } });
    cases.push(directly(fn, callee, fn), inside(`plugin_call of ${fn}`, caller));
  }
  const samples = (await interleave(cases, effort)).map((sample) => sample.map((value) => value / TIMES));
  await host.close();
  return CALLED.map((fn, index) => above(fn, samples[index * 2] as Samples, samples[index * 2 + 1] as Samples));
}

/** What it costs that a plugin calls, and not the host. */
function above(fn: string, direct: Samples, called: Samples): Result {
  const added = spread(called.map((value, round) => value - (direct[round] as number)));
  const { median, min, max } = added;
  return {
    what: `${fn}, 1 KiB`,
    ours: time(spread(called).median),
    against: `${time(spread(direct).median)} called directly`,
    value: `${time(median)} more (${time(min)}..${time(max)})`,
    goal: `< ${time(GOAL_US)} more`,
    reached: median < GOAL_US,
    numbers: { callUs: spread(called).median, directUs: spread(direct).median, addedUs: median },
  };
}

function time(microseconds: number): string {
  return `${microseconds.toFixed(2)} µs`;
}

export const PLUGIN_CALLS: Row = {
  name: "plugin-calls",
  title: "a plugin that calls another plugin",
  measures:
    "A guest calls a function of another plugin 200 times in one call, with an input of 1 KiB, and the time is divided, against the same function called by the host: permission, path, copies out of the one memory and into the other, and the crossings.",
  run,
};
