// Fuel is an upper bound of what a guest executes: never less, exact where control flow leaves no choice, and close
// elsewhere. The reference interpreter says what was executed.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import * as fc from "fast-check";
import { COST, MERGE_COST, SEGMENT_COST, SETTLE_COST, SETTLE_COST_WITH_CALLS, UNCHECKED_COST } from "../../src/wasm/cost.ts";
import { assemble, loadCorpus } from "./corpus.ts";
import type { Outcome } from "./execution.ts";
import { measure, type Measured, MeteredInstance, prepare, type Prepared } from "./metered.ts";
import { emitProgram, programs } from "./program.ts";
import { type HostFunction, readReferenceModule, ReferenceInstance, TooManySteps, Trap, type Value } from "./reference-interpreter.ts";

type Bytes = Uint8Array<ArrayBuffer>;

interface Reference {
  readonly outcome: Outcome;
  readonly executed: number;
  readonly checkpoints: number;
}

const noHost = (): HostFunction => () => undefined;

/** What the reference interpreter makes of one call; undefined if it takes too long for it. */
function interpret(instance: ReferenceInstance, name: string, args: readonly Value[]): Reference | undefined {
  const { executed, checkpoints } = instance;
  let outcome: Outcome;
  try {
    const results = instance.call(name, ...args);
    outcome = { kind: "value", value: results.length > 1 ? results : results[0] };
  } catch (error) {
    if (error instanceof TooManySteps) return undefined;
    if (!(error instanceof Trap)) throw error;
    outcome = { kind: "trap", message: error.message };
  }
  return { outcome, executed: instance.executed - executed, checkpoints: instance.checkpoints - checkpoints };
}

/** One call on a new instance of the reference interpreter, its start function included. */
function refer(
  bytes: Bytes,
  name: string,
  args: readonly Value[],
  host: (module: string, name: string) => HostFunction = noHost,
): Reference | undefined {
  const instance = new ReferenceInstance(readReferenceModule(bytes), host);
  instance.start();
  const reference = interpret(instance, name, args);
  return reference === undefined ? undefined : { ...reference, executed: instance.executed, checkpoints: instance.checkpoints };
}

/** Most that a check may charge for code that then does not run: merged branches, and the callees they call. */
const overchargePerCheckpoint = MERGE_COST + UNCHECKED_COST;

/** Loops settle what they counted when control leaves them; a trap leaves nothing to settle with, in any frame. */
const owedAtTrap = SETTLE_COST + 4 * SETTLE_COST_WITH_CALLS;

function assertUpperBound(measured: Measured, reference: Reference, what: string): void {
  assert.deepEqual(measured.outcome, reference.outcome, what);
  const owed = measured.outcome.kind === "value" ? 0 : owedAtTrap;
  assert.ok(measured.fuel + owed >= reference.executed, `${what}: fuel ${measured.fuel} is less than executed ${reference.executed}`);
  // A trap cuts a straight run short, which was paid for as a whole.
  const cutShort = measured.outcome.kind === "value" ? 0 : SEGMENT_COST;
  const allowed = (reference.checkpoints + 1) * overchargePerCheckpoint + cutShort;
  const over = measured.fuel - reference.executed;
  assert.ok(over <= allowed, `${what}: overcharged by ${over} at ${reference.checkpoints} checkpoints (${allowed} allowed)`);
}

function run(
  text: string,
  options: { args?: readonly Value[]; host?: Record<string, () => number> } = {},
): Promise<{ measured: Measured; reference: Reference }> {
  return assemble(text).then((bytes) => {
    const host = options.host ?? {};
    const measured = measure(prepare(bytes), "run", options.args ?? [], undefined, { host });
    const reference = refer(bytes, "run", options.args ?? [], (_module, name) => () => host[name]?.() ?? 0);
    assert.ok(reference !== undefined);
    return { measured, reference };
  });
}

// Corpus

/** Modules within the interpreter's scope: one memory, one table, no imports, no vectors, no exceptions. */
const interpretable =
  /^(control-|dead-code|straight-line|calls-direct|calls-recursion|calls-tail|locals|numeric-(i32|i64|truncation)|memory-(access|grow|bubble)|bulk-memory$|start-(function|exported)|program-|custom-sections|types-unused|built-(numeric|element|data|padded|long|many|odd))/;
const corpus = (await loadCorpus()).filter(({ name }) => interpretable.test(name));

for (const { name, bytes } of corpus) {
  test(`fuel covers what corpus module ${name} executes, and not much more`, () => {
    const metered = new MeteredInstance(prepare(bytes));
    const interpreted = new ReferenceInstance(readReferenceModule(bytes), noHost, 3_000_000);
    interpreted.start();
    for (const { name: callee, kind } of WebAssembly.Module.exports(new WebAssembly.Module(bytes))) {
      if (kind !== "function" || !callee.startsWith("test_") || callee.includes("stack_overflow")) continue;
      const reference = interpret(interpreted, callee, []);
      assert.ok(reference !== undefined, `${callee} is within the interpreter's patience`);
      assertUpperBound(metered.call(callee, []), reference, callee);
    }
  });
}

// Exactness

const exact: Record<string, string> = {
  "an empty function": `(module (func (export "run")))`,
  arithmetic: `(module (func (export "run") (result i32) (i32.add (i32.const 1) (i32.mul (i32.const 2) (i32.const 3)))))`,
  locals: `(module (func (export "run") (local i32 i64 f32 f64 i32 i32 i32 i32 i32) (local.set 0 (local.tee 4 (i32.const 1)))))`,
  "nops and blocks": `(module (func (export "run") nop nop (block nop (block) (i32.const 1) drop)))`,
  "blocks with types": `(module (func (export "run") (result i32) i32.const 1 i32.const 2 (block (param i32 i32) (result i32 i32)) i32.add))`,
  "a counted loop": `(module (func (export "run") (local i32)
    (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 1000))))))`,
  "nested counted loops": `(module (func (export "run") (local i32 i32)
    (loop $a (local.set 1 (i32.const 0))
      (loop $b (br_if $b (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (i32.const 7))))
      (br_if $a (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 9))))))`,
  "code after a loop": `(module (func (export "run") (result i32) (local i32)
    (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10))))
    (i32.mul (local.get 0) (i32.const 3))))`,
  "a call of a small function": `(module (func $f (param i32) (result i32) (i32.add (local.get 0) (i32.const 1)))
    (func (export "run") (result i32) (call $f (call $f (i32.const 1)))))`,
  "a call of a function with a loop": `(module (func $f (local i32) (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 5)))))
    (func (export "run") (call $f) (call $f)))`,
  "a chain of calls": `(module (func $a) (func $b call $a call $a) (func $c call $b call $b) (func $d call $c call $c) (func (export "run") call $d call $d))`,
  "calls of the host": `(module (import "host" "f" (func $f (result i32))) (func (export "run") (result i32) (i32.add (call $f) (call $f))))`,
  "an indirect call": `(module (table 1 funcref) (elem (i32.const 0) $f) (func $f (result i32) (i32.const 4))
    (func (export "run") (result i32) (call_indirect (result i32) (i32.const 0))))`,
  "a tail call": `(module (func $f (param i32) (result i32) (local.get 0)) (func (export "run") (result i32) (return_call $f (i32.const 4))))`,
  "a return": `(module (func (export "run") (result i32) i32.const 1 i32.const 2 return))`,
  "a branch to the end": `(module (func (export "run") (result i32) (block (result i32) (br 0 (i32.const 3)))))`,
  "filling memory": `(module (memory 10) (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000))))`,
  "filling memory in parts": `(module (memory 20) (func (export "run") (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000001))))`,
  "copying memory": `(module (memory 10) (func (export "run") (memory.copy (i32.const 0) (i32.const 5) (i32.const 12345))))`,
  "initialising memory": `(module (memory 1) (data $d "0123456789abcdef0123456789abcdef") (func (export "run") (memory.init $d (i32.const 0) (i32.const 0) (i32.const 32)) (data.drop $d)))`,
  "filling a table": `(module (table 300 funcref) (func (export "run") (table.fill (i32.const 0) (ref.null func) (i32.const 300))))`,
  "filling a table in parts": `(module (table 30000 funcref) (func (export "run") (table.fill (i32.const 0) (ref.null func) (i32.const 30000))))`,
  "growing memory": `(module (memory 1 9) (func (export "run") (result i32) (memory.grow (i32.const 3))))`,
  "growing memory by nothing": `(module (memory 1 9) (func (export "run") (result i32) (memory.grow (i32.const 0))))`,
  "growing memory past its maximum": `(module (memory 1 9) (func (export "run") (result i32) (memory.grow (i32.const 9))))`,
  "growing a table": `(module (table 1 99 funcref) (func (export "run") (result i32) (table.grow (ref.null func) (i32.const 40))))`,
  "a start function": `(module (func $s (local i32) (local.set 0 (i32.const 1))) (start $s) (func (export "run")))`,
  "code behind a return": `(module (func $f) (func (export "run") (result i32) i32.const 1 return call $f i32.add unreachable))`,
};

for (const [name, text] of Object.entries(exact)) {
  test(`fuel is exactly what is executed for ${name}`, async () => {
    const { measured, reference } = await run(text, { host: { f: () => 3 } });
    assert.deepEqual(measured.outcome, reference.outcome);
    assert.equal(measured.fuel, reference.executed);
  });
}

test("fuel is exactly what is executed for long straight runs", async () => {
  for (const length of [1, 100, SEGMENT_COST - 2, SEGMENT_COST, SEGMENT_COST + 1, 3 * SEGMENT_COST]) {
    const { measured, reference } = await run(`(module (func (export "run") ${"(drop (i32.const 1))".repeat(length)}))`);
    assert.equal(measured.fuel, reference.executed);
    // Beyond 16 KiB of code there is also what compilation is charged.
    if (length * 3 < 16_000) assert.equal(measured.fuel, 2 * length);
  }
});

test("fuel is exactly what is executed for programs without choices", () => {
  fc.assert(
    fc.property(programs({ branches: false }), fc.integer(), (program, argument) => {
      const bytes = emitProgram(program);
      const reference = refer(bytes, "run", [argument]);
      fc.pre(reference !== undefined);
      const measured = measure(prepare(bytes), "run", [argument]);
      assert.deepEqual(measured.outcome, reference.outcome);
      assert.equal(measured.fuel, reference.executed);
    }),
    { numRuns: 400, seed: 20 },
  );
});

// Upper bound

test("fuel is never less than what is executed, and never much more, for programs with branches and traps", () => {
  fc.assert(
    fc.property(programs({ branches: true }), fc.integer(), (program, argument) => {
      const bytes = emitProgram(program);
      const reference = refer(bytes, "run", [argument]);
      fc.pre(reference !== undefined);
      assertUpperBound(measure(prepare(bytes), "run", [argument]), reference, "run");
    }),
    { numRuns: 1500, seed: 21 },
  );
});

test("fuel covers what ran before a trap in the middle of a straight run", async () => {
  const before = "(drop (i32.const 1))".repeat(50);
  const { measured, reference } = await run(`(module (func (export "run") ${before} unreachable))`);
  assert.deepEqual(measured.outcome, { kind: "trap", message: "unreachable" });
  assert.equal(reference.executed, 101);
  assert.equal(measured.fuel, 101);
});

const untaken: Record<string, string> = {
  "a long arm": `(module (func (export "run") (if (i32.const 0) (then ${"(drop (i32.const 1))".repeat(300)}))))`,
  "many short arms": `(module (func (export "run") ${`(if (i32.const 0) (then ${"(drop (i32.const 1))".repeat(10)}))`.repeat(40)}))`,
  "an arm with calls": `(module (func $f ${"(drop (i32.const 1))".repeat(55)})
    (func (export "run") (if (i32.const 0) (then ${"(call $f)".repeat(30)}))))`,
  "an arm with calls in a loop": `(module (func $f ${"(drop (i32.const 1))".repeat(55)})
    (func (export "run") (local i32) (loop
      (if (i32.const 0) (then ${"(call $f)".repeat(30)}))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 100))))))`,
  "a throw": `(module (tag $e) (func (export "run") (if (i32.const 0) (then (throw $e)))))`,
};

for (const [name, text] of Object.entries(untaken)) {
  test(`fuel stays close to what is executed when ${name} is not taken`, async () => {
    const bytes = await assemble(text);
    const measured = measure(prepare(bytes), "run", []);
    const reference = name === "a throw" ? { executed: 2, checkpoints: 2 } : refer(bytes, "run", []);
    assert.ok(reference !== undefined);
    const over = measured.fuel - reference.executed;
    const allowed = (reference.checkpoints + 1) * MERGE_COST;
    assert.ok(over >= 0 && over <= allowed, `overcharged by ${over} at ${reference.checkpoints} checkpoints (${allowed} allowed)`);
  });
}

test("fuel for a throw covers its price", async () => {
  const bytes = await assemble(`(module (tag $e) (func (export "run") try throw $e catch_all end))`);
  assert.ok(measure(prepare(bytes), "run", []).fuel >= COST.throw);
});

// Limits

function assertStopsExactlyAt(prepared: Prepared, name: string, args: readonly Value[]): void {
  const free = measure(prepared, name, args);
  assert.equal(free.stopped, undefined);
  const again = measure(prepared, name, args);
  assert.equal(again.fuel, free.fuel);
  for (const limit of new Set([0, 1, Math.floor(free.fuel / 2), free.fuel - 1, free.fuel, free.fuel + 1])) {
    if (limit < 0) continue;
    const limited = measure(prepared, name, args, limit);
    const isStopped = limited.stopped !== undefined;
    assert.equal(isStopped, free.fuel > limit, `used ${free.fuel}, limit ${limit}`);
    assert.equal(limited.stopped, isStopped ? "fuel" : undefined);
    if (isStopped) assert.deepEqual(limited.outcome, { kind: "trap", message: "unreachable" });
    else assert.deepEqual(limited.outcome, free.outcome);
  }
}

test("Meter stops a program exactly if its fuel exceeds the limit", () => {
  fc.assert(
    fc.property(programs({ branches: true }), fc.integer(), (program, argument) => {
      const bytes = emitProgram(program);
      fc.pre(refer(bytes, "run", [argument]) !== undefined);
      assertStopsExactlyAt(prepare(bytes), "run", [argument]);
    }),
    { numRuns: 200, seed: 22 },
  );
});

test("Meter stops corpus modules exactly if their fuel exceeds the limit", async () => {
  for (const { name, bytes } of await loadCorpus()) {
    if (!name.startsWith("program-") && !name.startsWith("exceptions-") && name !== "bulk-memory-long") continue;
    const prepared = prepare(bytes);
    for (const { name: callee, kind } of WebAssembly.Module.exports(new WebAssembly.Module(bytes))) {
      if (kind === "function" && callee.startsWith("test_")) assertStopsExactlyAt(prepared, callee, []);
    }
  }
});

/** Modules that never end by themselves: each form of endless execution must meet a check. */
const endless: Record<string, string> = {
  "an empty loop": `(module (func (export "run") (loop (br 0))))`,
  "a conditional loop": `(module (func (export "run") (loop (br_if 0 (i32.const 1)))))`,
  "a loop by br_table": `(module (func (export "run") (loop (br_table 0 0 (i32.const 0)))))`,
  "two loops that alternate": `(module (func (export "run") (loop $a (loop $b (br_if $a (i32.const 1)) (br $b)))))`,
  "a loop left and entered by exceptions": `(module (tag $e) (func (export "run") (loop $l (try (do (throw $e)) (catch $e (br $l))))))`,
  "a loop as a handler": `(module (tag $e) (func (export "run") (loop $l (try_table (catch_all $l) (throw $e)))))`,
  "a tail call of itself": `(module (func $f (export "run") (return_call $f)))`,
  "two tail calls": `(module (func $f (export "run") (return_call $g)) (func $g (return_call $f)))`,
  "an indirect tail call": `(module (table 1 funcref) (elem (i32.const 0) $f) (func $f (export "run") (return_call_indirect (i32.const 0))))`,
  "a catch_all around everything": `(module (func $spin (loop (br 0))) (func (export "run") (loop $l try call $spin catch_all end (br $l))))`,
  "doubling calls": `(module ${Array.from({ length: 40 }, (_, at) => `(func $f${at} (call $f${at + 1}) (call $f${at + 1}))`).join("")} (func $f40)
    (func (export "run") (call $f0)))`,
  "doubling calls that return before a loop": `(module ${Array.from({ length: 40 }, (_, at) => `(func $f${at} (call $f${at + 1}) (call $f${at + 1}) (return) (loop))`).join("")} (func $f40)
    (func (export "run") (call $f0)))`,
  "doubling calls inside loops that run once": `(module ${Array.from({ length: 40 }, (_, at) => `(func $f${at} (loop (call $f${at + 1}) (call $f${at + 1})))`).join("")} (func $f40)
    (func (export "run") (call $f0)))`,
  "doubling indirect calls beside loops": `(module (table 41 funcref) (elem (i32.const 0) ${Array.from({ length: 41 }, (_, at) => `$f${at}`).join(" ")})
    ${Array.from({ length: 40 }, (_, at) => `(func $f${at} (call_indirect (i32.const ${at + 1})) (call_indirect (i32.const ${at + 1})) (if (i32.const 1) (then (return))) (loop))`).join("")} (func $f40)
    (func (export "run") (call $f0)))`,
  "a tail call of itself before a loop": `(module (func $f (export "run") (if (i32.const 1) (then (return_call $f))) (loop)))`,
  "a tail call of itself behind a loop": `(module (func $f (export "run") (loop) (return_call $f)))`,
  "a tail call of itself in a loop": `(module (func $f (export "run") (loop (return_call $f))))`,
  "a loop around a call with a loop": `(module (func $g (loop)) (func (export "run") (loop (call $g) (br 0))))`,
  "a loop around a call that returns from a loop": `(module (func $g (loop (return))) (func (export "run") (loop (call $g) (br 0))))`,
  "a loop around a call that branches out of a loop": `(module (func $g (block (loop (br 1)))) (func (export "run") (loop (call $g) (br 0))))`,
  "a loop around a call that throws out of a loop": `(module (tag $e) (func $g (loop (throw $e)))
    (func (export "run") (loop $l try (call $g) catch_all end (br $l))))`,
  "a loop around a call that is thrown through while looping": `(module (tag $e) (func $t (throw $e)) (func $g (local i32)
      (loop $m (br_if $m (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 30)))) (loop (call $t)))
    (func (export "run") (loop $l try (call $g) catch_all end (br $l))))`,
  "a loop around a br_table out of a loop": `(module (func $g (param i32) (block (loop (br_table 1 2 0 (local.get 0)))))
    (func (export "run") (loop (call $g (i32.const 0)) (call $g (i32.const 1)) (br 0))))`,
  "exceptions caught in the loop that counts": `(module (tag $e) (func (export "run") (loop $l try (loop (throw $e)) catch_all (br $l) end)))`,
  "bulk fills in a loop": `(module (memory 16) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 1000000)) (br 0))))`,
  "zero-length fills in a loop": `(module (memory 1) (func (export "run") (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0)) (br 0))))`,
  "failing growth in a loop": `(module (memory 1 1) (func (export "run") (loop (drop (memory.grow (i32.const 1))) (br 0))))`,
  "a dead end after a loop": `(module (func (export "run") (block (loop (br 0)) (br 0))))`,
  "a start function that loops": `(module (start $s) (func $s (loop (br 0))) (func (export "run")))`,
  "a loop in a start function's callee": `(module (start $s) (func $s (call $t)) (func $t (loop (br 0))) (func (export "run")))`,
};

const execFileAsync = promisify(execFile);
const endlessProcess = fileURLToPath(new URL("endless-process.ts", import.meta.url));

/** Runs a module once for each fuel, in a process of its own: should the meter fail to end it, a signal still can. */
async function runInProcess(bytes: Bytes, fuels: readonly number[]): Promise<unknown> {
  const args = [endlessProcess, Buffer.from(bytes).toString("hex"), ...fuels.map(String)];
  const { stdout } = await execFileAsync(process.execPath, args, { timeout: 10_000, killSignal: "SIGKILL" });
  return JSON.parse(stdout);
}

for (const [name, text] of Object.entries(endless)) {
  test(`Meter stops ${name}`, async () => {
    const fuels = [0, 1000, 1_000_000];
    const ends = await runInProcess(await assemble(text), fuels);
    assert.deepEqual(
      ends,
      fuels.map(() => ({ outcome: { kind: "trap", message: "unreachable" }, stopped: "fuel" })),
    );
  });
}
