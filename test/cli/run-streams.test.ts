// The streams of a program that `mortise run` runs: as they come, no faster than they are read, and interrupted.
import assert from "node:assert/strict";
import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { after, describe, it } from "node:test";

import { PROGRAMS, WAITS, makeFolder, program, writeWat } from "./modules.ts";
import { GIVE_UP_MS, ROOT, ended, runCli, startCli } from "./run-cli.ts";

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));
const paths = {} as Record<keyof typeof PROGRAMS, string>;
for (const [name, body] of Object.entries(PROGRAMS)) paths[name as keyof typeof PROGRAMS] = await writeWat(folder, name, body);

const terminal = spawnSync("script", ["--version"]).status === 0 ? false : "script (util-linux) is not installed";

/** A shell's line in which `mortise` is the command. */
function shell(line: string): { stdout: string; stderr: string; status: number | null } {
  const mortise = `mortise() { '${process.execPath}' --conditions=source '${join(ROOT, "src/cli/main.ts")}' "$@"; }`;
  const options = { cwd: folder, encoding: "utf8", timeout: GIVE_UP_MS, killSignal: "SIGKILL" } as const;
  const { stdout, stderr, status } = spawnSync("bash", ["-c", `${mortise}\n${line}`], options);
  return { stdout, stderr, status };
}

/** What a program says next. */
async function nextText(child: ChildProcessWithoutNullStreams): Promise<string> {
  const [chunk] = (await once(child.stdout, "data")) as [Buffer];
  return chunk.toString();
}

describe("Standard input of mortise run", () => {
  it("comes as it is written, and output goes out before it ends", async () => {
    const child = startCli(["run", paths.echoes]);
    const exit = ended(child);
    for (const line of ["first\n", "second\n"]) {
      const answer = nextText(child);
      child.stdin.write(line);
      assert.equal(await answer, line);
    }
    child.stdin.end();
    assert.deepEqual(await exit, [0, null]);
  });

  it("comes through a pipe of the system, too", () => {
    const { stdout, status } = shell("printf 'a\\nb\\n' | mortise run echoes.wasm");
    assert.deepEqual([stdout, status], ["a\nb\n", 0]);
  });

  it("is read from a file only as far as the program asks", async () => {
    await writeFile(join(folder, "letters.txt"), "abcdef");
    assert.equal(shell("{ mortise run reads_three.wasm; echo -; cat; } < letters.txt").stdout, "abc-\ndef");
  });

  it("is read from a pipe no further than two chunks, while the program does something else", async () => {
    await writeWat(folder, "reads_and_waits", program(`(drop (call $read (i32.const 1024) (i32.const 3))) ${WAITS}`));
    const { stdout } = shell("head -c 1000000 /dev/zero | { mortise run reads_and_waits.wasm; wc -c; }");
    assert.ok(Number(stdout) >= 1_000_000 - 2 * 65_536 && Number(stdout) < 1_000_000, stdout);
  });

  it("is left to others if the program does not ask", () => {
    assert.equal(shell("printf 'for the next' | { mortise run returns.wasm; cat; }").stdout, "for the next");
  });

  it("may be nothing at all, or closed", () => {
    for (const input of ["< /dev/null", "<&-"]) {
      const { stdout, stderr, status } = shell(`mortise run echoes.wasm ${input}`);
      assert.deepEqual([stdout, stderr, status], ["", "", 0]);
    }
  });

  it("does not keep the process once the program has ended, though more could come", async () => {
    const child = startCli(["run", paths.reads_three]);
    const exit = ended(child);
    child.stdin.write("abc");
    assert.equal(await text(child.stdout), "abc");
    assert.deepEqual(await exit, [0, null]);
  });

  it("does not keep the process once the program's time is over", async () => {
    const child = startCli(["run", paths.reads_three, "--timeout-ms", "100"]);
    const exit = ended(child);
    assert.match(await text(child.stderr), /^mortise: MORTISE_TIMEOUT: /);
    assert.deepEqual(await exit, [1, null]);
  });

  it("comes from a terminal until Ctrl-D", { skip: terminal }, () => {
    const command = `'${process.execPath}' --conditions=source src/cli/main.ts run guests/prebuilt/word_count.c.wasm`;
    const { stdout } = spawnSync("script", ["-qec", command, "/dev/null"], { cwd: ROOT, encoding: "utf8", input: "two words\n\u0004" });
    assert.match(stdout, / {6}1 {7}2 {6}10\r\n$/);
  });
});

describe("Standard output of mortise run", () => {
  it("holds the program back while nobody reads it", async () => {
    // Nobody reads: the program gets stuck in its first megabytes, until its time is over.
    const child = startCli(["run", paths.floods, "--timeout-ms", "300"]);
    const exit = ended(child);
    assert.match(await text(child.stderr), /^mortise: MORTISE_TIMEOUT: /);
    assert.deepEqual(await exit, [1, null]);
    let bytes = 0;
    for await (const chunk of child.stdout) bytes += (chunk as Buffer).length;
    assert.ok(bytes < 4 << 20, `${bytes} bytes were written without being read`);
  });

  it("is written whole to a reader that is slower than the program", async () => {
    // Writes 4 MiB, and exits with what goes wrong.
    const body = `(local $count i32) (local $errno i32)
      (loop $again
        (local.set $errno (call $write (i32.const 1) (i32.const 1024) (i32.const 65536)))
        (if (local.get $errno) (then (call $proc_exit (local.get $errno))))
        (br_if $again (i32.lt_u (local.tee $count (i32.add (local.get $count) (i32.const 1))) (i32.const 64))))`;
    await writeWat(folder, "writes_much", program(body));
    const { stdout, status } = shell("mortise run writes_much.wasm | dd bs=512 status=none | wc -c; exit ${PIPESTATUS[0]}");
    assert.deepEqual([Number(stdout), status], [4 << 20, 0]);
  });

  it("ends the program quietly when its reader leaves, like any program in a pipe", () => {
    const { stdout, stderr, status } = shell("mortise run floods.wasm | head -c 3 | wc -c; exit ${PIPESTATUS[0]}");
    assert.deepEqual([stdout.trim(), stderr, status], ["3", "", 141]);
  });

  it("lets the program know that it cannot be written", { skip: existsSync("/dev/full") ? false : "there is no /dev/full" }, () => {
    const noSpace = 51;
    const { stderr, status } = shell("mortise run writes.wasm > /dev/full");
    assert.deepEqual([stderr, status], ["", noSpace]);
  });
});

describe("Standard error of mortise run", () => {
  it("gets what the program writes there, apart from its output", async () => {
    const path = await writeWat(folder, "complains", program("(call $go) (drop (call $write (i32.const 2) (i32.const 256) (i32.const 2)))"));
    const { stdout, stderr } = await runCli(["run", path]);
    assert.deepEqual([stdout, stderr], ["go\n", "go"]);
  });
});

describe("mortise run, when Ctrl-C comes,", () => {
  for (const [what, name] of [
    ["while the program computes", "spins"],
    ["while it waits for input", "echoes"],
    ["while it waits for its reader", "floods"],
  ] as const) {
    it(`ends at once ${what}`, async () => {
      const child = startCli(["run", paths[name]]);
      const exit = ended(child);
      const said = nextText(child);
      if (name === "echoes") child.stdin.write("here\n");
      await said;
      child.stdout.pause();
      child.kill("SIGINT");
      // Ended by the signal itself: what a shell reports as 130.
      assert.deepEqual(await exit, [null, "SIGINT"]);
    });
  }
});
