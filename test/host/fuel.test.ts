// Fuel: limits that are exact, and numbers that depend on module and input alone.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";

import { type MortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";
import { type FuelNumbers, GOLDEN, KERNELS, KERNEL_MODULES, measureFuel, prepareKernels, runKernel } from "./fuel-numbers.ts";
import { findNode26 } from "./node26.ts";

const golden = JSON.parse(readFileSync(GOLDEN, "utf8")) as FuelNumbers;
const SCRIPT = fileURLToPath(new URL("fuel-numbers.ts", import.meta.url));
const HINT = "if the cost rule changed on purpose, run: node test/host/fuel-numbers.ts --write";

const inProcess = (node: string): FuelNumbers => JSON.parse(execFileSync(node, ["--no-warnings", SCRIPT], { encoding: "utf8" })) as FuelNumbers;

describe("Fuel numbers", () => {
  it("are what the committed file says", async () => {
    assert.deepEqual(await measureFuel(), golden, HINT);
  });

  it("are the same in a fresh process", () => {
    assert.deepEqual(inProcess(process.execPath), golden, HINT);
  });

  it("are the same on Node 26", (t) => {
    const node = findNode26();
    if ("missing" in node) return t.skip(node.missing);
    assert.deepEqual(inProcess(node.path), golden, HINT);
  });

  for (const name of KERNEL_MODULES) {
    it(`are the same in 100 runs of each kernel of ${name}, whatever the deadline`, () => {
      const prepared = prepareKernels(name);
      for (const [kernel, n] of Object.entries(KERNELS)) {
        const { fuel, result } = runKernel(prepared, kernel, n);
        assert.equal(fuel, golden[name]?.[`${kernel}(${n})`], `${kernel}(${n}): ${HINT}`);
        for (let run = 0; run < 100; run++) {
          let now = 0;
          const options = run % 2 === 0 ? {} : { timeoutMs: 1e6 * (run + 1), clock: () => (now += run / 10) };
          assert.deepEqual(runKernel(prepared, kernel, n, options), { fuel, result, stopped: undefined }, `${kernel}(${n}), run ${run}`);
        }
      }
    });

    it(`are exact limits for each kernel of ${name}: enough is enough, and one less is not`, () => {
      const prepared = prepareKernels(name);
      for (const [kernel, n] of Object.entries(KERNELS)) {
        const { fuel, result } = runKernel(prepared, kernel, n);
        assert.deepEqual(runKernel(prepared, kernel, n, { fuel }), { fuel, result, stopped: undefined }, kernel);
        for (const less of [fuel - 1, Math.floor(fuel / 2), 1, 0]) {
          const cut = runKernel(prepared, kernel, n, { fuel: less });
          assert.equal(cut.stopped, "fuel", `${kernel} with ${less} of ${fuel}`);
          assert.equal(cut.result, undefined);
        }
      }
    });

    it(`grow with the work that the kernels of ${name} do`, () => {
      const prepared = prepareKernels(name);
      for (const [kernel, n] of Object.entries(KERNELS)) {
        assert.ok(runKernel(prepared, kernel, n + 3).fuel > runKernel(prepared, kernel, n).fuel, kernel);
      }
    });
  }

  it("are more than 20,000 for some kernels, so that slices were refilled", () => {
    const all = KERNEL_MODULES.flatMap((name) => Object.values(golden[name] ?? {}));
    assert.ok(all.some((fuel) => fuel > 220_000) && all.some((fuel) => fuel > 20_000 && fuel < 200_000));
  });
});

describe("limits.fuel of a plugin", () => {
  const bytes = readFileSync(new URL("../../guests/prebuilt/count_vowels.c.wasm", import.meta.url));
  const inputs = ["", "a", "The quick brown fox", "e".repeat(10_000), "x".repeat(300_000)];

  it("is exact: a call may use all of it, and not one unit more", async () => {
    for (const input of inputs) {
      await using free = await loadPlugin(bytes, { limits: { timeoutMs: 60_000 } });
      const output = free.callSync("count_vowels", input).text();
      const used = free.stats().fuel.last;
      await using enough = await loadPlugin(bytes, { limits: { fuel: used, timeoutMs: 60_000 } });
      assert.equal(enough.callSync("count_vowels", input).text(), output);
      assert.equal(enough.stats().fuel.last, used);
      await using short = await loadPlugin(bytes, { limits: { fuel: used - 1, timeoutMs: 60_000 } });
      assert.throws(
        () => short.callSync("count_vowels", input),
        (error: MortiseError) => {
          assert.deepEqual([error.code, error.details["limit"]], ["MORTISE_FUEL", used - 1]);
          return true;
        },
      );
    }
  });

  it("is anew for each call, and says what calls used", async () => {
    await using free = await loadPlugin(bytes);
    free.callSync("count_vowels", "text");
    const used = free.stats().fuel.last;
    await using plugin = await loadPlugin(bytes, { limits: { fuel: used } });
    for (let turn = 1; turn <= 100; turn++) {
      plugin.callSync("count_vowels", "text");
      assert.deepEqual(plugin.stats().fuel, { last: used, total: used * turn });
    }
  });

  it("is the same after a discard as at first", async () => {
    const text = await assemble(`(module (func (export "trap") unreachable) (func (export "work") (local $turns i32)
      (loop (local.set $turns (i32.add (local.get $turns) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $turns) (i32.const 50000))))))`);
    await using plugin = await loadPlugin(text);
    plugin.callSync("work");
    const { last } = plugin.stats().fuel;
    assert.throws(() => plugin.callSync("trap"), { code: "MORTISE_TRAP" });
    plugin.callSync("work");
    assert.equal(plugin.stats().fuel.last, last);
  });

  it("holds for guests without loops that call and call", async () => {
    const levels = Array.from(
      { length: 30 },
      (_unused, level) => `(func $f${level} ${level === 29 ? "" : `(call $f${level + 1}) (call $f${level + 1})`})`,
    );
    await using plugin = await loadPlugin(await assemble(`(module ${levels.join("\n")} (func (export "f") (call $f0)))`), {
      limits: { fuel: 1_000_000, timeoutMs: 60_000 },
    });
    assert.throws(() => plugin.callSync("f"), { code: "MORTISE_FUEL" });
    const { last } = plugin.stats().fuel;
    assert.ok(last > 1_000_000 && last < 1_100_000, `it used ${last}`);
  });

  it("of 0 lets nothing run", async () => {
    await using plugin = await loadPlugin(await assemble(`(module (func (export "f") (drop (i32.const 1))))`), { limits: { fuel: 0 } });
    assert.throws(() => plugin.callSync("f"), { code: "MORTISE_FUEL" });
  });
});
