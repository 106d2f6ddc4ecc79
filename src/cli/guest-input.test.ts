import assert from "node:assert/strict";
import { Readable } from "node:stream";
import { describe, it } from "node:test";

import { readInput } from "./guest-input.ts";

describe("readInput", () => {
  const read = async (maxBytes: number): Promise<{ readonly length: number; readonly pieces: number; readonly closed: boolean }> => {
    let pieces = 0;
    const stream = Readable.from(
      (function* () {
        for (; pieces < 1000; pieces++) yield Buffer.alloc(100, 1);
      })(),
    );
    const input = await readInput({ what: "a stream", open: () => stream }, maxBytes);
    return { length: input?.length ?? 0, pieces, closed: stream.destroyed };
  };

  it("reads all of what is small enough", async () => {
    assert.equal((await read(200_000)).length, 100_000);
  });

  it("reads no more than it may, and closes the rest", async () => {
    const { length, pieces, closed } = await read(250);
    assert.deepEqual([length, closed], [250, true]);
    assert.ok(pieces < 100, `took ${pieces} pieces`);
  });
});
