// Where a child process that runs plugins starts.

import { readSync, writevSync } from "node:fs";

import { serve } from "./child.ts";
import { FrameReader, toFrame } from "./frame.ts";
import type { Link } from "./place.ts";
import type { Order, Packet } from "./protocol.ts";

/** File descriptor of the pipe to the host. */
const PIPE = 3;
const CHUNK_BYTES = 1 << 16;

/** Milliseconds between two looks at whether the host is still there. */
const LOOK_MS = 100;
/** The host's number; a process whose parent ends gets another one. */
const host = process.ppid;
let nextLook = 0;

const chunk = new Uint8Array(CHUNK_BYTES);
// Orders come from the host, which is trusted.
const reader = new FrameReader(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
const packets: Packet<Order>[] = [];

/** Reads and writes the pipe without the event loop. */
const link: Link = {
  send(header, sections = []) {
    let pieces = toFrame(header, sections).filter(({ length }) => length > 0);
    while (pieces.length > 0) {
      let written = writevSync(PIPE, pieces);
      pieces = pieces.flatMap((piece) => {
        const skipped = Math.min(written, piece.length);
        written -= skipped;
        return skipped === piece.length ? [] : [piece.subarray(skipped)];
      });
    }
  },
  receive() {
    for (;;) {
      const packet = packets.shift();
      if (packet !== undefined) return packet;
      const count = readSync(PIPE, chunk, 0, CHUNK_BYTES, null);
      // The host is gone, and nobody wants what this process could do.
      if (count === 0) process.exit(0);
      reader.push(chunk.subarray(0, count), (found) => packets.push(found as Packet<Order>));
    }
  },
  interrupted() {
    // A guest that computes does not see that the pipe is closed.
    const now = performance.now();
    if (now < nextLook) return false;
    nextLook = now + LOOK_MS;
    if (process.ppid !== host) process.exit(0);
    return false;
  },
};

await serve(link);
