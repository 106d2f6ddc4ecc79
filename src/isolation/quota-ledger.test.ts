import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MAX_ENTRIES } from "../wasi/quota.ts";
import { QuotaLedger } from "./quota-ledger.ts";

const ledger = (maxBytes: number, places: number): QuotaLedger => new QuotaLedger({ "/host": { guest: "/data", maxBytes } }, places);
const bytesOf = ({ allowances }: ReturnType<QuotaLedger["open"]>): number | undefined => allowances[0]?.bytes;

describe("QuotaLedger", () => {
  it("gives the one place everything, and the next what is left", () => {
    const quotas = ledger(1000, 1);
    const first = quotas.open();
    assert.deepEqual(first.allowances, [{ bytes: 1000, entries: MAX_ENTRIES }]);
    first.end([{ bytes: 300, entries: 2 }]);
    const second = quotas.open();
    assert.deepEqual(second.allowances, [{ bytes: 700, entries: MAX_ENTRIES - 2 }]);
    second.end([{ bytes: 0, entries: 0 }]);
    assert.equal(bytesOf(quotas.open()), 700);
  });

  it("counts all that a place had if it cannot have said what it used", () => {
    const quotas = ledger(1000, 1);
    const share = quotas.open();
    share.end(undefined);
    share.end([]);
    assert.deepEqual(quotas.open().allowances, [{ bytes: 0, entries: 0 }]);
  });

  it("divides what is left by the places that there may be", () => {
    const quotas = ledger(1000, 3);
    const shares = [quotas.open(), quotas.open(), quotas.open()];
    assert.deepEqual(shares.map(bytesOf), [333, 333, 334]);
    shares[1]?.end([{ bytes: 33, entries: 0 }]);
    shares[2]?.end(undefined);
    assert.deepEqual([bytesOf(quotas.open()), bytesOf(quotas.open())], [150, 150]);
    assert.equal(bytesOf(quotas.open()), 0);
  });

  it("never gives out more than there is, whatever a place says", () => {
    const quotas = ledger(1000, 1);
    quotas.open().end([{ bytes: 5000, entries: 2 ** 31 }]);
    assert.deepEqual(quotas.open().allowances, [{ bytes: 0, entries: 0 }]);
  });

  it("knows no limit, the default, and no folders", () => {
    const quotas = ledger(Number.POSITIVE_INFINITY, 2);
    quotas.open().end(undefined);
    assert.deepEqual([bytesOf(quotas.open()), bytesOf(quotas.open())], [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]);
    assert.equal(bytesOf(new QuotaLedger({ "/host": "/data" }, 1).open()), 64 << 20);
    assert.deepEqual(new QuotaLedger({}, 1).open().allowances, []);
  });
});
