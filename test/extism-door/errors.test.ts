import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MortiseError, isMortiseError } from "mortise";

import { compare, thrown } from "./side-by-side.ts";
import { CALLER, SHAPES } from "./modules.ts";
import { type Create, REFLECT, type SdkPlugin, assemble, door, fixtures, guestPath } from "./sdks.ts";

const shapes = await assemble(SHAPES);
const caller = await assemble(CALLER);

const reflecting = (create: Create): Promise<SdkPlugin> => create(guestPath("fixtures.c"), { functions: REFLECT });
const shaped = (create: Create): Promise<SdkPlugin> => create({ wasm: [{ data: shapes }] });
const failing = async (create: Create, name: string, input?: string): Promise<unknown> => (await reflecting(create)).call(name, input);
const misshapen = async (create: Create, name: string, input?: string): Promise<unknown> => (await shaped(create)).call(name, input);
const throwing = async (create: Create, error: unknown): Promise<unknown> =>
  (
    await fixtures(create, () => {
      throw error;
    })
  ).call("host_reflect", "x");

compare("Errors of calls", [
  { name: "name a function that does not exist", run: (create) => failing(create, "nope") },
  { name: "name an export that is no function", run: (create) => failing(create, "memory") },
  { name: "hold the plugin's own message", run: (create) => failing(create, "fail") },
  { name: "hold the plugin's own message as it is", run: (create) => misshapen(create, "error", `two\nlines \u001b[31m ${"x".repeat(1000)}`) },
  {
    name: "for an empty message",
    run: (create) => misshapen(create, "error", ""),
    expect: { because: "an empty block is no message", door: null, package: thrown("Error", "Plugin-originated error: ") },
  },
  { name: "tell of unreachable code", run: (create) => failing(create, "trap") },
  { name: "tell of a division by zero", run: (create) => misshapen(create, "divide") },
  { name: "tell of an access outside the memory", run: (create) => misshapen(create, "outside") },
  {
    name: "for a message and a trap",
    run: (create) => misshapen(create, "error_and_trap", "why"),
    expect: {
      because: "the message tells more, and Extism's own runtime gives it",
      door: thrown("Error", "Plugin-originated error: why"),
      package: thrown("RuntimeError", "unreachable"),
    },
  },
  { name: "tell of endless recursion", run: (create) => failing(create, "recurse") },
  {
    name: "leave the plugin usable",
    run: async (create) => {
      const plugin = await reflecting(create);
      const failed: string[] = [];
      for (const name of ["fail", "trap", "recurse"]) await plugin.call(name).catch(() => failed.push(name));
      return [failed, (await plugin.call("host_reflect", "still here"))?.text()];
    },
  },
  {
    name: "of a stopped plugin leave what its memory holds",
    run: async (create) => {
      const plugin = await reflecting(create);
      await plugin.call("globals");
      await plugin.call("var_bump");
      await plugin.call("trap").catch(() => {});
      return [await plugin.call("globals"), await plugin.call("var_bump")];
    },
    expect: {
      because: "it gets a new instance with the old variables",
      door: [{ output: "1" }, { output: "2" }],
      package: [{ output: "2" }, { output: "2" }],
    },
  },
  { name: "of host functions come out as they are", run: (create) => throwing(create, new TypeError("no")) },
  { name: "of host functions may be no errors", run: (create) => throwing(create, "just text") },
  {
    name: "of host functions come out as the same object",
    run: async (create) => {
      const error = new (class Own extends Error {})("mine");
      return throwing(create, error).catch((found: unknown) => found === error);
    },
  },
  {
    name: "of asynchronous host functions come out as the same object",
    run: async (create) => {
      const error = new Error("mine");
      const plugin = await fixtures(create, () => Promise.resolve().then(() => Promise.reject(error)));
      return plugin.call("host_reflect", "x").catch((found: unknown) => found === error || String(found));
    },
    expect: {
      because: "a promise need not come from an async function",
      door: true,
    },
  },
]);

compare("Errors of createPlugin", [
  { name: "tell of an unknown level", run: (create) => create(guestPath("echo.c"), { logLevel: "loud" }) },
  { name: "tell of an import that nothing provides", run: (create) => create(guestPath("fixtures.c")) },
  { name: "tell of a function that a namespace lacks", run: (create) => create({ wasm: [{ data: caller }] }, { functions: { u: {} } }) },
  {
    name: "tell of an unknown function of the environment",
    run: async (create) => create({ wasm: [{ data: await assemble('(module (import "extism:host/env" "nope" (func)))') }] }),
  },
  {
    name: "tell of a memory that is imported",
    run: async (create) => create({ wasm: [{ data: await assemble('(module (import "u" "memory" (memory 1)))') }] }, { functions: { u: {} } }),
  },
  {
    name: "for what is no function",
    run: (create) => create({ wasm: [{ data: caller }] }, { functions: { u: { f: 5 } } }),
    expect: { because: "they say which", door: thrown("TypeError", 'Cannot use option "functions.u.f"'), package: thrown("TypeError", "func.bind") },
  },
  {
    name: "tell of a start function that traps",
    run: async (create) => create({ wasm: [{ data: await assemble("(module (func $s unreachable) (start $s))") }] }),
  },
  {
    name: "tell of an initialiser that traps",
    run: async (create) => create({ wasm: [{ data: await assemble('(module (func (export "_initialize") unreachable))') }] }),
  },
]);

compare("Modules", [
  {
    name: "with a shared memory",
    run: async (create) => create({ wasm: [{ data: await assemble("(module (memory 1 1 shared))") }] }).then(() => "runs"),
    expect: { because: "they could block the thread", door: thrown("MortiseError", "Cannot run"), package: "runs" },
  },
  {
    name: "with a very large function",
    run: async (create) => create({ wasm: [{ data: largeFunction() }] }).then(() => "runs"),
    expect: { because: "compiling it could stop the event loop", door: thrown("MortiseError", "Cannot run"), package: "runs" },
  },
  {
    name: "with a very large function run in a worker",
    run: async (create) => {
      const plugin = await create({ wasm: [{ data: largeFunction() }] }, { runInWorker: true });
      await plugin.close();
      return "runs";
    },
  },
  {
    name: "with _start and no _initialize",
    run: async (create) => {
      let starts = 0;
      const data = await assemble('(module (import "u" "f" (func $f)) (func (export "_start") (call $f)))');
      await create({ wasm: [{ data }] }, { functions: { u: { f: () => void starts++ } } });
      return starts;
    },
    expect: { because: "it runs when it is called", door: 0, package: 1 },
  },
  {
    name: "whose initialiser never ends",
    run: async (create) => create({ wasm: [{ data: await assemble('(module (func (export "_initialize") (loop (br 0))))') }] }, { timeoutMs: 100 }),
    expect: { because: "it has a deadline as well", door: thrown("Error", "EXTISM: call canceled due to timeout") },
  },
]);

/** A module with one function of 2 MiB that does nothing. */
function largeFunction(): Uint8Array<ArrayBuffer> {
  const nops = 2 << 20;
  const size = (value: number): number[] => [0, 7, 14, 21].map((shift) => ((value >> shift) & 0x7f) | (shift === 21 ? 0 : 0x80));
  const body = [...size(nops + 2), 0];
  const section = [10, ...size(1 + body.length + nops + 1), 1, ...body];
  const head = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, ...section];
  const module = new Uint8Array(head.length + nops + 1).fill(1);
  module.set(head);
  module[module.length - 1] = 0x0b;
  return module;
}

describe("Error of the door", () => {
  const cases: readonly [code: string, kind: new () => Error, work: () => Promise<unknown>][] = [
    ["MORTISE_UNKNOWN_FUNCTION", Error, () => failing(door, "nope")],
    ["MORTISE_GUEST_ERROR", Error, () => failing(door, "fail")],
    ["MORTISE_RETURN_CODE", MortiseError as never, () => failing(door, "exit_code")],
    ["MORTISE_TRAP", WebAssembly.RuntimeError, () => failing(door, "trap")],
    ["MORTISE_STACK_OVERFLOW", RangeError, () => failing(door, "recurse")],
    ["MORTISE_BAD_SIGNATURE", Error, () => misshapen(door, "param")],
    ["MORTISE_INVALID_OPTION", TypeError, () => door(guestPath("echo.c"), { logLevel: "loud" })],
    ["MORTISE_MISSING_IMPORT", Error, () => door(guestPath("fixtures.c"))],
    ["MORTISE_NOT_WASM", WebAssembly.CompileError, () => door({ wasm: [{ data: new Uint8Array(8) }] })],
    ["MORTISE_SOURCE_NOT_FOUND", Error, () => door("/not/there.wasm")],
  ];
  for (const [code, kind, work] of cases) {
    it(`has ${code} as its code, and is known to isMortiseError`, async () => {
      const error: unknown = await work().then(
        () => assert.fail("did not fail"),
        (found: unknown) => found,
      );
      assert.ok(isMortiseError(error), String(error));
      assert.equal(error.code, code);
      assert.ok((error as unknown) instanceof kind);
      assert.equal(typeof error.status, "number");
      assert.equal(error.toJSON().message, error.message);
      assert.equal(error.toJSON().code, code);
    });
  }

  it("has the coded error as its cause, with the plugin's frames", async () => {
    const error = (await failing(door, "trap").catch((found: unknown) => found)) as Error & { details: { trace: { function: string }[] } };
    assert.ok(error.cause instanceof MortiseError);
    assert.deepEqual(
      error.details.trace.map((frame) => frame.function),
      ["inner_function", "middle_function", "trap"],
    );
  });

  it("survives structured cloning with its text, as any error does", async () => {
    const error = (await failing(door, "trap").catch((found: unknown) => found)) as Error;
    assert.equal(structuredClone(error).message, "unreachable");
  });
});
