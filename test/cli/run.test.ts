// `mortise run`: what a program gets, what it leaves, and what becomes of one that misbehaves.
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { mkdir, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { after, describe, it } from "node:test";

import { PROGRAMS, makeFolder, program, writeWat } from "./modules.ts";
import { type CliResult, ROOT, runCli } from "./run-cli.ts";

const WORD_COUNT = "guests/prebuilt/word_count.c.wasm";

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));
const paths = {} as Record<keyof typeof PROGRAMS, string>;
for (const [name, text] of Object.entries(PROGRAMS)) paths[name as keyof typeof PROGRAMS] = await writeWat(folder, name, text);

const run = (...args: readonly string[]): Promise<CliResult> => runCli(["run", ...args]);

/** Asserts how a program that Mortise stopped or refused is reported. */
function assertFailure(result: CliResult, exitCode: number, code: string): void {
  assert.ok(result.stderr.startsWith(`mortise: ${code}: `), result.stderr);
  assert.doesNotMatch(result.stderr, /\n\s+at .*(file:|node:|\.ts)/);
  assert.equal(result.exitCode, exitCode);
}

describe("mortise run", () => {
  it("gives the program its arguments, its file's name first", async () => {
    const { stdout, stderr, exitCode } = await run(paths.prints_arguments, "a", "b c", "-", "--", "--json", "", "é");
    assert.deepEqual(stdout.split("\0"), ["prints_arguments.wasm", "a", "b c", "-", "--json", "", "é", ""]);
    assert.deepEqual([stderr, exitCode], ["", 0]);
  });

  it("takes its own options before and behind the file, up to --", async () => {
    const { stdout } = await run("--env", "A=1", paths.prints_environment, "x", "--env", "B=2=3", "--env", "A=", "--", "--env", "C=4");
    assert.deepEqual(stdout.split("\0"), ["A=", "B=2=3", ""]);
  });

  it("gives the program none of this process's environment, and no folder", async () => {
    const { stdout } = await runCli(["run", paths.prints_environment], { env: { SECRET: "x" } });
    assert.equal(stdout, "");
    const badDescriptor = 8;
    assert.equal((await run(paths.asks_for_folder)).exitCode, badDescriptor);
    assert.equal((await run(paths.asks_for_folder, "--dir", "docs:/docs")).exitCode, 0);
  });

  it("passes any bytes in and out", async () => {
    const bytes = Buffer.concat([Buffer.from([0, 0xff, 0xfe, 0x0d, 0x0a, 0x80]), randomBytes(300_000)]);
    const piped = await runCli(["run", paths.echoes], { stdin: bytes });
    assert.ok(piped.stdoutBytes.equals(bytes));
    assert.deepEqual([piped.stderr, piped.exitCode], ["", 0]);
  });

  it("has no time limit unless it is given one", async () => {
    // The program waits for longer than a call may take.
    const { stdout, exitCode } = await run(paths.waits);
    assert.deepEqual([stdout, exitCode], ["go\n", 0]);
  });

  it("prints time, fuel and memory to stderr with --stats", async () => {
    const { stdout, stderr } = await run(paths.writes, "--stats");
    assert.equal(stdout, "go\n");
    assert.match(stderr, /^time {4}[\d.,]+ ms to run, [\d.,]+ ms to load\nfuel {4}[\d,]+ units\nmemory {2}\d+ KiB\n$/);
  });

  it("runs a program in C, from a manifest too", async () => {
    const manifest = join(folder, "count.json");
    await writeFile(manifest, JSON.stringify({ wasm: [{ path: join(ROOT, WORD_COUNT) }], allowed_paths: { [`ro:${ROOT}docs`]: "/docs" } }));
    const text = await readFile(join(ROOT, "docs/cli.md"), "utf8");
    const { stdout, stderr, exitCode } = await run("--manifest-grants", manifest, "/docs/cli.md");
    const [lines = "", words = "", bytes = "", name] = stdout.trim().split(/\s+/);
    assert.deepEqual([Number(lines), Number(bytes), name], [text.split("\n").length - 1, Buffer.byteLength(text), "/docs/cli.md"]);
    assert.equal(Number(words), text.match(/\S+/g)?.length);
    assert.deepEqual([stderr, exitCode], ["", 0]);
  });

  it("grants nothing that a manifest asks for by itself, and says so", async () => {
    const manifest = join(folder, "asks.json");
    await mkdir(join(folder, "asked"), { recursive: true });
    const wasm = [{ path: basename(paths.asks_for_folder) }];
    await writeFile(manifest, JSON.stringify({ wasm, allowed_hosts: ["a.example", "b.example"], allowed_paths: { asked: "/a" } }));
    const refused = await run(manifest);
    const note = `mortise: note: not granted: hosts a.example, b.example; folder ${join(folder, "asked")}:/a; --manifest-grants grants what the manifest asks for\n`;
    assert.deepEqual([refused.stderr, refused.exitCode], [note, 8]);
    const granted = await run(manifest, "--manifest-grants");
    assert.deepEqual([granted.stderr, granted.exitCode], ["", 0]);
    // A folder that is given stands for those of the manifest.
    const given = await run(manifest, "--dir", `${folder}/asked:/b`);
    assert.deepEqual([given.stderr, given.exitCode], [note.replace(/; folder .*?;/, ";"), 0]);
  });
});

describe("The exit code of mortise run", () => {
  for (const [given, exitCode] of [
    [0, 0],
    [1, 1],
    [3, 3],
    [42, 42],
    [254, 254],
    [255, 255],
    // A process has no such codes; a failure must not become a success.
    [256, 255],
    [-1, 255],
  ] as const) {
    it(`is ${exitCode} for a program that exits with ${given}`, async () => {
      const path = await writeWat(folder, `exits-${given}`, program(`(call $proc_exit (i32.const ${given})) unreachable`));
      const result = await run(path);
      assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["", "", exitCode]);
    });
  }

  it("is 0 for a program that returns", async () => {
    const result = await run(paths.returns);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["", "", 0]);
  });
});

describe("mortise run, when the program is stopped,", () => {
  const cases: readonly (readonly [title: string, name: keyof typeof PROGRAMS, flags: readonly string[], code: string, stderr: RegExp])[] = [
    ["shows a trap with the program's own function names", "traps", [], "MORTISE_TRAP", /trapped: unreachable\n {2}at start \(offset 0x\w+\)\n$/],
    ["reports its deadline", "spins", ["--timeout-ms", "50"], "MORTISE_TIMEOUT", /deadline of 50 ms\n {2}at start[^]*hint: --timeout-ms/],
    ["reports its fuel", "spins", ["--fuel", "100000"], "MORTISE_FUEL", /fuel of 100000 units\n[^]*hint: --fuel/],
    ["reports its memory", "grows", ["--memory-mb", "1"], "MORTISE_MEMORY_LIMIT", /1048576 bytes[^]*hint: --memory-mb/],
  ];
  for (const [title, name, flags, code, stderr] of cases) {
    it(title, async () => {
      const result = await run(paths[name], ...flags);
      assertFailure(result, 1, code);
      assert.match(result.stderr, stderr);
      assert.equal(result.stdout, name === "grows" ? "" : "go\n", "what it wrote before is there");
    });
  }

  it("holds it to the time that its manifest states", async () => {
    const manifest = join(folder, "hurried.toml");
    await writeFile(manifest, `timeout_ms = 50\n\n[[wasm]]\npath = "${basename(paths.spins)}"\n`);
    assertFailure(await run(manifest), 1, "MORTISE_TIMEOUT");
  });
});

describe("mortise run --json", () => {
  const json = async (...args: readonly string[]): Promise<[Record<string, unknown>, CliResult]> => {
    const result = await run(...args, "--json");
    assert.match(result.stdout, /^\{.*\}\n$/, "one line with one object");
    return [JSON.parse(result.stdout) as Record<string, unknown>, result];
  };

  it("prints exit code, output and statistics of a program that came to its end", async () => {
    const path = await writeWat(folder, "says-and-exits", program("(call $go) (call $proc_exit (i32.const 3))"));
    const [{ stats, ...rest }, { stderr, exitCode }] = await json(path);
    assert.deepEqual(rest, { ok: true, exitCode: 3, output: "go\n" });
    assert.deepEqual(Object.keys(stats as object), ["loadMs", "callMs", "fuel", "memoryBytes"]);
    assert.deepEqual([stderr, exitCode], ["", 3]);
  });

  it("gives an output that is not UTF-8 as Base64", async () => {
    const path = await writeWat(
      folder,
      "not-text",
      program("(i32.store8 (i32.const 512) (i32.const 255)) (drop (call $write (i32.const 1) (i32.const 512) (i32.const 1)))"),
    );
    assert.equal((await json(path))[0]["outputBase64"], "/w==");
  });

  it("prints error and output of a program that was stopped", async () => {
    const [{ stats: _stats, error, ...rest }, { stderr, exitCode }] = await json(paths.traps);
    assert.deepEqual(rest, { ok: false, output: "go\n" });
    assert.equal((error as { code: string }).code, "MORTISE_TRAP");
    assert.deepEqual([stderr, exitCode], ["", 1]);
  });

  it("prints the error of what could not be loaded, and nothing else", async () => {
    const [{ error, ...rest }, { stderr, exitCode }] = await json(join(folder, "none.wasm"));
    assert.deepEqual(rest, { ok: false });
    assert.equal((error as { code: string }).code, "MORTISE_SOURCE_NOT_FOUND");
    assert.deepEqual([stderr, exitCode], ["", 3]);
  });

  it("keeps 16 MiB of output at most; then writing fails", async () => {
    // Writes 64 KiB until it cannot, and exits with the reason.
    const path = await writeWat(
      folder,
      "fills",
      program(`(local $errno i32)
        (loop $again
          (br_if $again (i32.eqz (local.tee $errno (call $write (i32.const 1) (i32.const 1024) (i32.const 65536))))))
        (call $proc_exit (local.get $errno))`),
    );
    const [{ output }, { exitCode }] = await json(path);
    const noSpace = 51;
    assert.deepEqual([(output as string).length, exitCode], [16 << 20, noSpace]);
  });
});

describe("mortise run, when there is nothing to run,", () => {
  const SPINNING_REACTOR = `(module (func (export "_initialize") (loop $again (br $again))) (func (export "handle")))`;
  const cases: readonly (readonly [title: string, text: string, stderr: RegExp])[] = [
    [
      "refuses a plugin, and says what can be called",
      `(module (func (export "greet")) (func (export "part")))`,
      /hint: mortise call .*; it has greet, part\n$/,
    ],
    ["refuses a library for WASI before any of it runs", SPINNING_REACTOR, /hint: mortise call .*; it has _initialize, handle\n$/],
    ["refuses a module without functions", "(module)", /exports no _start\n$/],
  ];
  for (const [index, [title, text, stderr]] of cases.entries()) {
    it(title, async () => {
      const result = await run(await writeWat(folder, `nothing-${index}`, text));
      assertFailure(result, 2, "MORTISE_USAGE");
      assert.match(result.stderr, /: cannot run ".*": it is no WASI program, since it exports no _start\n/);
      assert.match(result.stderr, stderr);
    });
  }

  it("refuses a _start of the wrong type", async () => {
    assertFailure(await run(await writeWat(folder, "typed", `(module (func (export "_start") (param i32)))`)), 2, "MORTISE_BAD_SIGNATURE");
  });

  it("reports a file that cannot be loaded like mortise call", async () => {
    const whole = await readFile(paths.echoes);
    for (const [name, contents, code] of [
      ["truncated.wasm", whole.subarray(0, 100), "MORTISE_WASM_MALFORMED"],
      ["header.wasm", whole.subarray(0, 6), "MORTISE_WASM_MALFORMED"],
      ["empty.wasm", "", "MORTISE_NOT_WASM"],
      ["text.wat", "(module)", "MORTISE_WASM_TEXT"],
      ["component.wasm", Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0), "MORTISE_WASM_COMPONENT"],
    ] as const) {
      const path = join(folder, name);
      await writeFile(path, contents);
      assertFailure(await run(path), 3, code);
    }
    assertFailure(await run(join(folder, "none.wasm")), 3, "MORTISE_SOURCE_NOT_FOUND");
    assertFailure(await run(folder), 3, "MORTISE_SOURCE_UNREADABLE");
  });

  it("reports a function that is not of WASI", async () => {
    const path = await writeWat(folder, "foreign", `(module (import "env" "fork" (func)) (func (export "_start")))`);
    assertFailure(await run(path), 3, "MORTISE_MISSING_IMPORT");
  });
});

describe("mortise run --dir", () => {
  const count = (grant: string, ...files: readonly string[]): Promise<CliResult> => run(WORD_COUNT, "--dir", grant, "--", ...files);

  it("grants a folder, and nothing beside it", async () => {
    await mkdir(join(folder, "granted"));
    await writeFile(join(folder, "granted", "a.txt"), "one two\n");
    await writeFile(join(folder, "outside.txt"), "canary");
    const { stdout, stderr, exitCode } = await count(
      `${folder}/granted:/data:ro`,
      "/data/a.txt",
      "/data/../outside.txt",
      join(folder, "outside.txt"),
    );
    assert.equal(stdout, "      1       2       8  /data/a.txt\n");
    assert.match(stderr, /^word_count.c.wasm: \/data\/\.\.\/outside.txt: .*\nword_count.c.wasm: .*outside.txt: .*\n$/);
    assert.equal(exitCode, 1);
  });

  it("lets the program change a folder that is granted without :ro", async () => {
    const readOnly = 69;
    await mkdir(join(folder, "writable"));
    for (const [grant, exitCode, names] of [
      [":ro", readOnly, []],
      ["", 0, ["go"]],
    ] as const) {
      assert.equal((await run(paths.creates, "--dir", `${folder}/writable:/data${grant}`)).exitCode, exitCode);
      assert.deepEqual(await readdir(join(folder, "writable")), names);
    }
  });

  it("takes a host path with .. in it, which is the operator's", async () => {
    assert.equal((await count(`${folder}/granted/../granted:/data`, "/data/a.txt")).exitCode, 0);
  });

  it("reports a folder that cannot be granted", async () => {
    const missing = await count(`${folder}/none:/data`);
    assertFailure(missing, 3, "MORTISE_BAD_MOUNT");
    assert.match(missing.stderr, /none": it does not exist\n$/);
    const file = await count("package.json:/data");
    assertFailure(file, 3, "MORTISE_BAD_MOUNT");
    assert.match(file.stderr, /"package.json": it is not a folder\n$/);
  });

  it("does not take a folder whose name begins with ro: for one that is granted for reading", async () => {
    await mkdir(join(folder, "ro:odd"));
    await writeFile(join(folder, "ro:odd", "a.txt"), "one");
    const result = await runCli(["run", join(ROOT, WORD_COUNT), "--dir", "ro:odd:/odd", "/odd/a.txt"], { cwd: folder });
    assert.equal(result.stdout, "      0       1       3  /odd/a.txt\n");
  });
});

describe("mortise run --isolation", () => {
  for (const place of ["thread", "process"]) {
    it(`gives the program the same in a ${place}`, async () => {
      const path = join(folder, "three-words.txt");
      await writeFile(path, "one two three\n");
      const flags = ["--isolation", place, "--dir", `${folder}:/data:ro`];
      const files = await run(WORD_COUNT, ...flags, "/data/three-words.txt", "/data/../x");
      assert.equal(files.stdout, "      1       3      14  /data/three-words.txt\n");
      assert.match(files.stderr, /^word_count.c.wasm: \/data\/..\/x: [^\n]*\n$/);
      assert.equal(files.exitCode, 1);
      const piped = await runCli(["run", WORD_COUNT, ...flags], { stdin: "a b\nc\n" });
      assert.deepEqual([piped.stdout, piped.stderr, piped.exitCode], ["      2       3       6\n", "", 0]);
      assertFailure(await run(paths.spins, ...flags, "--timeout-ms", "100"), 1, "MORTISE_TIMEOUT");
    });
  }
});
