import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { alignRows } from "./table.ts";

describe("alignRows", () => {
  it("pads cells on the side that the column asks for, and no line at its end", () => {
    const rows = [
      ["guest", "after", "next"],
      ["é", "5 ms", ""],
    ];
    assert.deepEqual(alignRows(rows, ["left", "right", "left"]), ["guest  after  next", "é       5 ms"]);
  });

  it("takes rows of different lengths", () => {
    assert.deepEqual(alignRows([["a"], ["bb", "c"]]), ["a", "bb  c"]);
    assert.deepEqual(alignRows([]), []);
  });
});
