// Streams of servers that speak the client's own interface: bytes as they come, or read into the common form where plugins look.

import { MortiseError } from "mortise";

import { EventCutter } from "./event-cutter.ts";
import type { Chunk, PieceStream } from "./given.ts";
import { mergeChunks } from "./merge-chunks.ts";
import type { CompletionChunk } from "./types.ts";
import type { StreamReader } from "./wires/client-wire.ts";

/** Characters of one event. */
const MAX_EVENT_CHARS = 8 << 20;

/** A body that is read piece by piece. */
export interface ByteStream {
  readonly body: AsyncIterable<Uint8Array>;
  close(): void;
}

/** Hands on the bytes. */
export function byteStream(source: ByteStream): PieceStream {
  const iterator = source.body[Symbol.asyncIterator]();
  return {
    async next() {
      const { done, value } = await iterator.next();
      return done === true ? undefined : value;
    },
    close: () => source.close(),
  };
}

/** Reads bytes of events into chunks. */
export class EventReader {
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });
  readonly #cutter: EventCutter;
  #chunks: Chunk[] = [];
  #fault: unknown;
  #hasStopped = false;

  /** @param keepsData an event and its chunk say the same, so that its data can be sent on */
  constructor(reader: StreamReader, keepsData: boolean) {
    this.#cutter = new EventCutter((event) => {
      if (this.#fault !== undefined) return;
      try {
        for (const chunk of reader.push(event)) {
          this.#hasStopped ||= saysWhyItStopped(chunk);
          this.#chunks.push(keepsData ? { chunk, data: event.data } : { chunk });
        }
      } catch (error) {
        this.#fault = error ?? broken("cannot be read");
      }
    });
  }

  /** True once the model has said why it stopped. */
  get hasStopped(): boolean {
    return this.#hasStopped;
  }

  /** What came before a fault. Its own fault is in {@link fault}. */
  read(bytes: Uint8Array): readonly Chunk[] {
    if (this.#fault !== undefined) return [];
    try {
      this.#cutter.feed(this.#decoder.decode(bytes, { stream: true }));
    } catch {
      this.#fault ??= broken("is not UTF-8");
    }
    if (this.#cutter.keptChars > MAX_EVENT_CHARS) this.#fault ??= broken("has an event that is too long");
    const chunks = this.#chunks;
    this.#chunks = [];
    return chunks;
  }

  /** MORTISE_GATEWAY_UPSTREAM: what was wrong with the bytes; undefined as long as nothing is. */
  get fault(): unknown {
    return this.#fault;
  }
}

/** Reads a stream into chunks: of what arrives together, the fewest that say it. One that ends before the model has stopped is broken. */
export class EventStream implements PieceStream {
  readonly #source: ByteStream;
  readonly #iterator: AsyncIterator<Uint8Array>;
  readonly #reader: EventReader;

  /** @param keepsData as for {@link EventReader} */
  constructor(source: ByteStream, reader: StreamReader, keepsData: boolean) {
    this.#source = source;
    this.#iterator = source.body[Symbol.asyncIterator]();
    this.#reader = new EventReader(reader, keepsData);
  }

  async next(): Promise<readonly Chunk[] | undefined> {
    for (;;) {
      if (this.#reader.fault !== undefined) throw this.#reader.fault;
      const { done, value } = await this.#iterator.next(); // oxlint-disable-line no-await-in-loop -- pieces come one after the other
      if (done === true) {
        if (!this.#reader.hasStopped) throw endedEarly();
        return undefined;
      }
      const chunks = this.#reader.read(value);
      if (chunks.length > 0) return mergeChunks(chunks);
    }
  }

  close(): void {
    this.#source.close();
  }
}

/** True for the chunk in which a model says why it stopped: without one, a stream is not whole. */
export function saysWhyItStopped({ choices }: CompletionChunk): boolean {
  return choices.some((choice) => (choice["finish_reason"] ?? null) !== null);
}

/** The error for a stream that lacks such a chunk. */
export function endedEarly(): MortiseError {
  return broken("ended before the model had stopped");
}

function broken(reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_UPSTREAM", { what: "the stream", reason });
}
