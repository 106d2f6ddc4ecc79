// What a Bifrost plugin does before its instance is dropped: the same in every place, with its host at hand.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

/** Calls `note` when it is cleaned up. */
const plugin = (cleanup: string): Promise<Uint8Array> =>
  assemble(`(module (import "app" "note" (func $note))
    (memory (export "memory") 1)
    (func (export "malloc") (param i32) (result i32) (i32.const 1024))
    (func (export "get_name") (result i64) (i64.const 0))
    (func (export "cleanup") ${cleanup})
    (func (export "go") (param $at i32) (param $length i32) (result i64) (i64.const 4)))`);

const ROUNDS = 3;

describe("cleanup of a Bifrost plugin", () => {
  for (const isolation of ["inline", "thread", "process"] as const) {
    it(`may call its host, in every instance and in the last one (${isolation})`, async () => {
      let notes = 0;
      const hostFunctions = { app: { note: () => void notes++ } };
      const opened = await loadPlugin(await plugin("(call $note)"), { name: "tidy", isolation, pool: { recycleCalls: 1 }, hostFunctions });
      for (let call = 0; call < ROUNDS; call++) assert.equal((await opened.call("go", "x")).length, 4);
      await Promise.all([opened.close(), opened.close()]);
      assert.equal(notes, ROUNDS);
      assert.equal(opened.stats().instances.discarded, 0);
    });
  }

  for (const isolation of ["inline", "thread"] as const) {
    it(`holds nothing up if it loops (${isolation})`, async () => {
      const limits = { initTimeoutMs: 50 };
      const opened = await loadPlugin(await plugin("(loop (br 0))"), {
        name: "stuck",
        isolation,
        limits,
        pool: { recycleCalls: 1 },
        hostFunctions: { app: { note: () => {} } },
      });
      for (let call = 0; call < ROUNDS; call++) assert.equal((await opened.call("go", "x")).length, 4);
      await opened.close();
    });
  }
});
