// What a plugin elsewhere does to the process that uses it, seen from outside.

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { isAlive, until } from "./children.ts";

const PROGRAM = fileURLToPath(new URL("./program.ts", import.meta.url));

function start(isolation: string, task: string, flags: readonly string[] = [], env: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, [...flags, PROGRAM, isolation, task], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NODE_OPTIONS: "", ...env },
  });
}

async function output(child: ChildProcess): Promise<{ text: string; code: number | null }> {
  let text = "";
  child.stdout?.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
  const code = await new Promise<number | null>((resolve) => child.once("close", resolve));
  return { text, code };
}

for (const isolation of ["thread", "process"] as const) {
  describe(`A program with a plugin in a ${isolation}`, () => {
    it("ends by itself though the plugin was not closed", async () => {
      assert.deepEqual(await output(start(isolation, "idle")), { text: "1\n", code: 0 });
    });

    it("does not end before a call that runs is over", async () => {
      assert.deepEqual(await output(start(isolation, "call")), { text: "MORTISE_FUEL\n", code: 0 });
    });

    it("does not hand its flags and environment on", async (t) => {
      const folder = mkdtempSync(join(tmpdir(), "mortise-flags-"));
      t.after(() => rmSync(folder, { recursive: true }));
      const log = join(folder, "log");
      const hook = join(folder, "hook.mjs");
      writeFileSync(log, "");
      writeFileSync(hook, `import { appendFileSync } from "node:fs"; appendFileSync(${JSON.stringify(log)}, "loaded\\n");`);
      const result = await output(start(isolation, "idle", ["--import", hook, "--title=mortise-parent"], { NODE_OPTIONS: `--import=${hook}` }));
      assert.deepEqual(result, { text: "1\n", code: 0 });
      // Once for the flag and the variable together: a module is loaded once in a process, and in each thread that has it.
      assert.equal(readFileSync(log, "utf8"), "loaded\n");
    });
  });
}

describe("A program with a plugin in a process", () => {
  it("does not end before the plugin is closed, though its process was lost", async () => {
    assert.deepEqual(await output(start("process", "close")), { text: "MORTISE_MEMORY_LIMIT\nclosed\n", code: 0 });
  });

  for (const task of ["wait", "sleep"]) {
    it(`that is killed takes the plugin's process with it: ${task}`, async () => {
      const program = start("process", task);
      const pids = await new Promise<number[]>((resolve) =>
        program.stdout?.once("data", (chunk: Buffer) => resolve(String(chunk).trim().split(" ").map(Number))),
      );
      assert.ok(pids.length > 0 && pids.every(isAlive));
      program.kill("SIGKILL");
      await until(() => !pids.some(isAlive));
    });
  }
});
