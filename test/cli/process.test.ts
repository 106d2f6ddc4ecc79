// The command as a process: interrupted, read by half, and on a terminal.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, it } from "node:test";
import { stripVTControlCharacters } from "node:util";

import { FIXTURE, makeFolder, writeWat } from "./modules.ts";
import { ROOT, ended, startCli } from "./run-cli.ts";

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));
const fixture = await writeWat(folder, "fixture", FIXTURE);

const terminal = spawnSync("script", ["--version"]).status === 0 ? false : "script (util-linux) is not installed";

/** What a terminal of 80 columns gets to see. */
function onTerminal(command: string): string {
  const node = `'${process.execPath}' --conditions=source src/cli/main.ts`;
  const { stdout } = spawnSync("script", ["-qec", `stty cols 80; ${node} ${command}`, "/dev/null"], { cwd: ROOT, encoding: "utf8" });
  return stdout.replaceAll("\r\n", "\n");
}

describe("mortise call, when Ctrl-C comes while a plugin runs,", () => {
  it("ends at once, long before the deadline", async () => {
    const child = startCli(["call", fixture, "spin", "--timeout-ms", "600000"]);
    for await (const chunk of child.stderr) {
      if (String(chunk).includes("[info] go")) break;
    }
    const sent = performance.now();
    const exit = ended(child);
    child.kill("SIGINT");
    // Ended by the signal itself: what a shell reports as 130.
    assert.deepEqual(await exit, [null, "SIGINT"]);
    assert.ok(performance.now() - sent < 5000);
  });
});

describe("mortise, when the reader of its output leaves,", () => {
  it("ends quietly", async () => {
    const input = join(folder, "large.txt");
    await writeFile(input, "x".repeat(8 << 20));
    const child = startCli(["call", "guests/prebuilt/echo.c.wasm", "echo", "--input-file", input]);
    const exit = ended(child);
    child.stdout.once("data", () => child.stdout.destroy());
    assert.equal(await text(child.stderr), "");
    assert.deepEqual(await exit, [0, null]);
  });
});

describe("mortise, when its output cannot be written,", { skip: existsSync("/dev/full") ? false : "there is no /dev/full" }, () => {
  it("says so in one line and fails", () => {
    const command = `'${process.execPath}' --conditions=source src/cli/main.ts call guests/prebuilt/echo.c.wasm echo --input hi > /dev/full`;
    const { status, stderr } = spawnSync("sh", ["-c", command], { cwd: ROOT, encoding: "utf8" });
    assert.match(stderr, /^mortise: cannot write the output: ENOSPC[^\n]*\n$/);
    assert.equal(status, 1);
  });
});

describe("mortise, on a terminal,", { skip: terminal }, () => {
  it("ends an output with a newline if it has none", () => {
    assert.equal(onTerminal("call guests/prebuilt/echo.c.wasm echo --input hello"), "hello\n");
    assert.equal(onTerminal("call guests/prebuilt/echo.c.wasm echo --input 'hello\n'"), "hello\n");
  });

  it("keeps what inspect prints within 80 columns", async () => {
    const path = await writeWat(folder, "shared", `(module (memory (export "memory") 1 2 shared) (func (export "run")))`);
    const lines = stripVTControlCharacters(onTerminal(`inspect ${path}`))
      .split("\n")
      .slice(1);
    assert.deepEqual(
      lines.filter((line) => line.length > 80),
      [],
    );
  });
});
