// A plugin elsewhere is the plugin inline: the same transcript, case by case.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadPlugin } from "../../src/index.ts";
import { CASES } from "./cases.ts";
import { type Load, transcribe } from "./transcript.ts";

const inline: Load = (source, options) => loadPlugin(source, { ...options, isolation: "inline" });

/** Runs all cases in a place, and inline beside it. */
export function describeIsolation(place: string, load: Load): void {
  for (const [topic, cases] of Object.entries(CASES)) {
    describe(`loadPlugin with isolation "${place}"`, () => {
      for (const test of cases) {
        it(`does alike, in ${topic}: ${test.name}`, async () => {
          const here = await transcribe(inline, test);
          assert.deepEqual(here.results.map(plain), test.expected.map(plain), "inline");
          const there = await transcribe(load, test);
          assert.deepEqual(there.results.map(plain), test.expected.map(plain), place);
          assert.deepEqual(there.entries, here.entries);
        });
      }
    });
  }
}

/** Bytes as text, which a failed comparison can print. */
function plain(result: string | Uint8Array): string {
  return typeof result === "string" ? result : `${result.length} bytes ${Buffer.from(result.subarray(0, 16)).toString("hex")}`;
}
