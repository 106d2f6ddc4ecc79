// Row 4: a whole call during which the guest waits for one asynchronous host function.

import { createPlugin } from "@extism/extism";
import { createPlugin as createPluginV1 } from "extism-v1";

import { loadPlugin } from "../src/index.ts";
import { assembleText } from "../test/wasm/assemble.ts";
import { type Case, type Samples, interleave, ratioOf, spread } from "./measure.ts";
import { type Result, type Row, type RowOptions, faster } from "./report.ts";

/** Hands its input's block to a host function, and outputs the block that it answers with. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $offset (result i64)))
  (import "extism:host/env" "input_length" (func $length (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/user" "ask" (func $ask (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $output (call $ask (call $offset)) (call $length))))`;

const INPUT = "Hello, World!";
const NAMESPACE = "extism:host/user";
/** 1.0.3 keeps every block until `reset`. */
const V1_CALLS_BETWEEN_RESETS = 200;

interface Contender extends Case {
  readonly close: () => Promise<void>;
}

function expectAnswer(text: string | undefined): void {
  if (text !== INPUT) throw new Error(`the guest gave ${String(text)}`);
}

async function mortise(bytes: Uint8Array): Promise<Contender> {
  const plugin = await loadPlugin(bytes, { hostFunctions: { [NAMESPACE]: { ask: async (_context, block: bigint) => block } } });
  expectAnswer((await plugin.call("run", INPUT)).text());
  return {
    name: "call",
    run: async (times) => {
      for (let left = times; left > 0; left--) await plugin.call("run", INPUT);
    },
    close: () => plugin.close(),
  };
}

async function extismV2(bytes: Uint8Array): Promise<Contender> {
  const functions = { [NAMESPACE]: { ask: async (_context: unknown, block: bigint) => block } };
  const plugin = await createPlugin({ wasm: [{ data: bytes }] }, { useWasi: false, runInWorker: false, functions });
  expectAnswer((await plugin.call("run", INPUT))?.text());
  return {
    name: "2.0.0-rc13",
    run: async (times) => {
      for (let left = times; left > 0; left--) await plugin.call("run", INPUT);
    },
    close: () => plugin.close(),
  };
}

async function extismV1(bytes: Uint8Array): Promise<Contender> {
  const functions = { [NAMESPACE]: { ask: async (_context: unknown, block: bigint) => block } };
  const plugin = await createPluginV1({ wasm: [{ data: bytes }] }, { useWasi: false, runInWorker: true, functions });
  expectAnswer((await plugin.call("run", INPUT))?.text());
  let calls = 0;
  return {
    name: "1.0.3",
    run: async (times) => {
      for (let left = times; left > 0; left--) {
        if (++calls % V1_CALLS_BETWEEN_RESETS === 0) await plugin.reset();
        await plugin.call("run", INPUT);
      }
    },
    close: () => plugin.close(),
  };
}

async function run({ effort }: RowOptions): Promise<Result[]> {
  const bytes = await assembleText("async", GUEST);
  const cases = [await mortise(bytes), await extismV2(bytes), await extismV1(bytes)];
  const [ours, v2, v1] = (await interleave(cases, effort)) as [Samples, Samples, Samples];
  for (const item of cases) await item.close();
  return [
    faster("one async host function, against 2.0.0-rc13 with JSPI", spread(ours), spread(v2), ratioOf(v2, ours), 4),
    faster("one async host function, against 1.0.3 in its worker", spread(ours), spread(v1), ratioOf(v1, ours), 40),
  ];
}

export const ASYNC: Row = {
  name: "async",
  title: "a whole call with one asynchronous host function",
  measures:
    "Calls an export with 13 bytes that hands them to an async function of the host, waits for its promise, and outputs what it gave, against 2.0.0-rc13 on the same thread and 1.0.3 in its worker, the only way it has.",
  run,
};
