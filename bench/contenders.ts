// The plugin hosts that are compared, each called as its users call it.

import { createPlugin } from "@extism/extism";
import { createPlugin as createPluginV1 } from "extism-v1";

import { createPlugin as createDoor } from "../src/extism/index.ts";
import { type Plugin, loadPlugin } from "../src/index.ts";
import type { Case } from "./measure.ts";
import { guestBytes } from "./modules.ts";

export type Input = string | Uint8Array;

/** A host with a guest loaded: what it answers, and the loop that is timed. */
export interface Contender extends Case {
  readonly answer: () => Promise<Uint8Array>;
  readonly close: () => Promise<void>;
}

/** What the benchmarks use of the two versions of `@extism/extism`. */
interface Peer {
  call(name: string, input: Input): Promise<{ bytes(): Uint8Array } | null>;
  reset(): Promise<boolean>;
  close(): Promise<void>;
}

/** 1.0.3 keeps every block until `reset`, and fails for good after 16,384 of them. */
const V1_CALLS_BETWEEN_RESETS = 200;

/** All contenders for one export and input: Mortise's `call` and `callSync`, the peers, and the door in their place. */
export async function contenders(guest: string, fn: string, input: Input): Promise<Contender[]> {
  const bytes = await guestBytes(guest);
  const plugin = await loadPlugin(bytes, { name: guest });
  const options = { useWasi: false, runInWorker: false };
  const v2: Peer = await createPlugin({ wasm: [{ data: bytes }] }, options);
  const v1: Peer = await createPluginV1({ wasm: [{ data: bytes }] }, options);
  const door: Peer = await createDoor({ wasm: [{ data: bytes }] }, options);
  const all = [
    mortiseCall(plugin, fn, input),
    mortiseCallSync(plugin, fn, input),
    extismV2(v2, fn, input),
    extismV1(v1, fn, input),
    { ...extismV2(door, fn, input), name: "mortise/extism" },
  ];
  await expectSameAnswers(guest, all);
  return all;
}

/** @throws Error if two hosts give different bytes: then their times say nothing. */
async function expectSameAnswers(guest: string, all: readonly Contender[]): Promise<void> {
  const answers = await Promise.all(all.map(async (item) => Buffer.from(await item.answer())));
  for (const [index, answer] of answers.entries()) {
    if (!answer.equals(answers[0] as Buffer)) throw new Error(`${guest}: ${all[index]?.name} and ${all[0]?.name} give different outputs`);
  }
}

function mortiseCall(plugin: Plugin, fn: string, input: Input): Contender {
  return {
    name: "call",
    answer: async () => (await plugin.call(fn, input)).bytes(),
    run: async (times) => {
      let size = 0;
      for (let left = times; left > 0; left--) size += (await plugin.call(fn, input)).bytes().length;
      expectOutput(size);
    },
    close: () => plugin.close(),
  };
}

function mortiseCallSync(plugin: Plugin, fn: string, input: Input): Contender {
  return {
    name: "callSync",
    answer: async () => plugin.callSync(fn, input).bytes(),
    run: (times) => {
      let size = 0;
      for (let left = times; left > 0; left--) size += plugin.callSync(fn, input).bytes().length;
      expectOutput(size);
    },
    close: () => plugin.close(),
  };
}

function extismV2(plugin: Peer, fn: string, input: Input): Contender {
  return {
    name: "2.0.0-rc13",
    answer: async () => (await plugin.call(fn, input))?.bytes() ?? new Uint8Array(0),
    run: async (times) => {
      let size = 0;
      for (let left = times; left > 0; left--) size += (await plugin.call(fn, input))?.bytes().length ?? 0;
      expectOutput(size);
    },
    close: () => plugin.close(),
  };
}

function extismV1(plugin: Peer, fn: string, input: Input): Contender {
  let calls = 0;
  return {
    name: "1.0.3",
    answer: async () => (await plugin.call(fn, input))?.bytes().slice() ?? new Uint8Array(0),
    run: async (times) => {
      let size = 0;
      for (let left = times; left > 0; left--) {
        if (++calls % V1_CALLS_BETWEEN_RESETS === 0) await plugin.reset();
        size += (await plugin.call(fn, input))?.bytes().length ?? 0;
      }
      expectOutput(size);
    },
    close: () => plugin.close(),
  };
}

/** Uses what a loop computed, so that it cannot be optimised away. */
function expectOutput(size: number): void {
  if (size === 0) throw new Error("the calls had no output");
}
