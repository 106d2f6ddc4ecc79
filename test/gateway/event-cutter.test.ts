// Server-sent events, cut out of text that comes in any pieces.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { EventCutter, type ServerEvent } from "../../src/gateway/event-cutter.ts";

function cut(...pieces: readonly string[]): ServerEvent[] {
  const events: ServerEvent[] = [];
  const cutter = new EventCutter((event) => events.push(event));
  for (const piece of pieces) cutter.feed(piece);
  return events;
}

const data = (text: string, event?: string): ServerEvent => ({ event, data: text });

describe("EventCutter", () => {
  it("reads events as the standard has them", () => {
    const cases: readonly (readonly [text: string, events: readonly ServerEvent[]])[] = [
      ["data: a\n\n", [data("a")]],
      ["data:a\n\ndata:  b\n\n", [data("a"), data(" b")]],
      ["event: x\ndata: a\n\ndata: b\n\n", [data("a", "x"), data("b")]],
      ["data: a\ndata: b\ndata\n\n", [data("a\nb\n")]],
      [": comment\nid: 1\nretry: 5\ndata: a\nother: b\n\n", [data("a")]],
      ["event: x\n\ndata: a\n\n", [data("a")]],
      ["data: a\r\n\r\ndata: b\r\rdata: c\n\n", [data("a"), data("b"), data("c")]],
      ["\uFEFFdata: a\n\n", [data("a")]],
      ["data: a\n\ndata: not ended", [data("a")]],
      ["\n\n\n", []],
    ];
    for (const [text, events] of cases) assert.deepEqual(cut(text), events, JSON.stringify(text));
  });

  it("does not care where the text is cut", () => {
    const text = fc.string({ unit: fc.constantFrom("\r", "\n", "data:", "event:", " ", "a", ":", "\uFEFF"), maxLength: 40 });
    fc.assert(
      fc.property(text, fc.array(fc.nat(40)), (all, places) => {
        const ends = [...places.filter((place) => place < all.length), all.length].toSorted((a, b) => a - b);
        let from = 0;
        const pieces = ends.map((end) => all.slice(from, (from = end)));
        assert.deepEqual(cut(...pieces), cut(all));
      }),
    );
  });

  it("says how much it keeps", () => {
    const cutter = new EventCutter(() => {});
    cutter.feed("data: 12345\n");
    cutter.feed("data: 678");
    assert.equal(cutter.keptChars, 5 + "data: 678".length);
    cutter.feed("\n\n");
    assert.equal(cutter.keptChars, 0);
  });
});
