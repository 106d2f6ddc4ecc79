import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setImmediate as turn } from "node:timers/promises";

import { assemble } from "../../test/wasm/corpus.ts";
import { toPromising } from "./host-functions.ts";
import { type InstrumentedModule, instrument } from "./instrument.ts";
import { Meter, type MeterOptions } from "./meter.ts";

const CODES: readonly [options: MeterOptions][] = [
  [{ fuel: -1 }],
  [{ fuel: 1.5 }],
  [{ fuel: Number.NaN }],
  [{ growPages: -1 }],
  [{ growEntries: 0.1 }],
];

/** Counts to a number, one loop turn each. */
const WORK = `(func (export "work") (param $turns i32) (result i32) (local $i i32)
  (loop (local.set $i (i32.add (local.get $i) (i32.const 1))) (br_if 0 (i32.lt_u (local.get $i) (local.get $turns)))) (local.get $i))`;

interface Metered {
  readonly meter: Meter;
  readonly instance: WebAssembly.Instance;
  readonly instrumented: InstrumentedModule;
  readonly work: (turns: number) => number;
}

async function metered(text: string, options: MeterOptions = {}, imports: WebAssembly.Imports = {}): Promise<Metered> {
  const instrumented = instrument(await assemble(text));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumented.bytes), imports);
  const meter = new Meter(instrumented, options);
  meter.attach(instance);
  return { meter, instance, instrumented, work: instance.exports["work"] as (turns: number) => number };
}

/** An instance and a linked one, which has exports of its own. */
async function linkedPair(main: string, other: string, options: MeterOptions = {}): Promise<{ main: Metered; other: WebAssembly.Instance }> {
  const pair = await metered(main, options);
  const instrumented = instrument(await assemble(other));
  const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumented.bytes));
  pair.meter.link(instrumented, instance);
  return { main: pair, other: instance };
}

const call = (instance: WebAssembly.Instance, name: string, ...values: number[]): number => {
  const target = instance.exports[name];
  assert.ok(typeof target === "function");
  return (target as (...args: number[]) => number)(...values);
};

describe("Meter", () => {
  for (const [options] of CODES) {
    const [[name, value] = []] = Object.entries(options);
    it(`refuses ${name} of ${String(value)} with MORTISE_INVALID_OPTION`, async () => {
      const instrumented = instrument(await assemble("(module)"));
      assert.throws(() => new Meter(instrumented, options), { code: "MORTISE_INVALID_OPTION", message: new RegExp(`"${name}"`) });
    });
  }

  it("counts the same fuel however small the slices that the clock makes of it", async () => {
    const counts = new Set<number>();
    for (const step of [0, 0.001, 0.1, 3, 1000]) {
      let now = 0;
      const { meter, work } = await metered(`(module ${WORK})`, { timeoutMs: 1e9, sliceMs: 4, clock: () => (now += step) });
      work(1_000_000);
      counts.add(meter.fuelUsed);
    }
    const { meter, work } = await metered(`(module ${WORK})`);
    work(1_000_000);
    counts.add(meter.fuelUsed);
    assert.equal(counts.size, 1);
  });

  it("keeps the account of charges that no 32-bit counter holds", async () => {
    const { meter, work } = await metered(`(module ${WORK})`, { fuel: 1e12 });
    for (let time = 0; time < 5; time++) meter.charge(2 ** 31);
    assert.equal(meter.fuelUsed, 5 * 2 ** 31);
    work(10);
    for (let time = 0; time < 5; time++) meter.charge(2 ** 40);
    assert.ok(meter.fuelUsed >= 5 * 2 ** 40);
    assert.throws(() => work(10_000), WebAssembly.RuntimeError);
    assert.equal(meter.stopped, "fuel");
  });

  it("gives each period its fuel, and takes what is left of it back", async () => {
    const { meter, work } = await metered(`(module ${WORK})`, { fuel: 100_000 });
    work(5000);
    const first = meter.fuelUsed;
    for (let time = 0; time < 100; time++) {
      meter.grant(meter.begin());
      work(5000);
      assert.equal(meter.fuelUsed, first);
    }
  });
});

describe("Meter.takePages", () => {
  it("takes from what memories may grow by, and not more", async () => {
    const text = `(module (memory 1) (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0))))`;
    const { meter, instance } = await metered(text, { growPages: 10 });
    assert.deepEqual([meter.takePages(4), meter.takePages(7), meter.pagesGrown], [true, false, 4]);
    assert.equal(call(instance, "grow", 6), 1);
    assert.deepEqual([meter.takePages(1), meter.takePages(0), meter.pagesGrown], [false, true, 10]);
  });
});

/** Exports a memory with a maximum of 5 pages, and a table with one of 20 entries. */
const GROWING = `(module (memory 1 5) (table 1 20 funcref)
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "entries") (param i32) (result i32) (table.grow (ref.null func) (local.get 0))) ${WORK})`;

describe("A meter of linked instances", () => {
  it("has one fuel for all: what one uses, the other lacks", async () => {
    const { main, other } = await linkedPair(`(module ${WORK})`, `(module ${WORK})`, { fuel: 1_000_000 });
    main.work(50_000);
    const half = main.meter.fuelUsed;
    call(other, "work", 50_000);
    assert.equal(main.meter.fuelUsed, 2 * half);
    assert.throws(() => {
      for (;;) {
        main.work(1000);
        call(other, "work", 1000);
      }
    }, WebAssembly.RuntimeError);
    assert.equal(main.meter.stopped, "fuel");
    assert.ok(main.meter.fuelUsed < 1_000_000 + 25_000, `${main.meter.fuelUsed}`);
  });

  it("has one growth of memories for all", async () => {
    const { main, other } = await linkedPair(GROWING, GROWING, { growPages: 6, growEntries: 12 });
    assert.deepEqual([call(other, "grow", 3), call(main.instance, "grow", 2), main.meter.pagesGrown], [1, 1, 5]);
    assert.equal(call(other, "grow", 1), 4);
    assert.throws(() => call(main.instance, "grow", 1), WebAssembly.RuntimeError);
    assert.equal(main.meter.stopped, "memory");
  });

  it("has one growth of tables for all", async () => {
    const { main, other } = await linkedPair(GROWING, GROWING, { growPages: 6, growEntries: 12 });
    assert.deepEqual([call(other, "entries", 8), call(main.instance, "entries", 4)], [1, 1]);
    assert.throws(() => call(other, "entries", 1), WebAssembly.RuntimeError);
    assert.equal(main.meter.stopped, "table");
  });

  it("loses no pages to growth that the memory's own maximum refuses", async () => {
    const { main, other } = await linkedPair(GROWING, GROWING, { growPages: 8 });
    for (const pages of [5, 6, 7, 8]) assert.equal(call(other, "grow", pages), -1);
    assert.equal(main.meter.pagesGrown, 0);
    assert.equal(call(other, "grow", 4), 1);
    assert.equal(main.meter.pagesGrown, 4);
    // What the other one asked for and did not get is still the other one's.
    assert.equal(call(main.instance, "grow", 0), 1);
  });

  it("charges the work of the host to whoever is at work", async () => {
    const { main, other } = await linkedPair(`(module ${WORK})`, `(module ${WORK})`, { fuel: 1_000_000 });
    call(other, "work", 10_000);
    const before = main.meter.fuelUsed;
    main.meter.charge(5000);
    main.meter.charge(10);
    assert.equal(main.meter.fuelUsed, before + 5010);
    main.meter.charge(2_000_000);
    assert.equal(main.meter.fuelUsed, before + 2_005_010);
    // Its own budget would have lasted for this.
    assert.throws(() => call(other, "work", 1), WebAssembly.RuntimeError);
    assert.equal(main.meter.stopped, "fuel");
  });

  it("stops all of them", async () => {
    for (const which of ["main", "other"] as const) {
      const { main, other } = await linkedPair(`(module ${WORK})`, `(module ${WORK})`, { fuel: 1_000_000 });
      call(other, "work", 10_000);
      const used = main.meter.fuelUsed;
      main.meter.stopGuest("host");
      assert.equal(main.meter.fuelUsed, used);
      assert.throws(() => call(which === "main" ? main.instance : other, "work", 1), WebAssembly.RuntimeError);
      assert.equal(main.meter.stopped, "host");
    }
  });
});

describe("A meter of a suspendable call", () => {
  /** Milliseconds of the fake clock for each look at it. */
  const STEP = 1;
  const sliced = async (options: MeterOptions = {}): Promise<Metered & { run: (turns: number) => Promise<number> }> => {
    let now = 0;
    const found = await metered(`(module ${WORK})`, { timeoutMs: 1e6, sliceMs: 4, clock: () => (now += STEP), ...options });
    const run = toPromising(found.work);
    return {
      ...found,
      run: (turns) => {
        found.meter.grant(found.meter.begin());
        found.meter.suspendable = true;
        return run(turns);
      },
    };
  };

  it("is suspended after each slice of time, and costs what it costs in one piece", async () => {
    const { meter, run } = await sliced();
    let done = false;
    const result = run(5_000_000).finally(() => (done = true));
    let slices = 0;
    // oxlint-disable-next-line no-unmodified-loop-condition -- a reaction of the promise modifies it
    while (!done) {
      assert.equal(meter.suspended, true);
      slices++;
      await turn();
    }
    assert.equal(await result, 5_000_000);
    assert.ok(slices > 10, `${slices} slices`);
    const plain = await metered(`(module ${WORK})`);
    plain.work(5_000_000);
    assert.equal(meter.fuelUsed, plain.meter.fuelUsed);
    assert.equal(meter.heldThread, false);
  });

  it("is marked, and not suspended, where it did not come through a promise", async () => {
    const { meter, work } = await sliced();
    meter.grant(meter.begin());
    assert.equal(work(5_000_000), 5_000_000);
    assert.equal(meter.heldThread, true);
    meter.grant(meter.begin());
    work(10);
    assert.equal(meter.heldThread, false);
  });

  it("ends at once when it is stopped while suspended, and a second stop changes nothing", async () => {
    const { meter, run } = await sliced();
    const result = run(5_000_000);
    meter.stopGuest("host");
    meter.stopGuest("timeout");
    await assert.rejects(result, WebAssembly.RuntimeError);
    assert.equal(meter.stopped, "host");
    // Its turn comes all the same, and finds nobody.
    await turn();
    await turn();
    assert.equal(meter.suspended, false);
  });

  it("ends for want of fuel after the same amount as in one piece", async () => {
    const { meter, run } = await sliced({ fuel: 3_000_000 });
    await assert.rejects(run(50_000_000), WebAssembly.RuntimeError);
    const plain = await metered(`(module ${WORK})`, { fuel: 3_000_000 });
    assert.throws(() => plain.work(50_000_000), WebAssembly.RuntimeError);
    assert.deepEqual([meter.stopped, meter.fuelUsed], ["fuel", plain.meter.fuelUsed]);
  });
});
