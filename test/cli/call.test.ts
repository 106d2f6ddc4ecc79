// `mortise call`: outputs, failures, limits, and what a script sees of them.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, describe, it } from "node:test";

import { FIXTURE, NEEDS_HOST, SHARED_MEMORY, makeFolder, writeWat } from "./modules.ts";
import { type CliResult, ROOT, runCli } from "./run-cli.ts";

const ECHO = "guests/prebuilt/echo.c.wasm";
const VOWELS = "guests/prebuilt/vowels.ts.wasm";
const SHA256 = "guests/prebuilt/sha256.c.wasm";

const folder = await makeFolder();
after(() => rm(folder, { recursive: true }));
const fixture = await writeWat(folder, "fixture", FIXTURE);

interface CallJson {
  readonly ok: boolean;
  readonly output?: string;
  readonly outputBase64?: string;
  readonly error?: { readonly code: string; readonly message: string; readonly details: Readonly<Record<string, unknown>> };
  readonly stats?: Readonly<Record<"loadMs" | "callMs" | "fuel" | "memoryBytes", number>>;
}

async function callJson(...args: readonly string[]): Promise<CallJson & { readonly exitCode: number | null }> {
  const { stdout, exitCode } = await runCli(["call", ...args, "--json"]);
  assert.match(stdout, /^\{.*\}\n$/, "one line with one object");
  return { ...(JSON.parse(stdout) as CallJson), exitCode };
}

/** Asserts that stdout is empty and stderr begins with `mortise: CODE: `, without a stack trace. */
function assertFailure(result: CliResult, exitCode: number, code: string): void {
  assert.equal(result.stdout, "");
  assert.ok(result.stderr.startsWith(`mortise: ${code}: `), result.stderr);
  assert.doesNotMatch(result.stderr, /\n\s+at .*(file:|node:|\.ts)/);
  assert.equal(result.exitCode, exitCode);
}

describe("mortise call", () => {
  it("writes the output as it is, without a newline", async () => {
    const result = await runCli(["call", VOWELS, "count_vowels", "--input", "Hello, World!"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ['{"count":3,"total":3,"vowels":"aeiouAEIOU"}', "", 0]);
  });

  it("gives the plugin its configuration, the last value for a key", async () => {
    const result = await runCli(["call", VOWELS, "count_vowels", "--input", "a=b=c", "--config", "vowels=x", "--config", "vowels=="]);
    assert.equal(result.stdout, '{"count":2,"total":2,"vowels":"="}');
  });

  it("reads the input from stdin", async () => {
    const text = "from a pipe\n";
    for (const way of [["-"], ["--input-file", "-"]]) {
      const result = await runCli(["call", SHA256, "sha256", ...way], { stdin: text });
      assert.equal(result.stdout, `{"sha256":"${createHash("sha256").update(text).digest("hex")}"}`);
    }
  });

  it("reads and writes any bytes", async () => {
    const bytes = Buffer.concat([Buffer.from([0, 0xff, 0xfe, 0x0d, 0x0a, 0x80]), randomBytes(300_000)]);
    const path = join(folder, "bytes.bin");
    await writeFile(path, bytes);
    const fromFile = await runCli(["call", ECHO, "echo", "--input-file", path]);
    assert.ok(fromFile.stdoutBytes.equals(bytes));
    const fromStdin = await runCli(["call", ECHO, "echo", "-"], { stdin: bytes });
    assert.ok(fromStdin.stdoutBytes.equals(bytes));
  });

  it("reads no more of an input without end than the plugin can have", async () => {
    const result = await runCli(["call", ECHO, "echo", "--input-file", "/dev/zero", "--memory-mb", "1"]);
    assertFailure(result, 1, "MORTISE_INPUT_LIMIT");
    assert.match(result.stderr, /the input has 1048577 bytes/);
  });

  it("holds an input to what a manifest says of memory", async () => {
    const path = join(folder, "small.json");
    await writeFile(path, JSON.stringify({ wasm: [{ path: join(ROOT, ECHO) }], memory: { max_pages: 4 } }));
    const result = await runCli(["call", path, "echo", "-"], { stdin: Buffer.alloc(1 << 20) });
    assertFailure(result, 1, "MORTISE_INPUT_LIMIT");
    assert.match(result.stderr, /the input has 262145 bytes/);
  });

  it("reads no input before the plugin is there and has the function", async () => {
    assertFailure(await runCli(["call", "missing.wasm", "run", "--input-file", "none.txt"]), 3, "MORTISE_SOURCE_NOT_FOUND");
    assertFailure(await runCli(["call", ECHO, "run", "--input-file", "none.txt"]), 2, "MORTISE_UNKNOWN_FUNCTION");
    assertFailure(await runCli(["call", ECHO, "echo", "--input-file", "none.txt"]), 2, "MORTISE_USAGE");
  });

  it("writes nothing for an empty output", async () => {
    const result = await runCli(["call", fixture, "nothing"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["", "", 0]);
  });

  it("prints time, fuel and memory to stderr with --stats", async () => {
    const result = await runCli(["call", ECHO, "echo", "--input", "x", "--stats"]);
    assert.equal(result.stdout, "x");
    assert.match(result.stderr, /^time {4}[\d.,]+ ms to call, [\d.,]+ ms to load\nfuel {4}[\d,]+ units\nmemory {2}128 KiB\n$/);
  });

  it("prints statistics of a call that failed", async () => {
    const result = await runCli(["call", fixture, "spin", "--fuel", "10000", "--stats"]);
    assert.match(result.stderr, /\nfuel {4}10,\d{3} units\n/);
  });
});

describe("mortise call --json", () => {
  it("prints one object with output and statistics", async () => {
    const { ok, output, stats, exitCode } = await callJson(ECHO, "echo", "--input", 'Grüße "\u001b[2J"');
    assert.deepEqual([ok, output, exitCode], [true, 'Grüße "\u001b[2J"', 0]);
    assert.deepEqual(Object.keys(stats ?? {}), ["loadMs", "callMs", "fuel", "memoryBytes"]);
    assert.ok(stats !== undefined && stats.fuel > 0 && stats.memoryBytes === 131_072 && stats.callMs > 0);
  });

  it("gives an output that is not UTF-8 as Base64", async () => {
    const answer = await callJson(fixture, "invalid_text");
    assert.deepEqual([answer.ok, answer.output, answer.outputBase64], [true, undefined, "/wo="]);
  });

  it("gives a failure as code, message and details", async () => {
    const { ok, error, stats, exitCode } = await callJson(fixture, "fail");
    assert.deepEqual([ok, exitCode], [false, 1]);
    assert.deepEqual(error, {
      code: "MORTISE_GUEST_ERROR",
      message: 'Failed in function "fail" of plugin "fixture": no',
      details: { plugin: "fixture", function: "fail", reason: "no", returnCode: 1 },
    });
    assert.ok((stats?.fuel ?? 0) > 0);
  });

  it("gives a module that cannot be loaded without statistics", async () => {
    const { ok, error, stats, exitCode } = await callJson("missing.wasm", "run");
    assert.deepEqual([ok, error?.code, stats, exitCode], [false, "MORTISE_SOURCE_NOT_FOUND", undefined, 3]);
  });

  it("gives a trap with the guest's frames", async () => {
    const { error } = await callJson(fixture, "trap");
    const trace = error?.details["trace"] as { function: string }[];
    assert.deepEqual(
      trace.map((frame) => frame.function),
      ["inner_function", "middle_function", "trap"],
    );
  });
});

describe("mortise call, when the plugin fails,", () => {
  const cases: readonly (readonly [title: string, fn: string, flags: readonly string[], code: string, stderr: RegExp])[] = [
    ["passes on its error", "fail", [], "MORTISE_GUEST_ERROR", /: no\n$/],
    ["reports its return code", "return_seven", [], "MORTISE_RETURN_CODE", /code 7\n$/],
    [
      "stops it at its deadline",
      "spin",
      ["--timeout-ms", "50"],
      "MORTISE_TIMEOUT",
      /deadline of 50 ms\n {2}at spin \(offset 0x[^]*hint: --timeout-ms/,
    ],
    ["stops it at its fuel", "spin", ["--fuel", "5000"], "MORTISE_FUEL", /fuel of 5000 units\n {2}at spin[^]*hint: --fuel/],
    ["stops it at its memory", "grow", ["--memory-mb", "1"], "MORTISE_MEMORY_LIMIT", /1048576 bytes[^]*hint: --memory-mb/],
    ["stops it at the end of the stack", "recurse", [], "MORTISE_STACK_OVERFLOW", /(\n {2}at recurse \(offset 0x\w+\))+\n$/],
    [
      "shows a trap with the guest's own function names",
      "trap",
      [],
      "MORTISE_TRAP",
      /trapped: unreachable\n {2}at inner_function \(offset 0x\w+\)\n {2}at middle_function \(offset 0x\w+\)\n {2}at trap \(offset 0x\w+\)\n$/,
    ],
  ];
  for (const [title, fn, flags, code, stderr] of cases) {
    it(title, async () => {
      const result = await runCli(["call", fixture, fn, "--log-level", "off", ...flags]);
      assertFailure(result, 1, code);
      assert.match(result.stderr, stderr);
    });
  }

  it("counts a limit that initialisation meets as the plugin's failure, too", async () => {
    const path = await writeWat(folder, "slow-start", `(module (func $start (loop $again (br $again))) (start $start) (func (export "run")))`);
    assertFailure(await runCli(["call", path, "run", "--timeout-ms", "30"]), 1, "MORTISE_TIMEOUT");
  });
});

describe("mortise call, when it cannot load the module,", () => {
  const component = Uint8Array.of(0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0);
  const broken: readonly (readonly [title: string, name: string, contents: string | Uint8Array, code: string])[] = [
    ["refuses an empty file", "empty.wasm", "", "MORTISE_NOT_WASM"],
    ["refuses another format", "page.html", "<!doctype html>", "MORTISE_NOT_WASM"],
    ["refuses the text format", "module.wat", "(module)", "MORTISE_WASM_TEXT"],
    ["refuses a component", "component.wasm", component, "MORTISE_WASM_COMPONENT"],
  ];
  for (const [title, name, contents, code] of broken) {
    it(title, async () => {
      const path = join(folder, name);
      await writeFile(path, contents);
      assertFailure(await runCli(["call", path, "run"]), 3, code);
    });
  }

  it("says that the file is not there, or is a directory", async () => {
    assertFailure(await runCli(["call", join(folder, "none.wasm"), "run"]), 3, "MORTISE_SOURCE_NOT_FOUND");
    assertFailure(await runCli(["call", folder, "run"]), 3, "MORTISE_SOURCE_UNREADABLE");
  });

  it("refuses what policy or imports rule out", async () => {
    const shared = await writeWat(folder, "shared", SHARED_MEMORY);
    assertFailure(await runCli(["call", shared, "run"]), 3, "MORTISE_SHARED_MEMORY");
    const needsHost = await writeWat(folder, "needs-host", NEEDS_HOST);
    const result = await runCli(["call", needsHost, "run"]);
    assertFailure(result, 3, "MORTISE_MISSING_IMPORT");
    assert.match(result.stderr, /hint: the command line provides no host functions/);
  });

  it("refuses a memory that starts larger than the limit", async () => {
    const path = await writeWat(folder, "large", `(module (memory 40) (func (export "run")))`);
    assertFailure(await runCli(["call", path, "run", "--memory-mb", "1"]), 3, "MORTISE_INITIAL_MEMORY");
  });
});

describe("mortise call, when the function cannot be called,", () => {
  it("suggests a near name", async () => {
    const result = await runCli(["call", VOWELS, "count_vowel"]);
    assertFailure(result, 2, "MORTISE_UNKNOWN_FUNCTION");
    assert.match(result.stderr, /did you mean "count_vowels"\?\n$/);
  });

  it("lists what there is if no name is near", async () => {
    const result = await runCli(["call", fixture, "resize_image"]);
    assertFailure(result, 2, "MORTISE_UNKNOWN_FUNCTION");
    assert.match(result.stderr, /hint: the plugin has trap, fail, return_seven, .* and 1 more\n$/);
  });

  it("says that a module has no functions at all", async () => {
    const path = await writeWat(folder, "empty-module", "(module)");
    assert.match((await runCli(["call", path, "run"])).stderr, /hint: the plugin has no function that can be called\n$/);
  });

  it("shows the type of an export that is no plugin function", async () => {
    const result = await runCli(["call", fixture, "add"]);
    assertFailure(result, 2, "MORTISE_BAD_SIGNATURE");
    assert.match(result.stderr, /\(i32, i32\) -> i32/);
  });
});

describe("The plugin's log lines", () => {
  it("go to stderr with their level, from info on", async () => {
    const result = await runCli(["call", fixture, "log_all"]);
    assert.deepEqual([result.stdout, result.stderr, result.exitCode], ["", "[info] i1\n[warn] w1\n", 0]);
  });

  for (const [level, lines] of [
    ["debug", "[debug] d1\n[info] i1\n[warn] w1\n"],
    ["warn", "[warn] w1\n"],
    ["error", ""],
    ["off", ""],
  ] as const) {
    it(`are those from "${level}" on with --log-level ${level}`, async () => {
      assert.equal((await runCli(["call", fixture, "log_all", "--log-level", level])).stderr, lines);
    });
  }
});
