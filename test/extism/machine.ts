// A guest that imports the whole of "extism:host/env" and executes programs: lists of calls of those functions, whose
// operands may be results of earlier ones. Tests say what a guest does, and see what every single call answered.

import {
  type MortiseError,
  type Plugin,
  type PluginInput,
  type PluginOptions,
  type PluginOutput,
  isMortiseError,
  loadPlugin,
} from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

type Wat = "i32" | "i64";

/** The environment as the interface's documentation has it; kept apart from the host's own table on purpose. */
export const ENVIRONMENT = {
  alloc: [["i64"], "i64"],
  free: [["i64"], undefined],
  length: [["i64"], "i64"],
  length_unsafe: [["i64"], "i64"],
  load_u8: [["i64"], "i32"],
  load_u64: [["i64"], "i64"],
  store_u8: [["i64", "i32"], undefined],
  store_u64: [["i64", "i64"], undefined],
  input_offset: [[], "i64"],
  input_length: [[], "i64"],
  input_load_u8: [["i64"], "i32"],
  input_load_u64: [["i64"], "i64"],
  output_set: [["i64", "i64"], undefined],
  error_set: [["i64"], undefined],
  error_get: [[], "i64"],
  config_get: [["i64"], "i64"],
  var_get: [["i64"], "i64"],
  var_set: [["i64", "i64"], undefined],
  http_request: [["i64", "i64"], "i64"],
  http_status_code: [[], "i32"],
  http_headers: [[], "i64"],
  log_trace: [["i64"], undefined],
  log_debug: [["i64"], undefined],
  log_info: [["i64"], undefined],
  log_warn: [["i64"], undefined],
  log_error: [["i64"], undefined],
  get_log_level: [[], "i32"],
  output_offset: [[], "i64"],
  output_length: [[], "i64"],
  memory_bytes: [[], "i64"],
} as const satisfies Record<string, readonly [params: readonly Wat[], result: Wat | undefined]>;

/** A function of the environment. */
export type EnvironmentName = keyof typeof ENVIRONMENT;

/** What the machine can do besides: loops over ranges, a trap, and the end of a program with a return code. */
const EXTRA = ["fill", "count_nonzero", "trap", "finish"] as const;

/** Anything that a step of a program can be. */
export type StepName = EnvironmentName | (typeof EXTRA)[number];

const NAMES = Object.keys(ENVIRONMENT) as EnvironmentName[];
const STEPS: readonly StepName[] = [...NAMES, ...EXTRA];

/** How the machine calls the environment: each of these takes another path through the rewriter. */
export const STYLES = ["call", "return_call", "call_indirect", "return_call_indirect", "ref.func"] as const;
/** One of {@link STYLES}. */
export type Style = (typeof STYLES)[number];

/** Byte that `fill` writes. */
export const FILL = 0xa5;

const STEP_BYTES = 48;

const typeOf = (name: EnvironmentName): string => {
  const [params, result] = ENVIRONMENT[name];
  return `${params.map((type) => `(param ${type})`).join(" ")}${result === undefined ? "" : ` (result ${result})`}`;
};

function machineText(style: Style): string {
  const direct = style === "call";
  const indirect = style === "call_indirect" || style === "return_call_indirect" || style === "ref.func";
  const invoke = (name: EnvironmentName, ...args: string[]): string => {
    if (direct) return `(call $${name} ${args.join(" ")})`;
    if (style === "return_call" || style === "return_call_indirect") return `(call $via_${name} ${args.join(" ")})`;
    return `(call_indirect ${typeOf(name)} ${args.join(" ")} (i32.const ${NAMES.indexOf(name)}))`;
  };
  const forward = (name: EnvironmentName): string => {
    const args = ENVIRONMENT[name][0].map((_type, index) => `(local.get ${index})`).join(" ");
    if (style === "return_call") return `(func $via_${name} ${typeOf(name)} (return_call $${name} ${args}))`;
    if (style === "return_call_indirect") {
      return `(func $via_${name} ${typeOf(name)} (return_call_indirect ${typeOf(name)} ${args} (i32.const ${NAMES.indexOf(name)})))`;
    }
    return "";
  };
  const step = (name: StepName): string => {
    if (name === "fill") return "(call $fill (local.get $a) (local.get $b)) (i64.const 0)";
    if (name === "count_nonzero") return "(call $count_nonzero (local.get $a) (local.get $b))";
    if (name === "trap") return "unreachable";
    if (name === "finish") return "(global.set $done (i32.const 1)) (local.get $a)";
    const [params, result] = ENVIRONMENT[name];
    const operands = ["(local.get $a)", "(local.get $b)"];
    const args = params.map((type, index) => (type === "i32" ? `(i32.wrap_i64 ${operands[index]})` : (operands[index] ?? "")));
    const call = invoke(name, ...args);
    if (result === undefined) return `${call} (i64.const 0)`;
    return result === "i32" ? `(i64.extend_i32_u ${call})` : call;
  };
  const imports = NAMES.map((name) => `(import "extism:host/env" "${name}" (func $${name} ${typeOf(name)}))`).join("\n");
  const table =
    style === "ref.func"
      ? `(table ${NAMES.length} funcref) (elem declare func ${NAMES.map((name) => `$${name}`).join(" ")}) (start $wire)
         (func $wire ${NAMES.map((name, index) => `(table.set 0 (i32.const ${index}) (ref.func $${name}))`).join(" ")})`
      : indirect
        ? `(table ${NAMES.length} funcref) (elem (i32.const 0) func ${NAMES.map((name) => `$${name}`).join(" ")})`
        : "";
  return `(module
    ${imports}
    (import "extism:host/user" "sink" (func $sink (param i64)))
    (memory (export "memory") 1)
    ${table}
    (global $size (mut i32) (i32.const 0))
    (global $next (mut i32) (i32.const 0))
    (global $done (mut i32) (i32.const 0))
    ${NAMES.map(forward).join("\n")}
    (func (export "load_program") (local $at i32)
      (global.set $next (i32.const 0))
      (global.set $size (i32.wrap_i64 ${invoke("input_length")}))
      (if (i32.gt_u (global.get $size) (i32.mul (memory.size) (i32.const 65536)))
        (then (drop (memory.grow (i32.shr_u (global.get $size) (i32.const 16))))))
      (block $end (loop $copy
        (br_if $end (i32.ge_u (local.get $at) (global.get $size)))
        (i64.store (local.get $at) ${invoke("input_load_u64", "(i64.extend_i32_u (local.get $at))")})
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $copy))))
    (func $fill (param $at i64) (param $count i64)
      (block $end (loop $wide
        (br_if $end (i64.lt_u (local.get $count) (i64.const 8)))
        ${invoke("store_u64", "(local.get $at)", "(i64.const 0xa5a5a5a5a5a5a5a5)")}
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (local.set $count (i64.sub (local.get $count) (i64.const 8)))
        (br $wide)))
      (block $end (loop $narrow
        (br_if $end (i64.eqz (local.get $count)))
        ${invoke("store_u8", "(local.get $at)", "(i32.const 0xa5)")}
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br $narrow))))
    (func $count_nonzero (param $at i64) (param $count i64) (result i64) (local $found i64)
      (block $end (loop $wide
        (br_if $end (i64.lt_u (local.get $count) (i64.const 8)))
        (if (i64.ne ${invoke("load_u64", "(local.get $at)")} (i64.const 0))
          (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.set $at (i64.add (local.get $at) (i64.const 8)))
        (local.set $count (i64.sub (local.get $count) (i64.const 8)))
        (br $wide)))
      (block $end (loop $narrow
        (br_if $end (i64.eqz (local.get $count)))
        (if ${invoke("load_u8", "(local.get $at)")}
          (then (local.set $found (i64.add (local.get $found) (i64.const 1)))))
        (local.set $at (i64.add (local.get $at) (i64.const 1)))
        (local.set $count (i64.sub (local.get $count) (i64.const 1)))
        (br $narrow)))
      (local.get $found))
    (func $step (param $op i32) (param $a i64) (param $b i64) (result i64)
      (block $unknown
      ${STEPS.map((_name, index) => `(block $op${STEPS.length - 1 - index}`).join(" ")}
      (br_table ${STEPS.map((_name, index) => `$op${index}`).join(" ")} $unknown (local.get $op))
      ${STEPS.map((name) => `) ${step(name)} return`).join("\n")}
      ) unreachable)
    (func $operand (param $value i64) (param $isResult i32) (result i64)
      (if (result i64) (local.get $isResult)
        (then (i64.load offset=40 (i32.mul (i32.wrap_i64 (local.get $value)) (i32.const ${STEP_BYTES}))))
        (else (local.get $value))))
    (func (export "run") (result i32) (local $at i32) (local $flags i32) (local $result i64)
      (global.set $done (i32.const 0))
      (loop $steps
        (local.set $at (global.get $next))
        (if (i32.ge_u (local.get $at) (global.get $size)) (then unreachable))
        (global.set $next (i32.add (local.get $at) (i32.const ${STEP_BYTES})))
        (local.set $flags (i32.load offset=8 (local.get $at)))
        (local.set $result (call $step (i32.load (local.get $at))
          (i64.add (i64.load offset=32 (local.get $at))
            (call $operand (i64.load offset=16 (local.get $at)) (i32.and (local.get $flags) (i32.const 1))))
          (call $operand (i64.load offset=24 (local.get $at)) (i32.and (local.get $flags) (i32.const 2)))))
        (i64.store offset=40 (local.get $at) (local.get $result))
        (call $sink (local.get $result))
        (br_if $steps (i32.eqz (global.get $done))))
      (i32.wrap_i64 (local.get $result))))`;
}

const assembled = new Map<Style, Promise<Uint8Array<ArrayBuffer>>>();

/** The machine's binary. */
export function machineBytes(style: Style = "call"): Promise<Uint8Array<ArrayBuffer>> {
  let bytes = assembled.get(style);
  if (bytes === undefined) {
    bytes = assemble(machineText(style));
    assembled.set(style, bytes);
  }
  return bytes;
}

/** The result of a step of the same program, plus a constant. */
export interface Result {
  readonly step: number;
  readonly plus: bigint;
}

/** A number, or the result of a step. */
export type Operand = number | bigint | Result;

/** `result + bytes`. */
export function past(result: Result, bytes: number | bigint): Result {
  return { step: result.step, plus: result.plus + BigInt(bytes) };
}

const isResult = (operand: Operand): operand is Result => typeof operand === "object";

/** What a guest does in one call. */
export class Program {
  readonly steps: { readonly name: StepName; readonly a: Operand; readonly b: Operand }[] = [];

  /** Adds a step and returns its result for later ones. A result can be offset in the first operand only. */
  do(name: StepName, a: Operand = 0, b: Operand = 0): Result {
    if (isResult(b) && b.plus !== 0n) throw new RangeError("a second operand cannot be offset");
    return { step: this.steps.push({ name, a, b }) - 1, plus: 0n };
  }

  /** Allocates a block with these bytes in it. */
  block(data: string | Uint8Array): Result {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    const block = this.do("alloc", bytes.length);
    for (const [index, byte] of bytes.entries()) this.do("store_u8", past(block, index), byte);
    return block;
  }
}

/** Builds a program; ends it with return code 0 unless it ends itself. */
export function program(build: (p: Program) => void): Program {
  const made = new Program();
  build(made);
  if (made.steps.at(-1)?.name !== "finish" && made.steps.at(-1)?.name !== "trap") made.do("finish", 0);
  return made;
}

function encode(programs: readonly Program[]): Uint8Array {
  const total = programs.reduce((sum, { steps }) => sum + steps.length, 0);
  const view = new DataView(new ArrayBuffer(total * STEP_BYTES));
  let first = 0;
  for (const { steps } of programs) {
    for (const [index, { name, a, b }] of steps.entries()) {
      const at = (first + index) * STEP_BYTES;
      view.setUint32(at, STEPS.indexOf(name), true);
      view.setUint32(at + 8, (isResult(a) ? 1 : 0) | (isResult(b) ? 2 : 0), true);
      view.setBigUint64(at + 16, BigInt.asUintN(64, isResult(a) ? BigInt(first + a.step) : BigInt(a)), true);
      view.setBigUint64(at + 24, BigInt.asUintN(64, isResult(b) ? BigInt(first + b.step) : BigInt(b)), true);
      view.setBigUint64(at + 32, BigInt.asUintN(64, isResult(a) ? a.plus : 0n), true);
    }
    first += steps.length;
  }
  return new Uint8Array(view.buffer);
}

/** What one call did. */
export interface Outcome {
  /** Results of the steps that ran, as unsigned numbers. */
  readonly results: readonly bigint[];
  readonly output: PluginOutput | undefined;
  readonly error: MortiseError | undefined;
  /** The result of a step; fails if it did not run. */
  of(result: Result): bigint;
}

/** A machine, loaded as a plugin. */
export interface Machine extends AsyncDisposable {
  readonly plugin: Plugin;
  /** Runs programs in calls that follow each other without any call between them. */
  run(...calls: readonly (Program | { readonly program: Program; readonly input: PluginInput })[]): Outcome[];
  /** Runs one program in one call. */
  call(build: (p: Program) => void, input?: PluginInput): Outcome;
}

/** Loads a machine. */
export async function openMachine(options: PluginOptions = {}, style: Style = "call"): Promise<Machine> {
  let results: bigint[] = [];
  const sink = (_context: unknown, value: bigint): void => {
    results.push(BigInt.asUintN(64, value));
  };
  const plugin = await loadPlugin(await machineBytes(style), {
    name: "machine",
    ...options,
    limits: { timeoutMs: 60_000, ...options.limits },
    hostFunctions: { "extism:host/user": { sink } },
  });
  const run: Machine["run"] = (...calls) => {
    const given = calls.map((call) => (call instanceof Program ? { program: call, input: undefined } : call));
    plugin.callSync("load_program", encode(given.map((call) => call.program)));
    return given.map(({ input }) => {
      results = [];
      const seen = results;
      let output: PluginOutput | undefined;
      let error: MortiseError | undefined;
      try {
        output = plugin.callSync("run", input);
      } catch (thrown) {
        if (!isMortiseError(thrown)) throw thrown;
        error = thrown;
      }
      const of = ({ step, plus }: Result): bigint => {
        const value = seen[step];
        if (value === undefined) throw new Error(`step ${step} did not run: ${error?.message ?? "the call ended before it"}`);
        return BigInt.asUintN(64, value + plus);
      };
      return { results: seen, output, error, of };
    });
  };
  return {
    plugin,
    run,
    call: (build, input) => run({ program: program(build), input })[0] as Outcome,
    [Symbol.asyncDispose]: () => plugin[Symbol.asyncDispose](),
  };
}
