// Where the engine, or the machine, has no room for more instances; and instances that are collected.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { assemble } from "../wasm/corpus.ts";

/** What a process says of its limits; "sh" is given first what ends with `exec`. */
async function tellCeiling(argument: string, prelude: string = "exec"): Promise<unknown> {
  const guest = Buffer.from(await assemble(CEILING_GUEST)).toString("base64");
  const program = fileURLToPath(new URL("ceiling.ts", import.meta.url));
  const script = `${prelude} "$0" --conditions=source --expose-gc "$1" ${argument}`;
  const options = { timeout: 120_000, env: { ...process.env, CEILING_GUEST: guest } };
  const { stdout } = await promisify(execFile)("sh", ["-c", script, process.execPath, program], options);
  return JSON.parse(stdout);
}

const CEILING_GUEST = `(module
  (import "extism:host/env" "input_offset" (func $input_offset (result i64)))
  (import "extism:host/env" "input_length" (func $input_length (result i64)))
  (import "extism:host/env" "output_set" (func $output_set (param i64 i64)))
  (import "host" "ask" (func $ask))
  (memory (export "memory") 1)
  (func (export "wait") (call $ask))
  (func (export "echo") (call $output_set (call $input_offset) (call $input_length))))`;

const linux = process.platform === "linux" ? {} : { skip: "limits of address space are set with a shell of Linux" };

describe("Instances of plugins that nobody closed", () => {
  it("give their places back when they are collected", linux, async () => {
    assert.deepEqual(await tellCeiling("collected"), { made: 200, left: 0 });
  });
});

describe("A process that has no room for more instances", () => {
  const refusing = {
    codes: ["MORTISE_INSTANCE_FAILED"],
    ends: ["MORTISE_CLOSED", "MORTISE_INSTANCE_FAILED"],
    works: "works",
    recovered: "recovered",
    live: 1,
  };

  it("since the engine has none refuses calls with a code, serves the others, and recovers", linux, async () => {
    const { made, ...rest } = (await tellCeiling("50000")) as { made: number };
    assert.deepEqual(rest, refusing);
    // The default cap is half of what was seen.
    assert.ok(made > 5000, `${made} instances`);
  });

  // A memory takes 8 GiB of addresses and more, and an instance of this guest has two.
  for (const gibibytes of [80, 200]) {
    it(`since it may have ${gibibytes} GiB of addresses refuses calls with a code, serves the others, and recovers`, linux, async () => {
      const { made, ...rest } = (await tellCeiling("50000", `ulimit -v ${gibibytes << 20} && exec`)) as { made: number };
      assert.deepEqual(rest, refusing);
      assert.ok(made <= gibibytes / 16, `${made} instances`);
    });
  }

  it("not even for one, since it may have 24 GiB of addresses, refuses the plugin with a code", linux, async () => {
    assert.deepEqual(await tellCeiling("50000", `ulimit -v ${24 << 20} && exec`), { refused: "MORTISE_INSTANCE_FAILED" });
  });

  it("unless the engine does without guard regions, since it may have 8 GiB of addresses", linux, async () => {
    // With guard regions there would not be one; without, each takes a while of the engine's looking for addresses.
    const { made, codes } = (await tellCeiling("4", `ulimit -v ${8 << 20} && exec`)) as { made: number; codes: string[] };
    assert.deepEqual([made, codes], [4, []]);
  });
});
