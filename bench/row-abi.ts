// Row: a call through each interface, against the same function called by hand without any limit.

import { pathToFileURL } from "node:url";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { type Plugin, loadPlugin } from "../src/index.ts";
import { assembleText } from "../test/wasm/assemble.ts";
import { type Case, type Samples, interleave, ratioOf, spread } from "./measure.ts";
import { type Result, type Row, type RowOptions, slower } from "./report.ts";

/** Gives its input back from where it lies; one block is enough for one call at a time. */
const linear = (allocate: string, free: string): string => `(module
  (memory (export "memory") 2)
  (func (export "${allocate}") (param i32) (result i32) (i32.const 1024))
  (func (export "${free}") (param i32 i32))
  (func (export "get_name") (result i64) (i64.const 0))
  (func (export "run") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.extend_i32_u (local.get 0)) (i64.const 32)) (i64.extend_i32_u (local.get 1)))))`;

const EXTISM = `(module
  (import "extism:host/env" "input_offset" (func $offset (result i64)))
  (import "extism:host/env" "input_length" (func $length (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (memory (export "memory") 1)
  (func (export "run") (call $output (call $offset) (call $length))))`;

const NATIVE = `export const run = (input) => input;\n`;

interface Contender extends Case {
  readonly close: () => Promise<unknown>;
}

function ours(name: string, plugin: Plugin, input: string, close: () => Promise<unknown> = () => plugin.close()): Contender {
  const answer = plugin.callSync("run", input).text();
  if (answer !== input) throw new Error(`${name} gave ${answer.slice(0, 40)}`);
  return {
    name,
    run: (times) => {
      for (let left = times; left > 0; left--) plugin.callSync("run", input);
    },
    close,
  };
}

/** What an embedder would write: no meter, no checks, and for HeliosProxy's interface an instance for each call. */
async function byHand(
  bytes: Uint8Array<ArrayBuffer>,
  [allocate, free]: readonly [string, string],
  input: string,
  fresh: boolean,
): Promise<Contender> {
  const module = await WebAssembly.compile(bytes);
  const encoder = new TextEncoder();
  type Fn = (...values: number[]) => bigint;
  let exports = new WebAssembly.Instance(module).exports as unknown as Record<string, Fn> & { memory: WebAssembly.Memory };
  const call = (): Uint8Array => {
    if (fresh) exports = new WebAssembly.Instance(module).exports as typeof exports;
    const data = encoder.encode(input);
    const at = Number(exports[allocate]?.(data.length));
    new Uint8Array(exports.memory.buffer).set(data, at);
    const packed = BigInt.asUintN(64, exports["run"]?.(at, data.length) ?? 0n);
    const [address, length] = [Number(packed >> 32n), Number(packed & 0xffff_ffffn)];
    const output = new Uint8Array(exports.memory.buffer).slice(address, address + length);
    exports[free]?.(address, length);
    return output;
  };
  if (call().length !== encoder.encode(input).length) throw new Error("by hand: wrong output");
  return {
    name: "by hand",
    run: (times) => {
      for (let left = times; left > 0; left--) call();
    },
    close: async () => {},
  };
}

async function native(input: string): Promise<{ readonly mortise: Contender; readonly plain: Contender }> {
  const folder = await mkdtemp(join(tmpdir(), "mortise-bench-"));
  const path = join(folder, "echo.mjs");
  await writeFile(path, NATIVE);
  const digest = createHash("sha256")
    .update(await readFile(path))
    .digest("hex");
  const plugin = await loadPlugin(path, { native: [{ path, digest }] });
  const loaded = (await import(pathToFileURL(path).href)) as { run: (bytes: Uint8Array) => Uint8Array };
  const encoder = new TextEncoder();
  return {
    mortise: ours("native", plugin, input, async () => {
      await plugin.close();
      await rm(folder, { recursive: true });
    }),
    plain: {
      name: "by hand",
      run: (times) => {
        for (let left = times; left > 0; left--) loaded.run(encoder.encode(input)).slice();
      },
      close: async () => {},
    },
  };
}

async function run({ effort }: RowOptions): Promise<Result[]> {
  const results: Result[] = [];
  for (const [size, input] of [
    ["13 B", "Hello, World!"],
    ["1 KiB", "0123456789abcdef".repeat(64)],
  ] as const) {
    const bifrost = await assembleText("bifrost", linear("malloc", "free"));
    const helios = await assembleText("helios", linear("alloc", "dealloc").replace('"get_name"', '"name"'));
    const { mortise, plain } = await native(input);
    const cases: Contender[] = [
      ours("extism", await loadPlugin(await assembleText("extism", EXTISM)), input),
      ours("bifrost", await loadPlugin(bifrost), input),
      await byHand(bifrost, ["malloc", "free"], input, false),
      ours("helios", await loadPlugin(helios), input),
      await byHand(helios, ["alloc", "dealloc"], input, true),
      mortise,
      plain,
    ];
    const samples = (await interleave(cases, effort)) as [Samples, Samples, Samples, Samples, Samples, Samples, Samples];
    for (const item of cases) await item.close();
    const [extism, bifrostUs, bifrostHand, heliosUs, heliosHand, nativeUs, nativeHand] = samples;
    const line = (name: string, mine: Samples, hand: Samples): Result => slower(`${name} ${size}`, spread(mine), spread(hand), ratioOf(mine, hand));
    results.push(
      line("bifrost, against a call by hand", bifrostUs, bifrostHand),
      line("extism, against bifrost's call by hand", extism, bifrostHand),
      line("helios, a new instance each, against by hand", heliosUs, heliosHand),
      line("native, against a call by hand", nativeUs, nativeHand),
    );
  }
  return results;
}

export const ABI: Row = {
  name: "abi",
  title: "a call through each interface",
  measures:
    "Calls an export that gives its input back with `callSync`: through each interface with all limits on, against the same module called by hand without a meter, a limit or a check. HeliosProxy's interface has a new instance for each call, on both sides.",
  run,
};
