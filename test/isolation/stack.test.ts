// The end of the stack, wherever in a question to the host it comes: the call ends with its code, and the place lives.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type CallContext, type MortiseError, loadPlugin } from "../../src/index.ts";
import { DEFAULT_REMOTE_POOL } from "../../src/isolation/blueprint.ts";
import { childProcesses, threads } from "./children.ts";
import { ENV, wat } from "./guests.ts";

/** First frames of different sizes, so that the end of the stack comes at different places in the frames after them. */
const STARTS = 300;

/** Recurses without end; asks the host with its depth, from the depth on that the input has bytes. */
const GUEST = `(module ${ENV}
  (import "host" "at" (func $at (param i64) (result i64)))
  (import "extism:host/env" "log_info" (func $log (param i64)))
  (func $deep (param $depth i64)
    (if (i64.ge_u (local.get $depth) (call $input_length)) (then (drop (call $at (local.get $depth))) (call $log (call $input_offset))))
    (call $deep (i64.add (local.get $depth) (i64.const 1)))
    (call $output_set (i64.const 0) (i64.const 0)))
  ${Array.from({ length: STARTS }, (_, start) => `(func (export "start${start}") (local ${"i64 ".repeat(start)}) (call $deep (i64.const 0)) ${Array.from({ length: start }, (_item, local) => `(drop (local.get ${local}))`).join(" ")})`).join("\n")})`;

// An answer that a busy machine delays has not been lost; one that is lost does not come at all.
Object.assign(DEFAULT_REMOTE_POOL, { stallMs: 30_000 });

for (const isolation of ["thread", "process"] as const) {
  describe(`A guest that exhausts the stack in a ${isolation}`, () => {
    it("ends with MORTISE_STACK_OVERFLOW wherever that happens, and its place goes on", { timeout: 120_000 }, async () => {
      let deepest = 0n;
      await using plugin = await loadPlugin(await wat(GUEST)(), {
        isolation,
        limits: { timeoutMs: 60_000, memoryBytes: 16 << 20, logBytes: 1 << 30 },
        logger: { trace() {}, debug() {}, info() {}, warn() {}, error() {} },
        hostFunctions: {
          host: {
            at(context: CallContext, depth: bigint) {
              if (depth > deepest) deepest = depth;
              // An operation while the child has next to no stack left.
              return BigInt(context.length(256));
            },
          },
        },
      });
      const overflow = async (fn: string, from: number): Promise<void> => {
        await assert.rejects(plugin.call(fn, new Uint8Array(from)), (error: MortiseError) => {
          assert.equal(error.code, "MORTISE_STACK_OVERFLOW", `${fn} from ${from}: ${error.message}`);
          return true;
        });
      };
      // The depth is found in rough steps: each step is a call of the host.
      await overflow("start0", 500);
      const from = Number(deepest) - 60;
      assert.ok(from > 0);
      const [processes, workers] = [childProcesses().filter((pid) => pid > 0), threads()];
      for (let start = 0; start < STARTS; start++) {
        deepest = 0n;
        await overflow(`start${start}`, from);
        assert.ok(deepest > 0n, "the host was asked");
      }
      if (isolation === "process") assert.ok(processes.every((pid) => childProcesses().includes(pid)));
      else assert.ok(threads() >= workers);
    });
  });
}
