// An instrumented module must do exactly what the original does: results, traps, memories, globals, tables, host calls.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { loadCorpus } from "./corpus.ts";
import { execute, surfaceOf } from "./execution.ts";
import { executeMetered, prepare } from "./metered.ts";

const corpus = await loadCorpus();

for (const { name, about, bytes } of corpus) {
  test(`corpus module ${name} behaves the same when instrumented (${about})`, () => {
    const original = new WebAssembly.Module(bytes);
    const surface = surfaceOf(original);
    const expected = execute(original, surface);
    const prepared = prepare(bytes);
    const first = executeMetered(prepared, surface);
    const second = executeMetered(prepared, surface);
    assert.deepEqual(first.started, expected.started);
    for (const [at, call] of expected.calls.entries()) assert.deepEqual(first.calls[at], call);
    assert.deepEqual(first.state, expected.state);
    assert.equal(first.stopped, undefined);
    // Where V8 runs out of stack depends on its tiering, so what an endless recursion used is not repeatable.
    const overflows = expected.calls.some(([, outcome]) => outcome.kind === "error" && outcome.message.startsWith("RangeError"));
    if (!overflows) assert.equal(second.fuelUsed, first.fuelUsed);
    if (expected.calls.length > 0) assert.ok(first.fuelUsed > 0);
  });

  test(`corpus module ${name} keeps its imports and its exports in order`, () => {
    const original = new WebAssembly.Module(bytes);
    const { instrumented, module } = prepare(bytes);
    assert.deepEqual(WebAssembly.Module.imports(module), WebAssembly.Module.imports(original));
    const visible = WebAssembly.Module.exports(module).filter((item) => !instrumented.isHidden(item.name));
    assert.deepEqual(visible, WebAssembly.Module.exports(original));
  });
}

test("instrument gives the same bytes for the same module and nonce", async () => {
  const { instrument } = await import("../../src/wasm/index.ts");
  for (const { bytes } of corpus) {
    const options = { gc: "allow", threads: "allow", nonce: "0123456789abcdef" } as const;
    assert.deepEqual(instrument(bytes, options).bytes, instrument(bytes, options).bytes);
  }
});

test("instrument leaves its input as it was", () => {
  for (const { bytes } of corpus) {
    const before = bytes.slice();
    prepare(bytes);
    assert.deepEqual(bytes, before);
  }
});

// Whole programs from compilers, where they have been built.
const guests = new URL("../../guests/prebuilt/", import.meta.url);
const kernels = existsSync(guests) ? readdirSync(guests).filter((file) => file.includes("kernels") && file.endsWith(".wasm")) : [];
const kernelSizes: Readonly<Record<string, number>> = {
  sieve: 2000,
  fib: 12,
  matmul: 12,
  mandelbrot: 12,
  sha256: 3,
  json_parse: 3,
  regex: 3,
  sort: 200,
  string_build: 50,
};

for (const file of kernels) {
  test(`guest ${file} computes the same when instrumented`, () => {
    const bytes = Uint8Array.from(readFileSync(new URL(file, guests)));
    const original = new WebAssembly.Module(bytes);
    const names = new Set(WebAssembly.Module.exports(original).map((item) => item.name));
    const prelude = ["_initialize", "__wasm_call_ctors"].filter((name) => names.has(name)).slice(0, 1);
    const kernelCalls = Object.entries(kernelSizes).filter(([name]) => names.has(name));
    const calls = [...prelude.map((name) => ({ name, args: [] })), ...kernelCalls.map(([name, size]) => ({ name, args: [size] }))];
    const surface = surfaceOf(original, calls);
    const imports = (): ReturnType<typeof inertHost> => inertHost(original);
    const expected = execute(original, surface, imports());
    const actual = executeMetered(prepare(bytes), surface, {}, imports());
    assert.ok(kernelCalls.length > 0);
    assert.deepEqual(actual.started, expected.started);
    assert.deepEqual(actual.calls, expected.calls);
    assert.deepEqual(actual.state, expected.state);
  });
}

/** Functions that return 0 for whatever a guest imports: kernels compute, they do not talk. */
function inertHost(module: WebAssembly.Module): { imports: WebAssembly.Imports; state: () => Record<string, unknown>; bind: () => void } {
  const imports: Record<string, Record<string, () => number>> = {};
  for (const item of WebAssembly.Module.imports(module)) (imports[item.module] ??= {})[item.name] = () => 0;
  return { imports, state: () => ({}), bind: () => undefined };
}
