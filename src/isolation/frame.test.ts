import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { FrameReader, toFrame } from "./frame.ts";
import { type Packet, ProtocolError } from "./protocol.ts";

const bytes = fc.uint8Array({ maxLength: 300 }).map((array) => Uint8Array.from(array));
const packets = fc.array(fc.record({ header: fc.jsonValue({ maxDepth: 2 }), sections: fc.array(bytes, { maxLength: 4 }) }), { maxLength: 5 });

describe("FrameReader", () => {
  it("gives the packets that were written, however the bytes are cut", () => {
    fc.assert(
      fc.property(packets, fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), (written, cuts) => {
        const all = Buffer.concat(written.flatMap(({ header, sections }) => toFrame({ header }, sections)));
        const reader = new FrameReader(10_000);
        const read: Packet<unknown>[] = [];
        for (let at = 0, turn = 0; at < all.length; turn++) {
          const size = cuts[turn % cuts.length] as number;
          reader.push(all.subarray(at, at + size), (packet) => read.push(packet));
          at += size;
        }
        const expected = written.map(({ header, sections }) => ({ header: JSON.parse(JSON.stringify({ header })) as unknown, sections }));
        assert.deepEqual(read, expected);
        for (const { sections } of read) for (const section of sections) assert.equal(section.buffer.byteLength, section.length);
      }),
    );
  });

  it("refuses sections that are larger together than it was told", () => {
    const frame = Buffer.concat(toFrame({}, [new Uint8Array(600), new Uint8Array(600)]));
    assert.throws(() => new FrameReader(1199).push(frame, () => {}), {
      name: "ProtocolError",
      message: "a packet has 1200 bytes, but 1199 are the most",
    });
    new FrameReader(1200).push(frame, () => {});
  });

  it("refuses a header that is larger than it was told, before it is there", () => {
    const prefix = Buffer.concat(toFrame({ text: "x".repeat(100) }, [])).subarray(0, 8);
    assert.throws(() => new FrameReader(10, 100).push(prefix, () => {}), ProtocolError);
  });

  it("gives packets or a ProtocolError for any bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (garbage) => {
        try {
          new FrameReader(1000, 1000).push(garbage, () => {});
        } catch (error) {
          assert.ok(error instanceof ProtocolError, String(error));
        }
      }),
    );
  });
});
