// What belongs to one call of a provider's function: its streams and its channel, so that calls at the same time never cross.

import type { HttpStream } from "../api/http.ts";
import type { ChunkQueue } from "./chunk-queue.ts";

/** Streams that one call may have open. */
export const MAX_STREAMS = 16;

/** A stream that the plugin opened. */
export interface OpenStream {
  readonly close: () => void;
  readonly pieces: AsyncIterator<Uint8Array>;
}

/** One call; it goes along as the call's context. */
export class ProviderCall {
  /** Where chunks go; undefined for calls that are no stream. */
  readonly queue: ChunkQueue | undefined;
  /** Milliseconds that it had in all. */
  readonly statedMs: number;
  readonly #endsAt: number;
  readonly #streams = new Map<number, OpenStream>();
  #opened = 0;
  /** Bytes of text logged so far. */
  logged = 0;

  /** @param timeoutMs milliseconds that the call has */
  constructor(timeoutMs: number, queue?: ChunkQueue) {
    this.statedMs = timeoutMs;
    this.#endsAt = performance.now() + timeoutMs;
    this.queue = queue;
  }

  get timeLeftMs(): number {
    return this.#endsAt - performance.now();
  }

  /** Keeps a stream; ids begin at 1 in every call. */
  keep(stream: HttpStream): number {
    const id = ++this.#opened;
    this.#streams.set(id, { close: () => stream.close(), pieces: stream.body[Symbol.asyncIterator]() });
    return id;
  }

  get openStreams(): number {
    return this.#streams.size;
  }

  stream(id: number): OpenStream | undefined {
    return this.#streams.get(id);
  }

  drop(id: number): void {
    this.#streams.get(id)?.close();
    this.#streams.delete(id);
  }

  /** Closes what the plugin left open. */
  end(): void {
    for (const id of this.#streams.keys()) this.drop(id);
  }
}
