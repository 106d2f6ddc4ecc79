// Quantiles and counts of histograms against the sorted values themselves.
import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { Histogram, LEAST, MOST, RELATIVE_ERROR } from "../../src/telemetry/histogram.ts";

const QUANTILES = [0, 0.1, 0.5, 0.9, 0.99, 0.999, 1];

/** Values over the whole range, each power of two as likely as any other, with many that lie on the edges of buckets. */
const values = fc.array(
  fc.oneof(
    fc.tuple(fc.integer({ min: -13, max: 22 }), fc.double({ min: 1, max: 2, noNaN: true })).map(([power, part]) => 2 ** power * part),
    fc.tuple(fc.integer({ min: -14, max: 23 }), fc.integer({ min: 0, max: 64 })).map(([power, part]) => 2 ** power * (1 + part / 64)),
  ),
  { minLength: 1, maxLength: 300 },
);

function of(list: readonly number[]): Histogram {
  const histogram = new Histogram();
  for (const value of list) histogram.record(value);
  return histogram;
}

/** The value of which at least this part is not above. */
function nearestRank(sorted: readonly number[], part: number): number {
  return sorted[Math.min(Math.max(Math.ceil(part * sorted.length), 1), sorted.length) - 1] as number;
}

describe("Histogram", () => {
  it("quantile is the value of nearest rank to 0.8 %", () => {
    fc.assert(
      fc.property(values, (list) => {
        const histogram = of(list);
        const sorted = list.toSorted((a, b) => a - b);
        for (const part of QUANTILES) {
          const exact = nearestRank(sorted, part);
          const found = histogram.quantile(part);
          assert.ok(Math.abs(found - exact) <= exact * RELATIVE_ERROR, `${part}: ${found} for ${exact}`);
        }
      }),
      { numRuns: 500 },
    );
  });

  it("countUpTo is exact at each whole power of two", () => {
    fc.assert(
      fc.property(values, (list) => {
        const histogram = of(list);
        for (let power = -14; power <= 23; power++)
          assert.equal(histogram.countUpTo(power), list.filter((value) => value <= 2 ** power).length, `2^${power}`);
      }),
      { numRuns: 300 },
    );
  });

  it("add gives what recording all values would have given", () => {
    fc.assert(
      fc.property(values, values, (first, second) => {
        const sum = of(first);
        sum.add(of(second));
        const all = of([...first, ...second]);
        assert.deepEqual(
          QUANTILES.map((part) => sum.quantile(part)),
          QUANTILES.map((part) => all.quantile(part)),
        );
        assert.deepEqual([sum.count, sum.min, sum.max], [all.count, all.min, all.max]);
        assert.ok(Math.abs(sum.sum - all.sum) <= all.sum * 1e-12);
      }),
      { numRuns: 200 },
    );
  });

  it("counts what is outside of its range, and what is no number, at its ends", () => {
    const histogram = of([0, -1, Number.NaN, LEAST / 4, MOST * 8, Number.POSITIVE_INFINITY]);
    assert.equal(histogram.count, 6);
    assert.equal(histogram.countUpTo(-14), 4);
    assert.equal(histogram.quantile(0.5), LEAST);
    assert.ok(histogram.quantile(0.8) >= MOST * (1 - 1 / 64));
    assert.deepEqual([histogram.min, histogram.max], [0, Number.POSITIVE_INFINITY]);
  });

  it("is empty at first", () => {
    const histogram = new Histogram();
    assert.deepEqual([histogram.count, histogram.sum, histogram.quantile(0.5), histogram.countUpTo(10)], [0, 0, 0, 0]);
  });
});
