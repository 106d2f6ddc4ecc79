// What a plugin has to do alike wherever it runs.

import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";

import type { CallContext } from "../../src/index.ts";
import { ENV, prebuilt, wat } from "./guests.ts";
import { HOST_CASES } from "./host-cases.ts";
import type { Case } from "./transcript.ts";

const FIXTURE_HOST: Case["host"] = () => ({ "extism:host/user": { host_reflect: (_context: CallContext, address: bigint) => address } });

const TEXTS = ["", "a", "größer 😀 \0 \u{feff}", "x".repeat(511), "x".repeat(513), "é".repeat(600)];
const SIZES = [0, 1, 7, 8, 9, 63, 65, 4096, 65_536, 1 << 20, 16 << 20];
const pattern = (size: number): Uint8Array => {
  const bytes = new Uint8Array(size);
  for (let index = 0; index < size; index++) bytes[index] = (index * 7) ^ (index >> 8) ^ 0x80;
  return bytes;
};

const OUTPUTS: readonly Case[] = [
  {
    name: "texts of every kind",
    source: prebuilt("echo.c"),
    steps: [...TEXTS.map((input) => ({ fn: "echo", input })), { fn: "echo" }, { fn: "noop", input: "dropped" }],
    expected: [...TEXTS.map((text) => (text.includes("x".repeat(511)) || text.length < 600 ? text : text)), "", ""].map((text) =>
      Buffer.byteLength(text) < 1000 ? text : Uint8Array.from(Buffer.from(text)),
    ),
  },
  {
    name: "a text with half a surrogate pair",
    source: prebuilt("echo.c"),
    steps: [
      { fn: "echo", input: "a\ud800b" },
      { fn: "echo", input: `${"x".repeat(900)}\udc00` },
    ],
    expected: ["a\ufffdb", `${"x".repeat(900)}\ufffd`],
  },
  {
    name: "bytes of every size",
    source: prebuilt("echo.c"),
    options: { limits: { memoryBytes: 128 << 20, timeoutMs: 20_000 } },
    steps: SIZES.map((size) => ({ fn: "echo", input: pattern(size) })),
    expected: SIZES.map((size) => (size === 0 ? "" : pattern(size))),
  },
  {
    name: "a part of a larger buffer, which stays as it is",
    source: prebuilt("echo.c"),
    steps: [{ fn: "echo", input: new Uint8Array(Uint8Array.of(1, 200, 3, 4).buffer, 1, 2) }],
    expected: [Uint8Array.of(200, 3)],
  },
];

const ERRORS: readonly Case[] = [
  {
    name: "a trap with its trace, an error of the guest, and a return code",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    steps: ["trap", "globals", "fail", "globals", "exit_code", "globals"].map((fn) => ({ fn })),
    expected: ["MORTISE_TRAP", "1", "MORTISE_GUEST_ERROR", "2", "MORTISE_RETURN_CODE", "3"],
  },
  {
    name: "the end of the fuel",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    options: { limits: { fuel: 3_000_000 } },
    steps: [{ fn: "spin" }, { fn: "globals" }],
    expected: ["MORTISE_FUEL", "1"],
  },
  {
    name: "the end of the time",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    fuelVaries: true,
    steps: [{ fn: "spin", timeoutMs: 60 }, { fn: "globals" }],
    expected: ["MORTISE_TIMEOUT", "1"],
  },
  {
    name: "the end of the stack",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    fuelVaries: true,
    varying: ["trace"],
    steps: [{ fn: "recurse", input: "1000000" }, { fn: "globals" }],
    expected: ["MORTISE_STACK_OVERFLOW", "1"],
  },
  {
    name: "the memory limit, for the guest and for the host",
    source: wat(`(module ${ENV} (memory (export "memory") 1)
      (func (export "grow") (drop (memory.grow (i32.const 100))) (i32.store8 (i32.const 700000) (i32.const 1)))
      (func (export "fill") (loop (drop (call $alloc (i64.const 100000))) (br 0)))
      (func (export "idle")))`),
    options: { limits: { memoryBytes: 1 << 20 } },
    steps: [{ fn: "grow" }, { fn: "fill" }, { fn: "idle", input: new Uint8Array(1 << 20) }, { fn: "idle" }],
    expected: ["MORTISE_MEMORY_LIMIT", "MORTISE_MEMORY_LIMIT", "MORTISE_INPUT_LIMIT", ""],
  },
  {
    name: "outputs that lie outside, and outputs that are too large",
    source: wat(`(module ${ENV}
      (func (export "outside") (call $output_set (i64.const 100000) (i64.const 10)))
      (func (export "far") (call $output_set (i64.const -1) (i64.const -1)))
      (func (export "echo") (call $output_set (call $input_offset) (call $input_length))))`),
    options: { limits: { outputBytes: 10 } },
    steps: [{ fn: "outside" }, { fn: "far" }, { fn: "echo", input: "eleven byte" }, { fn: "echo", input: "ten  bytes" }],
    expected: ["MORTISE_BAD_POINTER", "MORTISE_BAD_POINTER", "MORTISE_OUTPUT_LIMIT", "ten  bytes"],
  },
  {
    name: "the end of the process",
    source: wat(`(module ${ENV} (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32))) (memory (export "memory") 1)
      (func (export "leave") (call $exit (i32.const 3)))
      (func (export "succeed") (call $output_set (call $input_offset) (call $input_length)) (call $exit (i32.const 0))))`),
    steps: [{ fn: "leave" }, { fn: "succeed", input: "done" }, { fn: "leave" }],
    expected: ["MORTISE_EXIT", "done", "MORTISE_EXIT"],
  },
  {
    name: "exports that are not there or cannot be called, and inputs of the wrong kind",
    source: wat(`(module ${ENV} (func (export "takes") (param i32)) (func (export "fine")))`),
    steps: [{ fn: "missing" }, { fn: "takes" }, { fn: "fine", input: 5 as never }, { fn: "fine" }],
    expected: ["MORTISE_UNKNOWN_FUNCTION", "MORTISE_BAD_SIGNATURE", "MORTISE_INVALID_INPUT", ""],
  },
  ...(
    [
      ["bytes that are no module", async () => Uint8Array.of(1, 2, 3, 4), "MORTISE_NOT_WASM"],
      ["an import that nothing provides", wat(`(module (import "host" "missing" (func)))`), "MORTISE_MISSING_IMPORT"],
      ["an import of the wrong type", wat(`(module (import "extism:host/env" "alloc" (func (param i32))))`), "MORTISE_IMPORT_TYPE"],
      ["a memory that is too large from the start", wat(`(module (memory 5000))`), "MORTISE_INITIAL_MEMORY"],
      ["a segment that does not fit", wat(`(module (memory 1) (data (i32.const 65536) "x"))`), "MORTISE_INSTANCE_FAILED"],
      ["a start function that traps", wat(`(module (func $inner unreachable) (func $s (call $inner)) (start $s))`), "MORTISE_TRAP"],
      ["a start function that never ends", wat(`(module (func $s (loop (br 0))) (start $s))`), "MORTISE_TIMEOUT"],
    ] as const
  ).map(([name, source, code]): Case => ({ name, source, options: { limits: { initTimeoutMs: 80 } }, steps: [], expected: [code] })),
];

const STATE: readonly Case[] = [
  {
    name: "variables over calls and discards, and globals that go",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    steps: ["var_bump", "globals", "var_bump", "globals", "trap", "var_bump", "globals"].map((fn) => ({ fn })),
    expected: ["1", "1", "2", "2", "MORTISE_TRAP", "3", "1"],
  },
  {
    name: "the limit of variables",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    options: { limits: { varBytes: 1000 } },
    steps: [{ fn: "var_fill", input: "900" }, { fn: "var_fill", input: "990" }, { fn: "var_bump" }],
    expected: ["900", "MORTISE_VAR_LIMIT", "MORTISE_VAR_LIMIT"],
  },
  {
    name: "configuration",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    options: { config: { vowels: "aeiouäöü", __proto__x: "1" } },
    steps: [
      { fn: "config_echo", input: "vowels" },
      { fn: "config_echo", input: "__proto__" },
      { fn: "config_echo", input: "__proto__x" },
    ],
    expected: ["aeiouäöü", "MORTISE_GUEST_ERROR", "1"],
  },
  {
    name: "a plugin of AssemblyScript, with its own configuration and variable",
    source: prebuilt("vowels.ts"),
    options: { config: { vowels: "xyz" } },
    steps: [
      { fn: "count_vowels", input: "xylophone" },
      { fn: "count_vowels", input: "zz" },
    ],
    expected: ['{"count":2,"total":2,"vowels":"xyz"}', '{"count":2,"total":4,"vowels":"xyz"}'],
  },
  {
    name: "a plugin of Go, which starts a runtime of its own",
    source: prebuilt("readability.go"),
    options: { limits: { timeoutMs: 20_000, initTimeoutMs: 20_000 } },
    // Its scheduler looks at the clock.
    fuelVaries: true,
    steps: [{ fn: "readability", input: "Hello, world. This is a text." }],
    expected: ['{"sentences":2,"words":6,"syllables":7,"readingEase":105.09}'],
  },
];

/** Logs `input` bytes of x, `times` times, with a host call between. */
const LOGGER = `(module ${ENV}
  (import "extism:host/env" "log_info" (func $log (param i64)))
  (import "host" "work" (func $work (param i64) (result i64)))
  (func (export "log") (call $log (call $input_offset)))
  (func (export "between") (call $log (call $input_offset)) (drop (call $work (i64.const 1))) (call $log (call $copy)) (drop (call $work (i64.const 2))))
  (func $copy (result i64) (local $b i64) (local.set $b (call $alloc (i64.const 1))) (call $store_u8 (local.get $b) (i32.const 0x21)) (local.get $b))
  (func (export "flood") (local $n i32)
    (loop (call $log (call $copy)) (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 100))))))`;

const LOGS: readonly Case[] = [
  {
    name: "lines of every level, in order",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    options: { logLevel: "trace" },
    steps: [{ fn: "log_all" }, { fn: "log_all" }],
    expected: ["", ""],
  },
  {
    name: "lines from a level on",
    source: prebuilt("fixtures.c"),
    host: FIXTURE_HOST,
    options: { logLevel: "warn" },
    steps: [{ fn: "log_all" }],
    expected: [""],
  },
  {
    name: "lines that forge others, and a flood",
    source: wat(LOGGER),
    host: (note) => ({ host: { work: (_context: CallContext, value: bigint) => (note(value), 0n) } }),
    options: { limits: { logBytes: 500 } },
    steps: [{ fn: "log", input: "a\nb\u001b[2J\u202e" }, { fn: "between", input: "first" }, { fn: "flood" }, { fn: "log", input: "x".repeat(400) }],
    expected: ["", "", "", ""],
  },
];

/** Standard output, the environment, standard input to standard error, and a file of a granted folder. */
const STREAMS = `(module ${ENV}
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get" (func $environ (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 32) "hello\\n") (data (i32.const 48) "note.txt")
  (func $vector (param $at i32) (param $size i32) (i32.store (i32.const 0) (local.get $at)) (i32.store (i32.const 4) (local.get $size)))
  (func (export "print") (result i32)
    (call $vector (i32.const 32) (i32.const 6))
    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
  (func (export "environ") (result i32)
    (drop (call $environ (i32.const 64) (i32.const 256)))
    (call $vector (i32.const 256) (i32.const 9))
    (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))
  (func $copy (param $from i32) (result i32)
    (call $vector (i32.const 512) (i32.const 100))
    (drop (call $read (local.get $from) (i32.const 0) (i32.const 1) (i32.const 16)))
    (i32.store (i32.const 4) (i32.load (i32.const 16)))
    (call $write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16)))
  (func (export "cat") (result i32) (call $copy (i32.const 0)))
  (func (export "file") (result i32)
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 48) (i32.const 8) (i32.const 0) (i64.const 2) (i64.const 2) (i32.const 0) (i32.const 20)))
    (call $copy (i32.load (i32.const 20)))))`;

const textOf = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);

const WASI: readonly Case[] = [
  {
    name: "streams that the host has",
    source: wat(STREAMS),
    fresh(note) {
      const input = ["first ", "second", ""];
      return {
        wasi: {
          env: { WHO: "world" },
          stdin: { read: () => Buffer.from(input.shift() ?? "") },
          stdout: (bytes) => note({ stdout: textOf(bytes) }),
          stderr: (bytes) => note({ stderr: textOf(bytes) }),
        },
      };
    },
    steps: ["print", "environ", "cat", "cat", "cat"].map((fn) => ({ fn })),
    expected: ["", "", "", "", ""],
  },
  {
    name: "input of a fixed text, for each instance from the beginning",
    source: wat(STREAMS),
    fresh: (note) => ({ wasi: { stdin: "größer", stderr: (bytes) => note({ stderr: textOf(bytes) }) } }),
    steps: ["cat", "cat"].map((fn) => ({ fn })),
    expected: ["", ""],
  },
  {
    name: "files in memory",
    source: wat(STREAMS),
    fresh: (note) => ({ wasi: { files: { "/note.txt": Buffer.from("in memory") }, stderr: (bytes) => note({ stderr: textOf(bytes) }) } }),
    steps: [{ fn: "file" }],
    expected: [""],
  },
  {
    name: "a folder that is granted by a relative path",
    source: wat(STREAMS),
    fresh(note) {
      const folder = mkdtempSync(join(tmpdir(), "mortise-isolation-"));
      writeFileSync(join(folder, "note.txt"), "on disk");
      return {
        permissions: { paths: { [`ro:${relative(process.cwd(), folder)}`]: "/data" } },
        wasi: { stderr: (bytes) => note({ stderr: textOf(bytes) }) },
      };
    },
    steps: [{ fn: "file" }],
    expected: [""],
  },
];

/** Sends a request and outputs the response, or shows its status. */
const CLIENT = `(module ${ENV}
  (import "extism:host/env" "http_request" (func $request (param i64 i64) (result i64)))
  (import "extism:host/env" "http_status_code" (func $status (result i32)))
  (import "extism:host/env" "http_headers" (func $headers (result i64)))
  (func $show (param $block i64) (call $output_set (local.get $block) (call $length (local.get $block))))
  (func (export "get") (call $show (call $request (call $input_offset) (i64.const 0))))
  (func (export "post") (call $show (call $request (call $input_offset) (call $input_offset))))
  (func (export "headers") (drop (call $request (call $input_offset) (i64.const 0))) (call $show (call $headers)))
  (func (export "status") (result i32) (drop (call $request (call $input_offset) (i64.const 0))) (call $status)))`;

const answer: typeof globalThis.fetch = async (input, init) => {
  const { pathname } = new URL(input instanceof Request ? input.url : input);
  if (pathname === "/down") throw new TypeError("the network is down");
  const sent = init?.body instanceof Uint8Array ? new TextDecoder().decode(init.body) : "";
  return new Response(`${init?.method ?? "GET"} ${pathname} ${sent}`, { status: pathname === "/missing" ? 404 : 200, headers: { "x-seen": "yes" } });
};

const HTTP: readonly Case[] = [
  {
    name: "requests that are granted, and others",
    source: wat(CLIENT),
    options: { permissions: { hosts: ["example.com"] }, http: { fetch: answer }, limits: { timeoutMs: 20_000 } },
    fuelVaries: true,
    steps: [
      { fn: "get", input: '{"url":"https://example.com/here"}' },
      { fn: "post", input: '{"url":"https://example.com/there","method":"POST"}' },
      { fn: "headers", input: '{"url":"https://example.com/here"}' },
      { fn: "status", input: '{"url":"https://example.com/missing"}' },
      { fn: "get", input: '{"url":"https://example.com/down"}' },
      { fn: "get", input: '{"url":"https://example.org/"}' },
      { fn: "get", input: "no JSON" },
      { fn: "get", input: '{"url":"https://example.com/again"}' },
    ],
    expected: [
      "GET /here ",
      'POST /there {"url":"https://example.com/there","method":"POST"}',
      '{"content-type":"text/plain;charset=UTF-8","x-seen":"yes"}',
      "MORTISE_RETURN_CODE",
      "MORTISE_HTTP_FAILED",
      "MORTISE_HTTP_DENIED",
      "MORTISE_HTTP_INVALID",
      "GET /again ",
    ],
  },
  {
    name: "requests without a grant",
    source: wat(CLIENT),
    steps: [{ fn: "get", input: '{"url":"https://example.com/"}' }],
    expected: ["MORTISE_PERMISSION"],
  },
];

export const CASES: Readonly<Record<string, readonly Case[]>> = {
  outputs: OUTPUTS,
  errors: ERRORS,
  "variables and configuration": STATE,
  logs: LOGS,
  "host functions": HOST_CASES,
  WASI,
  HTTP,
};
