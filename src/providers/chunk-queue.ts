// Hands the chunks that a plugin yields to whoever reads the stream, and holds the plugin back while nobody does.

import type { StreamChunk } from "./types.ts";

/** Chunks that wait; with more, the plugin has to. */
const ROOM = 16;
/** A plugin that nobody can suspend may go on for a while; more than this is too much. */
const MOST = 65_536;

/** One stream's channel, from one plugin call to one reader. */
export class ChunkQueue {
  readonly #chunks: StreamChunk[] = [];
  #reader: (() => void) | undefined;
  #writer: (() => void) | undefined;
  #ended = false;
  #failure: unknown;
  /** The reader has gone: what comes is of no use to anybody. */
  cancelled = false;
  /** Chunks that were ever put in. */
  count = 0;

  /** Adds a chunk. A promise, where there is no room, settles when there is. */
  put(chunk: StreamChunk): Promise<void> | undefined {
    if (this.cancelled) return undefined;
    if (this.#chunks.length >= MOST) throw new RangeError(`More than ${MOST} chunks wait to be read`);
    this.#chunks.push(chunk);
    this.count++;
    this.#reader?.();
    if (this.#chunks.length < ROOM) return undefined;
    return new Promise((resolve) => (this.#writer = resolve));
  }

  /** The next chunk, or undefined at the end. @throws what {@link end} was given, after the chunks before it */
  async take(): Promise<StreamChunk | undefined> {
    while (this.#chunks.length === 0 && !this.#ended) await new Promise<void>((resolve) => (this.#reader = resolve));
    this.#reader = undefined;
    const chunk = this.#chunks.shift();
    if (chunk === undefined && this.#failure !== undefined) throw this.#failure;
    if (this.#chunks.length < ROOM) this.#letWriterGo();
    return chunk;
  }

  /** Nothing follows. */
  end(failure?: unknown): void {
    this.#ended = true;
    this.#failure = failure;
    this.#reader?.();
  }

  /** The reader goes. */
  cancel(): void {
    this.cancelled = true;
    this.#chunks.length = 0;
    this.#letWriterGo();
  }

  #letWriterGo(): void {
    this.#writer?.();
    this.#writer = undefined;
  }
}
