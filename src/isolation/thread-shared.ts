// What a host and a worker thread have in common: words of memory, to wake each other and to ask a guest to stop, and
// how sections travel.

import type { MessagePort } from "node:worker_threads";

import type { Section } from "./protocol.ts";

/** Indexes of the words. The first two count packets, so that one that comes before its receiver waits is not missed. */
export const WORDS = {
  /** Packets that the host has sent. */
  toChild: 0,
  /** Packets that the thread has sent. */
  toHost: 1,
  /** The call whose guest is to stop; 0 for none. */
  interrupt: 2,
} as const;

/** What a thread gets when it starts. */
export interface ThreadStart {
  readonly port: MessagePort;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** Sections from this size on are moved instead of copied: below, copying is cheaper. */
const MOVED_BYTES = 1 << 14;

/** Buffers worth moving; what is moved is gone on the sender's side. */
export function movable(sections: readonly Section[]): ArrayBuffer[] {
  return sections.filter(({ length }) => length >= MOVED_BYTES).map(({ buffer }) => buffer);
}
