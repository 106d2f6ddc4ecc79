// The table of attacks: which hostile guest, under which limits, must end how.

import type { CallContext, ErrorCode, MortiseError, PluginOptions } from "../../src/index.ts";

/** How an attack must end. */
export type Ending =
  | { readonly at: "load"; readonly codes: readonly ErrorCode[] }
  | { readonly at: "call"; readonly codes: readonly ErrorCode[] }
  /** The call succeeds and has done no harm: this is its output. */
  | { readonly at: "output"; readonly output: string };

/** One attack: a hostile guest with an export `attack`, and a harmless export `ok` that outputs "ok". */
export interface Attack {
  /** Unique; the file's name unless the file serves twice. */
  readonly name: string;
  /** Module in corpus/ or built-modules.ts. */
  readonly file: string;
  /** Rules of the design that it puts to the test. */
  readonly rules: readonly number[];
  readonly ending: Ending;
  readonly options?: PluginOptions;
  readonly input?: string;
  /** What else must hold of the error. */
  readonly check?: (error: MortiseError) => void;
  /** Calls of `attack` before the one that is judged; they succeed. */
  readonly warmUp?: number;
  /** Runs in a process of its own, since a failure would end the process or hold it for long. */
  readonly isolated?: true;
  /** Milliseconds that load and call may take, each. @default 5000 */
  readonly maxMs?: number;
  /** Why it fails at present. */
  readonly todo?: string;
}

type Extra = Partial<Omit<Attack, "file" | "rules" | "ending">>;

const atLoad = (file: string, rules: readonly number[], code: ErrorCode | readonly ErrorCode[], extra: Extra = {}): Attack => ({
  name: file,
  file,
  rules,
  ending: { at: "load", codes: [code].flat() },
  ...extra,
});
const atCall = (file: string, rules: readonly number[], code: ErrorCode | readonly ErrorCode[], extra: Extra = {}): Attack => ({
  name: file,
  file,
  rules,
  ending: { at: "call", codes: [code].flat() },
  ...extra,
});
const harmless = (file: string, rules: readonly number[], output = "", extra: Extra = {}): Attack => ({
  name: file,
  file,
  rules,
  ending: { at: "output", output },
  ...extra,
});

/** Limits of an attack that says nothing else: fuel ends it, so that no result depends on the machine. */
export const ATTACK_LIMITS = { fuel: 3_000_000, timeoutMs: 10_000, memoryBytes: 64 << 20 } as const;

/** A clock that moves on by a millisecond whenever it is read. */
function tickingClock(): () => number {
  let now = 0;
  return () => ++now;
}

/** No fuel limit and a deadline of 50 readings of the clock. */
const deadline = (): PluginOptions => ({ limits: { timeoutMs: 50, memoryBytes: 64 << 20 }, clock: tickingClock() });
const limits = (more: NonNullable<PluginOptions["limits"]>): PluginOptions => ({ limits: { ...ATTACK_LIMITS, ...more } });

type UserFunctions = Readonly<Record<string, (context: CallContext) => unknown>>;

/** Host functions of any behaviour, also such as their types forbid. */
const user = (functions: UserFunctions): PluginOptions => ({
  hostFunctions: { "extism:host/user": functions as NonNullable<PluginOptions["hostFunctions"]>[string] },
});
const touch = user({ touch: () => undefined });
const logger = { trace: () => {}, debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

const ZEROS = "\0".repeat(8);
const FUEL = "MORTISE_FUEL";
const STACK = "MORTISE_STACK_OVERFLOW";
const MALFORMED = "MORTISE_WASM_MALFORMED";
const LARGE = "MORTISE_FUNCTION_TOO_LARGE";
const MISSING = "MORTISE_MISSING_IMPORT";
const POINTER = "MORTISE_BAD_POINTER";
const TRAP = "MORTISE_TRAP";
const MEMORY = "MORTISE_MEMORY_LIMIT";

export const ATTACKS: readonly Attack[] = [
  // Rules 1, 3 and 4: whatever runs is charged, nothing catches the end, initialisers included.
  atCall("loop", [1], FUEL),
  atCall("loop", [1, 9], "MORTISE_TIMEOUT", { name: "loop to the deadline", options: deadline() }),
  atCall("loop-second-entry", [1], FUEL, { warmUp: 1 }),
  atLoad("loop-in-start", [4], FUEL),
  atLoad("loop-in-start", [4], "MORTISE_TIMEOUT", { name: "loop-in-start to the deadline", options: deadline() }),
  atLoad("loop-in-initialize", [4], FUEL),
  atLoad("loop-in-constructors", [4], FUEL),
  atLoad("loop-in-hs-init", [4], FUEL),
  atCall("loop-in-malloc", [1, 4], FUEL),
  atCall("recursion", [1, 11], STACK, { options: limits({ fuel: 1e9 }) }),
  atCall("mutual-recursion", [1, 11], STACK, { options: limits({ fuel: 1e9 }) }),
  atCall("mutual-tail-calls", [1], FUEL),
  atCall("tail-call-indirect", [1], FUEL),
  atCall("tail-call-reference", [1], FUEL),
  atCall("call-bomb-24", [1], FUEL),
  atCall("call-bomb-60", [1], FUEL),
  atCall("call-bomb-60", [1], "MORTISE_TIMEOUT", { name: "call-bomb-60 to the deadline", options: deadline() }),
  atCall("call-bomb-indirect", [1], FUEL),
  atCall("call-bomb-reference", [1], FUEL),
  atCall("call-bomb-tail", [1], FUEL),
  atCall("call-bomb-in-branch", [1], FUEL),
  atCall("call-bomb-in-handler", [1], FUEL),
  atCall("call-wide", [1], FUEL),
  atCall("locals-loop", [1], FUEL),
  atCall("branch-table-giant", [1], FUEL),
  atCall("swallow-legacy-loop", [3], FUEL),
  atCall("swallow-legacy-loop", [3], "MORTISE_TIMEOUT", { name: "swallow-legacy-loop to the deadline", options: deadline() }),
  atCall("swallow-new-loop", [3], FUEL),
  atCall("swallow-new-loop", [3], "MORTISE_TIMEOUT", { name: "swallow-new-loop to the deadline", options: deadline() }),
  ...["swallow-legacy-recursion", "swallow-new-recursion", "swallow-reference-recursion"].flatMap((file) => [
    atCall(file, [3, 11], [FUEL, STACK]),
    atCall(file, [3, 11], ["MORTISE_TIMEOUT", STACK], { name: `${file} to the deadline`, options: deadline() }),
  ]),
  atCall("swallow-host-stack", [3, 11], [FUEL, STACK], { options: { ...touch, ...limits({ fuel: 1e8 }) } }),
  atCall("swallow-host-stack-once", [3, 11], STACK, { options: { ...touch, ...limits({ fuel: 1e8 }) } }),
  atCall("swallow-variables-stack", [3, 11], STACK, { options: limits({ fuel: 1e8 }) }),
  atCall("swallow-log-stack", [3, 11], STACK, { options: { logger, ...limits({ fuel: 1e8 }) } }),
  atCall("swallow-host-error", [3], "MORTISE_HOST_FUNCTION", {
    options: user({
      touch: () => {
        throw new Error("no\u001b[2J\nsuch thing");
      },
    }),
  }),
  atCall("swallow-memory-limit", [3, 6], MEMORY),
  atCall("swallow-exit", [3], "MORTISE_EXIT"),
  atCall("swallow-denied", [3], "MORTISE_PERMISSION"),
  atCall("throw-loop", [1, 3], FUEL),
  atCall("throw-deep", [1, 3], FUEL),
  atCall("uncaught-exception", [3], "MORTISE_UNCAUGHT_EXCEPTION"),
  atCall("uncaught-legacy-rethrow", [3], "MORTISE_UNCAUGHT_EXCEPTION"),

  // Rule 2: nothing that the rewriter appends can be named.
  ...[
    "index-type",
    "index-function",
    "index-function-reference",
    "index-function-export",
    "index-function-start",
    "index-function-element",
    "index-table",
    "index-table-grow",
    "index-table-export",
    "index-table-indirect",
    "index-table-element",
    "index-memory",
    "index-memory-none",
    "index-memory-fill",
    "index-memory-data",
    "index-memory-export",
    "index-global",
    "index-global-export",
    "index-global-constant",
    "index-tag",
    "index-tag-catch",
    "index-element-segment",
    "index-element-drop",
    "index-data-segment",
    "index-local",
    "index-label",
    "index-label-table",
    "index-label-catch",
  ].map((file) => atLoad(file, [2], MALFORMED)),
  atLoad("invalid-body", [2], "MORTISE_WASM_INVALID"),
  atLoad("invalid-global", [2], "MORTISE_WASM_INVALID"),
  atLoad("read-counts", [2], MALFORMED),
  atLoad("locals-too-many", [2], MALFORMED),
  atLoad("locals-most", [2], "MORTISE_WASM_TOO_LARGE"),
  atLoad("branch-table-too-giant", [2], MALFORMED),
  atLoad("branch-table-claims", [2], MALFORMED),

  // Rule 13: nor guessed, imported or called from outside.
  atLoad("guess-import-budget", [13], MISSING),
  atLoad("guess-import-env-global", [13], MISSING),
  atLoad("guess-import-memory", [13], MISSING),
  atLoad("guess-import-table", [13], MISSING),
  atLoad("guess-import-reset", [13], MISSING),
  atLoad("guess-import-prototype", [13], MISSING),
  atLoad("guess-import-wasi-prototype", [13], MISSING),
  atLoad("import-type", [13], "MORTISE_IMPORT_TYPE"),
  atLoad("import-wasi-type", [13], "MORTISE_IMPORT_TYPE", {}),
  atLoad("import-wasi-reference", [7, 13], "MORTISE_IMPORT_TYPE", {}),
  atLoad("import-twice", [13], "MORTISE_IMPORT_TYPE", { options: user({ number: () => 7 }) }),
  atCall("export-again", [13], ["MORTISE_BAD_SIGNATURE", "MORTISE_UNKNOWN_FUNCTION"], { options: touch }),
  atCall("export-hidden-names", [13], FUEL),

  // Rule 6: memory and tables.
  atCall("memory-grow-large", [6], MEMORY),
  atCall("memory-grow-many", [6], MEMORY, { options: limits({ fuel: 1e8 }) }),
  atCall("memory-grow-second", [6], MEMORY, { options: limits({ fuel: 1e8 }) }),
  atCall("memory-grow-64", [6], MEMORY),
  atLoad("memory-many", [6], "MORTISE_TOO_MANY_MEMORIES"),
  atLoad("memory-initial", [6], "MORTISE_INITIAL_MEMORY"),
  atLoad("memory-initial-64", [6], "MORTISE_INITIAL_MEMORY"),
  atLoad("memory-initial-sum", [6], "MORTISE_INITIAL_MEMORY"),
  atLoad("table-many", [6], "MORTISE_TOO_MANY_TABLES"),
  atLoad("table-initial", [6], "MORTISE_INITIAL_TABLE"),
  atLoad("table-initial-sum", [6], "MORTISE_INITIAL_TABLE"),
  atCall("table-grow-large", [6], "MORTISE_TABLE_LIMIT"),
  atCall("table-grow-many", [6], "MORTISE_TABLE_LIMIT", { options: limits({ fuel: 1e9 }) }),
  atCall("table-grow-64", [6], "MORTISE_TABLE_LIMIT"),
  atCall("alloc-large", [6], MEMORY),
  atCall("alloc-huge", [6], MEMORY),
  atCall("alloc-bytes", [6], MEMORY, { options: limits({ fuel: 1e9 }) }),
  harmless("alloc-untouched", [6, 12], "", { options: limits({ memoryBytes: 1 << 30 }) }),
  atCall("alloc-free-loop", [6], FUEL),
  atCall("alloc-fragment", [6], [MEMORY, FUEL]),
  ...["bulk-fill", "bulk-fill-64", "bulk-copy", "bulk-copy-between", "bulk-init", "bulk-table-fill", "bulk-table-copy", "bulk-table-init"].flatMap(
    (file) => [atCall(file, [6], FUEL), atCall(file, [6], "MORTISE_TIMEOUT", { name: `${file} to the deadline`, options: deadline() })],
  ),
  ...["fill", "copy", "init", "table-fill", "table-copy", "table-init"].map((what) => atCall(`bulk-4gib-${what}`, [6], TRAP)),
  atCall("bulk-end-of-4gib", [6], FUEL, {
    options: limits({ memoryBytes: 2 ** 32 + 65_536, fuel: 30_000 }),
  }),
  atCall("bulk-wrap", [6], TRAP),
  atCall("bulk-wrap-64", [6], TRAP),
  atCall("bulk-wrap-copy", [6], TRAP),

  // Rules 5 and 7: what blocks the thread or has no wall is refused.
  atLoad("threads-shared-memory", [5], "MORTISE_SHARED_MEMORY"),
  atLoad("threads-wait", [5], "MORTISE_SHARED_MEMORY"),
  atLoad("threads-wait-dead", [5], "MORTISE_SHARED_MEMORY"),
  atCall("poll-hour", [5], "MORTISE_TIMEOUT", { options: limits({ timeoutMs: 50 }), maxMs: 500 }),
  atCall("poll-loop", [5, 16], "MORTISE_TIMEOUT", { options: limits({ timeoutMs: 50 }), maxMs: 500 }),
  atLoad("gc-struct", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-array", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-constant", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-exception-table", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-exception-global", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-exception-chain", [7], "MORTISE_GC_HEAP"),
  atLoad("gc-exception-large", [7], "MORTISE_GC_HEAP"),
  atCall("gc-extern-table", [7], FUEL),

  // Rule 8: time to read and to compile.
  atLoad("compile-locals-branches", [8], LARGE),
  atLoad("compile-long-body", [8], LARGE),
  atLoad("compile-huge-body", [8], MALFORMED),
  atLoad("compile-nested-too-deep", [8], LARGE),
  harmless("compile-nested-blocks", [8], "", { isolated: true }),
  atLoad("compile-nested-ifs", [8], LARGE),
  atLoad("compile-nested-loops", [8], LARGE),
  atLoad("compile-deep-operands", [8], LARGE, { isolated: true }),
  atCall("compile-once", [8], "MORTISE_TIMEOUT", { options: limits({ timeoutMs: 50, fuel: undefined }), isolated: true, maxMs: 500 }),
  atCall("compile-many", [8], "MORTISE_TIMEOUT", {
    options: limits({ timeoutMs: 50, fuel: undefined }),
    isolated: true,
    maxMs: 500,
  }),
  atLoad("read-imports-wide", [8], [MISSING, "MORTISE_WASM_TOO_LARGE"], {
    isolated: true,
  }),
  atLoad("read-segments-helpers", [8], "MORTISE_WASM_TOO_LARGE", { isolated: true, maxMs: 2000 }),
  atLoad("read-hazards-many", [5, 8], "MORTISE_SHARED_MEMORY", { isolated: true, maxMs: 1000 }),
  atLoad("read-hazards-mixed", [5, 7, 8], ["MORTISE_SHARED_MEMORY", "MORTISE_GC_HEAP"], {
    isolated: true,
    maxMs: 500,
  }),
  atCall("read-exports-many", [8], FUEL, {
    isolated: true,
    maxMs: 1000,
  }),
  atLoad("read-names-long", [8, 15], MALFORMED),

  // Rule 12: pointers, blocks and what the last call left.
  harmless("load-outside", [12], ZEROS),
  harmless("store-outside", [12], "87654321"),
  harmless("access-straddling", [12], ZEROS),
  harmless("alloc-tail-call", [12, 13], ZEROS),
  harmless("input-short", [12], ZEROS, { input: "abc" }),
  harmless("residue", [12]),
  harmless("residue-many", [12]),
  harmless("free-twice", [12]),
  harmless("free-inside", [12], "done", { input: "an input" }),
  harmless("length-inside", [12], ZEROS),
  harmless("variable-same-block", [12, 16]),
  ...["2gib", "outside", "below", "negative", "negative-length", "overflow", "high-bits", "high-length"].map((what) =>
    atCall(`output-${what}`, [12], POINTER),
  ),
  atCall("output-limit", [12], "MORTISE_OUTPUT_LIMIT", { options: limits({ outputBytes: 1 << 20 }) }),
  harmless("output-not-text", [12], "\u{fffd}\u{fffd}\u{fffd}"),
  atCall("return-code", [12], "MORTISE_RETURN_CODE"),
  atCall("error-bad-handle", [12], POINTER),
  atCall("error-high-handle", [12], POINTER),
  atCall("error-inside-handle", [12], POINTER),
  atCall("error-freed-handle", [12], POINTER),
  atCall("error-megabytes", [12, 15], "MORTISE_GUEST_ERROR", { options: limits({ fuel: 1e9 }) }),
  atCall("error-not-text", [12], "MORTISE_GUEST_ERROR"),
  atCall("error-and-trap", [12], "MORTISE_GUEST_ERROR"),

  // Rule 16: host functions charge and check sizes first.
  atCall("config-key-not-text", [16], "MORTISE_BAD_TEXT"),
  harmless("config-key-bad-handle", [12, 16]),
  atCall("config-key-large", [16], [FUEL, MEMORY]),
  atCall("config-flood", [16], [FUEL, MEMORY], { options: { config: { big: "x".repeat(100_000) } } }),
  atCall("variable-name-not-text", [16], "MORTISE_BAD_TEXT"),
  atCall("variable-read-name-not-text", [16], "MORTISE_BAD_TEXT"),
  atCall("variable-flood", [16], ["MORTISE_VAR_LIMIT", FUEL], { options: limits({ varBytes: 10_000 }) }),
  atCall("variable-huge", [16], "MORTISE_VAR_LIMIT", { options: limits({ fuel: 1e8 }) }),
  atCall("variable-name-huge", [15, 16], "MORTISE_VAR_LIMIT", { options: limits({ fuel: 1e8 }) }),
  atCall("log-flood", [16], [FUEL, MEMORY], { options: { logger } }),
  atCall("log-flood-empty", [16], FUEL, { options: { logger } }),
  harmless("log-huge", [16], "", { options: { logger } }),
  harmless("log-forged", [15, 16], "", { options: { logger } }),
  harmless("log-bad-handle", [12, 16], "", { options: { logger } }),
  atCall("http-denied", [16], "MORTISE_PERMISSION"),
  atLoad("exit-in-start", [4], "MORTISE_EXIT"),
  atCall("exit-in-call", [4], "MORTISE_EXIT"),
  atCall("exit-negative", [4], "MORTISE_EXIT"),
  harmless("poll-outside", [5]),
  harmless("random-4gib", [16]),
  atCall("random-loop", [16], FUEL),
  harmless("write-vectors", [16]),
  atCall("write-loop", [16], FUEL),
  harmless("wasi-no-memory", [16]),
  harmless("wasi-memory-64", [16]),

  // Rules 10, 11 and 14: host functions that misbehave.
  atCall("host-call", [3], "MORTISE_HOST_FUNCTION", {
    name: "host function throws text",
    options: user({
      touch: () => {
        throw "a text\u001b[2J"; // oxlint-disable-line no-throw-literal
      },
    }),
  }),
  atCall("host-call", [3], "MORTISE_HOST_FUNCTION", {
    name: "host function throws nothing",
    options: user({
      touch: () => {
        throw undefined; // oxlint-disable-line no-throw-literal
      },
    }),
  }),
  atCall("host-call", [3], "MORTISE_HOST_FUNCTION", {
    name: "host function traps",
    options: user({
      touch: () => {
        throw new WebAssembly.RuntimeError("unreachable");
      },
    }),
  }),
  atCall("host-call", [3], "MORTISE_HOST_FUNCTION", {
    name: "host function throws what cannot be printed",
    options: user({
      touch: () => {
        throw Object.create(null);
      },
    }),
  }),
  atCall("host-call", [3, 11], STACK, {
    name: "host function recurses without end",
    options: user({
      touch: () => {
        const dive = (): number => dive() + 1;
        return dive();
      },
    }),
  }),
  atCall("host-call", [10], "MORTISE_ASYNC_HOST_FUNCTION", { name: "host function returns a promise", options: user({ touch: async () => 1 }) }),
  atCall("host-call", [10], "MORTISE_ASYNC_HOST_FUNCTION", {
    name: "host function returns a promise that fails",
    options: user({
      touch: async () => {
        throw new Error("late");
      },
    }),
  }),
  ...(["7", 7n, undefined, null] as const).map((value) =>
    atCall("host-number", [16], "MORTISE_HOST_RESULT", {
      name: `host function returns ${typeof value} ${String(value)} for an i32`,
      options: user({ number: () => value }),
    }),
  ),
  ...(["7", 1.5, undefined, null, Number.NaN] as const).map((value) =>
    atCall("host-big", [16], "MORTISE_HOST_RESULT", {
      name: `host function returns ${typeof value} ${String(value)} for an i64`,
      options: user({ big: () => value }),
    }),
  ),
  harmless("host-big", [16], "", { name: "host function returns 2^64 for an i64", options: user({ big: () => 2n ** 64n }) }),
  atCall("host-loop", [16], FUEL, { options: touch }),
  atCall("host-loop", [16], "MORTISE_TIMEOUT", { name: "host-loop to the deadline", options: { ...touch, ...deadline() } }),
  atLoad("host-in-start", [3, 4], "MORTISE_HOST_FUNCTION", {
    options: user({
      touch: () => {
        throw new Error("refused");
      },
    }),
  }),

  // Rule 15: traps tell the truth.
  atCall("trap-unreachable", [15], TRAP),
  atCall("trap-divide", [15], TRAP),
  atCall("trap-memory", [15], TRAP),
  atCall("trap-indirect", [15], TRAP),
  atLoad("trap-in-start", [4, 15], TRAP),
  atCall("initialise-slowly", [4, 14], TRAP, { options: limits({ fuel: 1e8 }) }),
  atLoad("segment-outside", [4], "MORTISE_INSTANCE_FAILED"),
  atCall("parameters", [14], "MORTISE_BAD_SIGNATURE"),
  atCall("export-control-characters", [15], TRAP),
  atCall("names-forge-stack", [15], TRAP),
  atCall("names-broken", [15], TRAP),
  atCall("names-many", [15], TRAP, { maxMs: 250 }),
  atCall("trace-long", [15], TRAP, { maxMs: 200 }),
];
