import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { ChunkQueue } from "./chunk-queue.ts";

const chunk = (text: string): { readonly text: string } => ({ text });

describe("ChunkQueue", () => {
  it("hands chunks over in order, and ends", async () => {
    const queue = new ChunkQueue();
    const first = queue.take();
    void queue.put(chunk("a"));
    void queue.put(chunk("b"));
    queue.end();
    assert.deepEqual([await first, await queue.take(), await queue.take(), await queue.take()], [chunk("a"), chunk("b"), undefined, undefined]);
  });

  it("throws the failure after the chunks before it", async () => {
    const queue = new ChunkQueue();
    void queue.put(chunk("a"));
    queue.end(new Error("broken"));
    assert.deepEqual(await queue.take(), chunk("a"));
    await assert.rejects(queue.take(), /broken/);
  });

  it("makes the writer wait at 16 chunks until one is taken", async () => {
    const queue = new ChunkQueue();
    for (let index = 0; index < 15; index++) assert.equal(queue.put(chunk("x")), undefined);
    let went = false;
    const wait = queue.put(chunk("x"))?.then(() => (went = true));
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(went, false);
    await queue.take();
    await wait;
    assert.equal(went, true);
  });

  it("lets the writer go, and takes nothing any more, when the reader has gone", async () => {
    const queue = new ChunkQueue();
    let wait: Promise<void> | undefined;
    for (let index = 0; index < 16; index++) wait = queue.put(chunk("x"));
    queue.cancel();
    await wait;
    assert.equal(queue.put(chunk("y")), undefined);
    queue.end();
    assert.equal(await queue.take(), undefined);
  });

  it("refuses 65,537 chunks of a writer that cannot wait", () => {
    const queue = new ChunkQueue();
    for (let index = 0; index < 65_536; index++) void queue.put(chunk("x"));
    assert.throws(() => queue.put(chunk("x")), RangeError);
  });
});
