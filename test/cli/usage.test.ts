// Help, version, and command lines that make no sense.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "node:test";

import { ROOT, runCli } from "./run-cli.ts";
import { assertSample } from "./samples.ts";

const notWhole = (option: string, value: string): string =>
  `option '${option}' argument '${value}' is invalid. It must be a whole number, 1 or more.`;

describe("mortise", () => {
  for (const [sample, ...args] of [
    ["help.txt", "--help"],
    ["help-call.txt", "call", "--help"],
    ["help-run.txt", "run", "--help"],
    ["help-inspect.txt", "help", "inspect"],
    ["help-serve.txt", "serve", "--help"],
    ["help-chat.txt", "help", "chat"],
    ["help-plugin-import.txt", "plugin", "import", "--help"],
  ] as const) {
    it(`prints help for ${args.join(" ")} as the sample has it`, async () => {
      const result = await runCli(args);
      assert.deepEqual([result.stderr, result.exitCode], ["", 0]);
      assert.ok(result.stdout.split("\n").every((line) => line.length <= 80));
      await assertSample(sample, result.stdout);
    });
  }

  it("prints its version", async () => {
    const { version } = JSON.parse(await readFile(join(ROOT, "package.json"), "utf8")) as { version: string };
    const result = await runCli(["--version"]);
    assert.deepEqual([result.stdout, result.exitCode], [`${version}\n`, 0]);
  });

  it("prints help to stderr if it is given nothing to do", async () => {
    const result = await runCli([]);
    assert.deepEqual([result.stdout, result.exitCode], ["", 2]);
    assert.match(result.stderr, /^Usage: mortise /);
  });
});

describe("A command line that makes no sense", () => {
  const call = ["call", "plugin.wasm", "run"];
  const cases: readonly (readonly [args: readonly string[], message: string, hint: string])[] = [
    [["cal"], "unknown command 'cal'", "did you mean call?"],
    [["frobnicate"], "unknown command 'frobnicate'", "mortise --help shows what there is"],
    [["inspect", "x.wasm", "--jsn"], "unknown option '--jsn'", "did you mean --json?"],
    [["call"], "missing required argument 'file'", "mortise call --help shows what there is"],
    [["call", "x.wasm"], "missing required argument 'function'", "mortise call --help shows what there is"],
    [["inspect"], "missing required argument 'file'", "mortise inspect --help shows what there is"],
    [[...call, "--fuel"], "option '--fuel <units>' argument missing", "mortise call --help shows what there is"],
    [[...call, "--fuel", "lots"], notWhole("--fuel <units>", "lots"), "mortise call --help shows what there is"],
    [[...call, "--fuel", "0"], notWhole("--fuel <units>", "0"), "mortise call --help shows what there is"],
    [[...call, "--timeout-ms", "-5"], notWhole("--timeout-ms <ms>", "-5"), "mortise call --help shows what there is"],
    [[...call, "--timeout-ms", "1.5"], notWhole("--timeout-ms <ms>", "1.5"), "mortise call --help shows what there is"],
    [[...call, "--memory-mb", "1e3"], notWhole("--memory-mb <mib>", "1e3"), "mortise call --help shows what there is"],
    [[...call, "--memory-mb", ""], notWhole("--memory-mb <mib>", ""), "mortise call --help shows what there is"],
    [
      [...call, "--memory-mb", "5000"],
      "option '--memory-mb <mib>' argument '5000' is invalid. It must be 4096 or less, the most that 32-bit memories have.",
      "mortise call --help shows what there is",
    ],
    [
      [...call, "--config", "colour"],
      "option '--config <key=value>' argument 'colour' is invalid. It must be KEY=VALUE.",
      "mortise call --help shows what there is",
    ],
    [
      [...call, "--config", "=oak"],
      "option '--config <key=value>' argument '=oak' is invalid. It must be KEY=VALUE.",
      "mortise call --help shows what there is",
    ],
    [
      [...call, "--log-level", "loud"],
      "option '--log-level <level>' argument 'loud' is invalid. Allowed choices are trace, debug, info, warn, error, off.",
      "mortise call --help shows what there is",
    ],
    [
      [...call, "--allow-path", "docs"],
      "option '--allow-path <host:guest>' argument 'docs' is invalid. It must be HOST:GUEST or HOST:GUEST:ro.",
      "mortise call --help shows what there is",
    ],
    [
      [...call, "--isolation", "cellar"],
      "option '--isolation <place>' argument 'cellar' is invalid. Allowed choices are inline, thread, process.",
      "mortise call --help shows what there is",
    ],
    [["run"], "missing required argument 'file'", "mortise run --help shows what there is"],
    [["run", "x.wasm", "--verbose"], "unknown option '--verbose'", "options of the program go behind --"],
    [["run", "x.wasm", "--jsn"], "unknown option '--jsn'", "did you mean --json?"],
    [["run", "x.wasm", "--dir"], "option '--dir <host:guest>' argument missing", "mortise run --help shows what there is"],
    [
      ["run", "x.wasm", "--dir", "docs:/docs/../etc"],
      "option '--dir <host:guest>' argument 'docs:/docs/../etc' is invalid. The guest path must not contain '..'.",
      "mortise run --help shows what there is",
    ],
    [
      ["run", "x.wasm", "--dir", "docs:/data", "--dir", "src:/data:ro"],
      "option '--dir <host:guest>' argument 'src:/data:ro' is invalid. The guest path '/data' is given twice.",
      "mortise run --help shows what there is",
    ],
    [
      ["run", "x.wasm", "--dir", "docs:/a", "--dir", "docs:/b"],
      "option '--dir <host:guest>' argument 'docs:/b' is invalid. The folder 'docs' is given twice.",
      "mortise run --help shows what there is",
    ],
    [
      ["run", "x.wasm", "--env", "HOME"],
      "option '--env <key=value>' argument 'HOME' is invalid. It must be KEY=VALUE.",
      "mortise run --help shows what there is",
    ],
    [["run", "x.wasm", "--timeout-ms", "0"], notWhole("--timeout-ms <ms>", "0"), "mortise run --help shows what there is"],
    [[...call, "some text"], "unexpected argument 'some text'", "give text with --input, a file with --input-file"],
    [[...call, "-", "--input", "a"], "the input was given twice, by --input and -", "give one of --input TEXT, --input-file FILE and -"],
    [
      [...call, "--input-file", "a", "--input", "a"],
      "the input was given twice, by --input and --input-file",
      "give one of --input TEXT, --input-file FILE and -",
    ],
  ];
  for (const [args, message, hint] of cases) {
    it(`is refused: ${args.join(" ")}`, async () => {
      const result = await runCli(args);
      assert.equal(result.stderr, `mortise: MORTISE_USAGE: ${message}\n  hint: ${hint}\n`);
      assert.deepEqual([result.stdout, result.exitCode], ["", 2]);
    });
  }

  it("is refused if its input file cannot be read", async () => {
    for (const [file, problem] of [
      ["none.txt", "it does not exist"],
      ["src", "it is a directory"],
    ] as const) {
      const result = await runCli(["call", "guests/prebuilt/echo.c.wasm", "echo", "--input-file", file]);
      assert.equal(result.stderr, `mortise: MORTISE_USAGE: cannot read the input file "${file}": ${problem}\n`);
      assert.equal(result.exitCode, 2);
    }
  });
});
