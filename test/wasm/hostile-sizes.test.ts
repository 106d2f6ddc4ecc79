// Reading and rewriting take time in proportion to the module, whatever it is made of: each shape here is about
// 400 KB of one thing, and a quadratic step anywhere in the rewriter would take minutes for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isMortiseError } from "../../src/api/errors.ts";
import { inspect, instrument } from "../../src/wasm/index.ts";
import { threadMs } from "../thread-time.ts";
import { call, type Code, EMPTY, END, FUNCREF, I32, i32Const, ModuleBuilder, text, unsigned } from "./builder.ts";

const targetBytes = 400_000;
const limitMs = 2500;

/** `piece` over and over, about 400 KB of it. */
function repeated(piece: Code, bytes = targetBytes): number[] {
  const out: number[] = [];
  const count = Math.floor(bytes / piece.length);
  for (let left = count; left > 0; left--) for (const byte of piece) out.push(byte);
  return out;
}

/** A module with one memory, one table, a struct type and a tag, whose first function is the given code. */
function withBody(code: Code, locals: readonly Code[] = [[I32]]): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], []);
  builder.rawType([0x5f, 0]);
  builder.memory([3, 1, 1]);
  builder.table([FUNCREF, 0, 4]);
  builder.tag(type);
  builder.importEntity("host", "f", "function", unsigned(type));
  builder.func(type, locals, code);
  builder.func(type, [], []);
  builder.element([3, 0, 1, 1]);
  builder.exportEntity("run", "function", 1);
  return builder.build();
}

function withMany(count: number, add: (builder: ModuleBuilder, at: number) => void): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  builder.type([], []);
  for (let at = 0; at < count; at++) add(builder, at);
  return builder.build();
}

const zeros = [0x41, 0, 0x41, 0, 0x41, 0];
const isPrefix = (depth: number): number[] => Array.from({ length: depth }, () => [0x02, EMPTY]).flat();

const shapes: Record<string, () => Uint8Array<ArrayBuffer>> = {
  "constants in a row": () => withBody(repeated([0x41, 0, 0x1a])),
  "empty conditions": () => withBody(repeated([0x20, 0, 0x04, EMPTY, END])),
  "empty loops": () => withBody(repeated([0x03, EMPTY, END])),
  "nested blocks": () => withBody([...isPrefix(100_000), ...repeated([END], 100_000)]),
  "nested loops": () => withBody([...repeated([0x03, EMPTY], 200_000), ...repeated([END], 100_000)]),
  "nested conditions": () => withBody([...repeated([0x20, 0, 0x04, EMPTY], 200_000), ...repeated([END], 50_000)]),
  "branches in one block": () => withBody([0x02, EMPTY, ...repeated([0x20, 0, 0x0d, 0]), END]),
  "branches out of deep nesting": () => withBody([...isPrefix(2000), ...repeated([0x20, 0, 0x0d, 0xcf, 0x0f]), ...repeated([END], 2000)]),
  "large branch tables": () => withBody(repeated([0x02, EMPTY, 0x20, 0, 0x0e, ...unsigned(5000), ...Array.from({ length: 5001 }, () => 0), END])),
  calls: () => withBody(repeated(call(2))),
  "calls of the host": () => withBody(repeated(call(0))),
  "function references": () => withBody(repeated([0xd2, 1, 0x1a])),
  "references to the host": () => withBody(repeated([0xd2, 0, 0x1a])),
  "bulk operations": () => withBody(repeated([...zeros, 0xfc, 11, 0])),
  "growth instructions": () => withBody(repeated([0x41, 0, 0x40, 0, 0x1a])),
  "handlers of the first form": () => withBody(repeated([0x06, EMPTY, 0x07, 0, 0x19, END])),
  "handlers of the second form": () => withBody(repeated([0x02, EMPTY, 0x1f, EMPTY, 1, 2, 0, END, END])),
  throws: () => withBody(repeated([0x20, 0, 0x04, EMPTY, 0x08, 0, END])),
  "instructions in dead code": () => withBody([0x00, ...repeated([0x1a, ...call(2), ...call(0), 0x40, 0])]),
  "waits and allocations": () => withBody([0x00, ...repeated([0xfe, 0x01, 2, 0, 0x1a], 200_000), ...repeated([0xfb, 0, 1, 0x1a], 200_000)]),
  waits: () => withBody([0x00, ...repeated([0xfe, 0x01, 2, 0, 0x1a])]),
  "groups of locals": () =>
    withBody(
      [0x20, 0, 0x1a],
      Array.from({ length: 45_000 }, () => [I32]),
    ),
  "tiny functions": () => withMany(80_000, (builder) => builder.func(0, [], [])),
  "functions that loop": () => withMany(50_000, (builder) => builder.func(0, [], [0x03, EMPTY, END])),
  "chained functions": () => withMany(60_000, (builder, at) => builder.func(0, [], call(Math.min(at + 1, 59_999)))),
  "functions chained backwards": () => withMany(60_000, (builder, at) => builder.func(0, [], call(Math.max(at - 1, 0)))),
  "functions that all call each other": () =>
    withMany(350, (builder) => builder.func(0, [], Array.from({ length: 350 }, (_, callee) => call(callee)).flat())),
  "functions that call in conditions": () =>
    withMany(300, (builder) => builder.func(0, [], Array.from({ length: 300 }, (_, callee) => [0x41, 0, 0x04, EMPTY, ...call(callee), END]).flat())),
  "functions with groups of locals": () =>
    withMany(800, (builder) =>
      builder.func(
        0,
        Array.from({ length: 250 }, () => [I32]),
        [0x03, EMPTY, END],
      ),
    ),
  imports: () => withMany(50_000, (builder) => builder.importEntity("", "", "function", [0])),
  exports: () =>
    withMany(50_000, (builder, at) => {
      if (at === 0) builder.func(0, [], []);
      builder.exportEntity(`e${at}`, "function", 0);
    }),
  globals: () => withMany(80_000, (builder) => builder.global([I32], true, i32Const(0))),
  types: () => withMany(40_000, (builder, at) => builder.rawType([0x60, 2, I32, at % 2 === 0 ? I32 : 0x7e, 0])),
  "element segments": () =>
    withMany(60_000, (builder, at) => {
      if (at === 0) builder.func(0, [], []);
      builder.element([1, 0, 1, 0]);
    }),
  "data segments": () => withMany(80_000, (builder) => builder.data([1, ...text("x")])),
  "custom sections": () => withMany(40_000, (builder) => builder.custom("name", [0])),
  tables: () => withMany(40_000, (builder) => builder.table([FUNCREF, 0, 0])),
  memories: () => withMany(40_000, (builder) => builder.memory([0, 0])),
};

for (const [name, make] of Object.entries(shapes)) {
  test(`instrument and inspect take no longer than they should for many ${name}`, () => {
    const bytes = make();
    assert.ok(bytes.length < 2 * targetBytes);
    for (const [what, action] of [
      ["instrument", () => instrument(bytes, { gc: "allow" })],
      ["inspect", () => inspect(bytes)],
    ] as const) {
      const before = threadMs();
      try {
        action();
      } catch (error) {
        assert.ok(isMortiseError(error), String(error));
      }
      const ms = threadMs() - before;
      assert.ok(ms < limitMs, `${what} took ${Math.round(ms)} ms for ${bytes.length} bytes`);
    }
  });
}
