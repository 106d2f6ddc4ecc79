import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { bytes, count, milliseconds, plural, short } from "./quantities.ts";

describe("quantities", () => {
  const cases: readonly (readonly [actual: string, expected: string])[] = [
    [count(1_234_567), "1,234,567"],
    [plural(1, "page"), "1 page"],
    [plural(0, "entry", "entries"), "0 entries"],
    [bytes(0), "0 bytes"],
    [bytes(1), "1 byte"],
    [bytes(1023), "1,023 bytes"],
    [bytes(12_001), "11.7 KiB"],
    [bytes(65_536), "64 KiB"],
    [bytes(1_611_635), "1.54 MiB"],
    [milliseconds(0.0712), "0.07 ms"],
    [milliseconds(50.12), "50.1 ms"],
    [milliseconds(1234.5), "1,235 ms"],
    [short(9999), "9,999"],
    [short(954_201), "954 k"],
    [short(3_415_657), "3.42 M"],
    [short(2_500_000_000), "2.50 G"],
  ];
  for (const [actual, expected] of cases) it(`give ${expected}`, () => assert.equal(actual, expected));
});
