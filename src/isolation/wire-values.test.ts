import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { MortiseError } from "../api/errors.ts";
import { errorFromWire, errorToWire, fromWire, textOf, toWire } from "./wire-values.ts";

const overWire = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

describe("toWire and fromWire", () => {
  it("carry every number and every i64", () => {
    fc.assert(
      fc.property(fc.oneof(fc.double(), fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })), (value) => {
        assert.ok(Object.is(fromWire(overWire(toWire(value))), value), String(value));
      }),
    );
    for (const value of [0, -0, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 5e-324, 2 ** 53]) {
      assert.ok(Object.is(fromWire(overWire(toWire(value))), value), String(value));
    }
  });

  it("take a bigint as an i64", () => {
    assert.deepEqual([fromWire(toWire(2n ** 63n)), fromWire(toWire(2n ** 64n + 3n))], [-(2n ** 63n), 3n]);
  });

  it("give undefined for what is no number", () => {
    for (const value of [undefined, null, true, {}, [], "", "5", "n", "5m", "-n", "--5n", `${"9".repeat(30)}n`, "toString", "0x5n"])
      assert.equal(fromWire(value), undefined);
  });
});

describe("errorToWire and errorFromWire", () => {
  const trace = [{ function: "f", offset: 3 }];
  const error = new MortiseError("MORTISE_TRAP", { plugin: "p", function: "f", reason: "unreachable", limit: Number.POSITIVE_INFINITY, trace });

  it("carry code and details", () => {
    const carried = errorFromWire(overWire(errorToWire(error)), "p");
    assert.deepEqual([carried?.code, carried?.message, carried?.details], [error.code, error.message, error.details]);
  });

  it("put the plugin that the host knows in the place of the one that is named", () => {
    assert.equal(errorFromWire(overWire(errorToWire(error)), "q")?.details["plugin"], "q");
  });

  it("make something coded of anything", () => {
    assert.deepEqual(errorToWire(new Error("no")), { code: "MORTISE_INTERNAL", details: { reason: "no" } });
  });

  it("give undefined for what is no error of ours", () => {
    for (const value of [
      undefined,
      null,
      "MORTISE_TRAP",
      { code: "MORTISE_TRAP" },
      { code: "toString", details: {} },
      { code: 5, details: {} },
      { code: "MORTISE_TRAP", details: [] },
    ]) {
      assert.equal(errorFromWire(value, "p"), undefined);
    }
  });

  it("bound what a detail may be", () => {
    const details = { reason: "x".repeat(100_000), object: {}, list: [1], trace: Array.from({ length: 1000 }, () => ({ function: "f", offset: 1 })) };
    const carried = errorFromWire({ code: "MORTISE_TRAP", details }, "p");
    assert.deepEqual(Object.keys(carried?.details ?? {}), ["reason", "trace"]);
    assert.equal(String(carried?.details["reason"]).length, 70_000);
    assert.ok(Array.isArray(carried?.details["trace"]));
    assert.equal(carried.details["trace"].length, 64);
  });
});

describe("textOf", () => {
  it("gives a text for anything", () => {
    const hostile = { toString: () => { throw new Error("no"); } }; // prettier-ignore
    const message = Object.defineProperty(new Error("x"), "message", { get: () => { throw new Error("no"); } }); // prettier-ignore
    assert.deepEqual(
      [textOf(new Error("m")), textOf(Symbol("s")), textOf(undefined), textOf(hostile), textOf(message)],
      ["m", "Symbol(s)", "undefined", "object", "object"],
    );
  });
});
