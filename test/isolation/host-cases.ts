// What host functions have to do alike wherever the plugin runs.

import { type CallContext, MortiseError } from "../../src/index.ts";
import { REFLECTOR, wat } from "./guests.ts";
import type { Case, Step } from "./transcript.ts";

type Work = (context: CallContext, address: bigint, note: (entry: unknown) => void) => unknown;

/** A case in which the host does this work for each call of `f`. */
function hostCase(name: string, work: Work, steps: readonly Step[], expected: Case["expected"], more: Partial<Case> = {}): Case {
  return {
    name,
    source: wat(REFLECTOR),
    host: (note) => ({ host: { work: ((context: CallContext, address: bigint) => work(context, address, note)) as never } }),
    steps,
    expected,
    ...more,
  };
}

const f = (input?: Step["input"]): Step => ({ fn: "f", ...(input === undefined ? {} : { input }) });

/** The value whose number is the input. */
const chosen = (values: readonly unknown[], context: CallContext, address: bigint): unknown => values[Number(context.readText(address))];

const refusal = new MortiseError("MORTISE_PERMISSION", { what: "printing", plugin: "forged", function: "forged" });

const THROWN: readonly unknown[] = [
  new Error("out of paper"),
  "plain text",
  undefined,
  null,
  7,
  Symbol("x"),
  new Error("a\u001b[2J\nb"),
  new Error("\n".repeat(1000)),
  refusal,
  new WebAssembly.RuntimeError("unreachable"),
  Object.create(null),
];

const NO_I64: readonly unknown[] = [undefined, null, "5", true, {}, [], Symbol("x"), () => 5, 1.5, Number.NaN, 2 ** 53, Number.POSITIVE_INFINITY];

/** All of them. */
export const HOST_CASES: readonly Case[] = [
  hostCase(
    "a block that is read, changed and stored",
    (context, address) => context.store(context.readText(address).toUpperCase()),
    [f("one"), f("größer"), f(), f("z".repeat(100_000))],
    ["ONE", "GRÖSSER", "", Uint8Array.from(Buffer.from("Z".repeat(100_000)))],
  ),
  hostCase(
    "a promise for it",
    async (context, address) => {
      const text = context.readText(address);
      await Promise.resolve();
      return context.store(`${text} later`);
    },
    [f("one"), f("two"), { fn: "twice", input: "three" }],
    ["one later", "two later", "three later"],
  ),
  hostCase(
    "a block that is read more than once, or not at all",
    (context, address, note) => {
      const times = context.readText(address).length % 4;
      for (let time = 0; time < times; time++) note(context.read(address).length);
      return times === 0 ? 0n : address;
    },
    // Long enough to be charged for.
    [101, 102, 103, 104, 105].map((size) => f("x".repeat(size))),
    [101, 102, 103, 104, 105].map((size) => (size === 104 ? "" : "x".repeat(size))),
  ),
  hostCase(
    "blocks that are made, measured, freed, and no blocks",
    (context, address, note) => {
      const made = context.alloc(20);
      const stored = context.store(Uint8Array.of(1, 2, 3));
      note([made, stored, context.length(made), context.length(stored), context.read(made), context.length(address)]);
      context.free(stored);
      note([context.length(stored), context.read(stored).length, context.store("four"), context.alloc(0), context.store("")]);
      for (const other of [0, 0n, 1, 255, address + 1n, -1, -1n, 1n << 32n, 2n ** 64n, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -0]) {
        note([context.read(other).length, context.length(other)]);
      }
      return made;
    },
    [f("input"), f("input")],
    ["\0".repeat(20), "\0".repeat(20)],
  ),
  hostCase(
    "a block that is freed before it is read",
    (context, address, note) => {
      context.free(address);
      note(context.read(address).length);
      return 0n;
    },
    [f("input"), f("input")],
    ["", ""],
  ),
  hostCase(
    "an error message that the host sets",
    (context, address) => {
      context.setError(context.readText(address));
      if (context.length(address) === 5) context.setError(undefined);
      return 0n;
    },
    [f("broken"), f("whole")],
    ["MORTISE_GUEST_ERROR", ""],
  ),
  hostCase(
    "text that is no UTF-8",
    (context, address) => (context.readText(address), 0n),
    [f(Uint8Array.of(0x61, 0xff)), f("fine")],
    ["MORTISE_BAD_TEXT", ""],
  ),
  hostCase(
    "variables that the host sets and reads",
    (context, address, note) => {
      const text = context.readText(address);
      note(context.getVariable("v"));
      context.setVariable("v", text === "delete" ? undefined : text);
      note(context.getVariable("v"));
      return 0n;
    },
    [f("one"), f("two"), f("delete"), f("three")],
    ["", "", "", ""],
  ),
  hostCase(
    "the limit of variables, let through and caught",
    (context, address, note) => {
      try {
        context.setVariable("v", "x".repeat(1000));
      } catch (error) {
        note((error as MortiseError).code);
        if (context.readText(address) === "through") throw error;
      }
      return address;
    },
    [f("through"), f("caught")],
    ["MORTISE_VAR_LIMIT", "caught"],
    { options: { limits: { varBytes: 500 } } },
  ),
  hostCase(
    "the memory limit for a block of the host",
    (context) => context.store(new Uint8Array(1 << 20)),
    [f(), f()],
    ["MORTISE_MEMORY_LIMIT", "MORTISE_MEMORY_LIMIT"],
    { options: { limits: { memoryBytes: 1 << 20 } } },
  ),
  hostCase(
    "what the caller passes along",
    (context, _address, note) => {
      note([context.plugin, context.context, context.logLevel]);
      return 0n;
    },
    [{ ...f(), context: { deep: new Map([[1, () => 5]]) } }, { ...f(), context: "text" }, f()],
    ["", "", ""],
  ),
  hostCase(
    "everything that can be thrown",
    (context, address) => {
      throw chosen(THROWN, context, address);
    },
    THROWN.map((_value, index) => f(String(index))),
    THROWN.map(() => "MORTISE_HOST_FUNCTION"),
  ),
  hostCase(
    "everything that a promise can be rejected with",
    async (context, address) => {
      const thrown = chosen(THROWN, context, address);
      await Promise.resolve();
      throw thrown;
    },
    THROWN.map((_value, index) => f(String(index))),
    THROWN.map(() => "MORTISE_HOST_FUNCTION"),
  ),
  hostCase(
    "a stack that the host exhausts",
    function recurse(...values): unknown {
      return [recurse(...values)];
    },
    [f()],
    ["MORTISE_STACK_OVERFLOW"],
    { varying: ["trace"], fuelVaries: true },
  ),
  hostCase(
    "results that are no i64",
    (context, address) => chosen(NO_I64, context, address),
    NO_I64.map((_value, index) => f(String(index))),
    NO_I64.map(() => "MORTISE_HOST_RESULT"),
  ),
  {
    name: "values of every type, both ways",
    source: wat(`(module
      ${["i32", "i64", "f32", "f64"].map((type) => `(import "host" "give_${type}" (func $give_${type} (result ${type}))) (import "host" "see_${type}" (func $see_${type} (param ${type})))`).join("\n")}
      ${["i32", "i64", "f32", "f64"].map((type) => `(func (export "ask_${type}") (call $see_${type} (call $give_${type})))`).join("\n")}
      (func (export "extremes") (call $see_i32 (i32.const 0x80000000)) (call $see_i64 (i64.const 0x8000000000000000)) (call $see_f32 (f32.const -inf)) (call $see_f64 (f64.const -0)) (call $see_f64 (f64.const nan))))`),
    host: (note) => {
      const answers: Readonly<Record<string, readonly (number | bigint)[]>> = {
        i32: [5, -1, 2 ** 32 + 7, 1.9, Number.NaN, -0, Number.POSITIVE_INFINITY],
        i64: [5n, 5, -7, 2n ** 63n, 2n ** 64n + 3n, -(2n ** 63n) - 1n, Number.MAX_SAFE_INTEGER],
        f32: [0.1, 1e300, -0, Number.NaN],
        f64: [0.1, Number.MIN_VALUE, -0, Number.NEGATIVE_INFINITY],
      };
      return {
        host: Object.fromEntries(
          Object.entries(answers).flatMap(([type, values]) => {
            let next = 0;
            return [
              [`give_${type}`, () => values[next++ % values.length] as never],
              [`see_${type}`, (_context: CallContext, value: number | bigint) => note(Object.is(value, -0) ? "-0" : value)],
            ];
          }),
        ),
      };
    },
    steps: [...["i32", "i64", "f32", "f64"].flatMap((type) => Array.from({ length: 7 }, () => ({ fn: `ask_${type}` }))), { fn: "extremes" }],
    expected: Array.from({ length: 29 }, () => ""),
  },
  {
    name: "a call of the plugin from its own host function",
    source: wat(REFLECTOR),
    host: (note, plugin) => ({
      host: {
        work: async (context: CallContext) => {
          await plugin()
            .call("f")
            .catch((error: unknown) => note((error as MortiseError).code));
          return context.store("after");
        },
      },
    }),
    steps: [f()],
    expected: ["after"],
  },
  hostCase(
    "a host function that takes longer than the call may",
    (context, _address, note) => {
      context.signal.addEventListener("abort", () => note("aborted"));
      return new Promise(() => {});
    },
    [
      { ...f(), timeoutMs: 40 },
      { ...f(), timeoutMs: 40 },
    ],
    ["MORTISE_TIMEOUT", "MORTISE_TIMEOUT"],
    { fuelVaries: true },
  ),
  hostCase(
    "a guest that goes on after a host function",
    (_context, address) => address,
    [{ fn: "f_then_spin", timeoutMs: 50 }, f("fine")],
    ["MORTISE_TIMEOUT", "fine"],
    { fuelVaries: true },
  ),
];
