// Follows a stream on its way to the client, to say at its end what it took.

import type { JsonObject } from "mortise";

import { EventReader, saysWhyItStopped } from "./event-stream.ts";
import type { Chunk } from "./given.ts";
import type { Took } from "./tally.ts";
import type { Turn } from "./turn.ts";
import type { CompletionChunk } from "./types.ts";
import { saysFinish, textChars, usageOfEvents } from "./usage.ts";

/** Bytes that are kept unread: most streams tell at their end what they took, and nothing of them has to be read. */
const MAX_UNREAD_BYTES = 1 << 16;
/** Pieces at the end, in which the reason to stop, the usage and the mark of the end are. Where nobody counts, no more are kept. */
const LAST_PIECES = 4;

/** What the chunks of a stream took, as far as they have come. */
export class ChunkCost implements Took {
  #usage: JsonObject | undefined;
  #hasStopped = false;
  #chars = 0;

  note(chunk: CompletionChunk): void {
    this.#usage = chunk.usage ?? this.#usage;
    this.#hasStopped ||= saysWhyItStopped(chunk);
    for (const { delta } of chunk.choices) this.#chars += textChars(delta);
  }

  /** Text that cannot be read as chunks. */
  noteUnreadable(bytes: Uint8Array): void {
    this.#chars += bytes.length;
  }

  get usage(): JsonObject | undefined {
    return this.#usage;
  }

  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  chars(): number {
    return this.#chars;
  }
}

/** Follows one stream, of bytes or of chunks. */
export class StreamCost {
  readonly #turn: Turn;
  readonly #counts: boolean;
  readonly #told = new ChunkCost();
  #reader: EventReader | undefined;
  #unread: Uint8Array[] = [];
  #unreadBytes = 0;

  /** @param counts somebody counts: what the stream does not say is estimated. Else its usage is looked for in its last bytes alone */
  constructor(turn: Turn, counts: boolean) {
    this.#turn = turn;
    this.#counts = counts;
  }

  note(chunk: CompletionChunk): void {
    this.#told.note(chunk);
  }

  /** Reads bytes for somebody who wants their chunks. */
  read(bytes: Uint8Array): readonly Chunk[] {
    this.#reader ??= new EventReader(this.#turn.codec.streamReader(), false);
    if (this.#reader.fault !== undefined) this.#told.noteUnreadable(bytes);
    const chunks = this.#reader.read(bytes);
    for (const { chunk } of chunks) this.#told.note(chunk);
    return chunks;
  }

  /** Bytes that nobody wants to read. */
  pass(bytes: Uint8Array): void {
    if (!this.#counts && this.#turn.core.logger === undefined) return;
    this.#unread.push(bytes);
    if (!this.#counts) {
      if (this.#unread.length > LAST_PIECES) this.#unread.shift();
      return;
    }
    this.#unreadBytes += bytes.length;
    if (this.#unreadBytes > MAX_UNREAD_BYTES) this.#readUnread();
  }

  #readUnread(): void {
    if (this.#unread.length > 0) this.read(Buffer.concat(this.#unread));
    this.#unread = [];
    this.#unreadBytes = 0;
  }

  /** What the stream took, now that it is over. */
  took(): Took {
    if (this.#unread.length > 0 && this.#reader === undefined) {
      const usage = this.#usageAtEnd(Buffer.concat(this.#unread.slice(-LAST_PIECES)));
      if (usage !== undefined) return { usage, hasStopped: true, chars: () => this.#told.chars() };
    }
    if (this.#counts) this.#readUnread();
    return this.#told;
  }

  /** A usage before the end may be that of a part; Anthropic's is told in two. Where nobody counts, it is what can be had. */
  #usageAtEnd(bytes: Buffer): JsonObject | undefined {
    const { api } = this.#turn;
    const tellsAll = api === "responses" || (api === "chat" && saysFinish(bytes));
    return tellsAll || !this.#counts ? usageOfEvents(api, bytes) : undefined;
  }
}
