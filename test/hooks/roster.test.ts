// Line-ups that are no longer the present one: who waits for them is told, and nothing is kept of them.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

import { hook } from "../../src/hooks/definition.ts";
import type { HookPlugin } from "../../src/hooks/plugin-entry.ts";
import { type LineUp, Roster, type Seating, hold, letGo } from "../../src/hooks/roster.ts";

interface Benched {
  readonly roster: Roster;
  readonly seating: Seating;
}

/** A roster of one hook that a plugin serves. */
function benched(): Benched {
  const roster = new Roster({ check: hook.first() });
  const plugin: HookPlugin = { name: "a", has: (fn) => fn === "check", start: () => assert.fail("nobody calls it") };
  const seating = roster.seatingOf({ plugin });
  roster.serve("a", [{ seating, percent: 100 }]);
  return { roster, seating };
}

/** Holds the present line-up, which is then no longer the present one. */
function heldAndPast({ roster }: Benched): LineUp {
  const { lineUp } = roster.hook("check");
  hold(lineUp);
  roster.serve("a", []);
  return lineUp;
}

describe("Roster.whenUnused", () => {
  it("tells all who wait, however many they are", async () => {
    const bench = benched();
    const lineUp = heldAndPast(bench);
    const waiting = Array.from({ length: 50_000 }, () => bench.roster.whenUnused(bench.seating));
    letGo(lineUp);
    await Promise.all(waiting);
  });

  it("waits for the last of several runs", async () => {
    const bench = benched();
    const { lineUp } = bench.roster.hook("check");
    hold(lineUp);
    heldAndPast(bench);
    let unused = false;
    const waiting = bench.roster.whenUnused(bench.seating).then(() => (unused = true));
    letGo(lineUp);
    await new Promise(setImmediate);
    assert.equal(unused, false);
    letGo(lineUp);
    await waiting;
  });

  it("waits for nobody where no run uses the seats any more", async () => {
    const bench = benched();
    letGo(heldAndPast(bench));
    await bench.roster.whenUnused(bench.seating);
  });
});

describe("Roster", () => {
  it("keeps nothing of a line-up that is past and drained", async () => {
    setFlagsFromString("--expose-gc");
    const collect = runInNewContext("gc") as () => void;
    const bench = benched();
    const past = ((): WeakRef<LineUp> => {
      const lineUp = heldAndPast(bench);
      letGo(lineUp);
      return new WeakRef(lineUp);
    })();
    // What a weak reference has led to stays until the end of the turn.
    await new Promise(setImmediate);
    collect();
    assert.equal(past.deref(), undefined);
    assert.equal(bench.roster.hook("check").lineUp.seats.length, 0);
  });
});
