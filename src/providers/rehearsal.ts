// Finds out whether a parser makes the same of many lines at once as of each line by itself. The interface does not promise
// it, and a parser may trap on it. So the first stream that can tell is read line by line and recorded, and after its end
// it is played again in an instance of its own, where nothing can break: by lines, in twos, in threes, and all at once.

import type { ProviderGuest } from "./provider-guest.ts";
import { linesOf } from "./line-cutter.ts";
import type { Feeding } from "./options.ts";
import { Parser, type ParserOperation } from "./stream-parser.ts";
import type { StreamChunk } from "./types.ts";

/** Bytes of a stream that are recorded. */
const MAX_BYTES = 32 << 10;
/** Lines of which something came that a recording needs, to say anything. */
const MIN_LINES = 4;
/** Streams that are tried before lines are what it stays with. */
const MAX_RECORDINGS = 8;

/** What is known so far. */
export type FeedingState = "chunks" | "lines" | "lines, not rehearsed yet";

/** A stream that is being recorded. */
export interface Recording {
  add(lines: Uint8Array): void;
  /** The stream has come to its end. */
  done(cfg: string): void;
}

/** Rehearsals of one provider. */
export class Rehearsals {
  readonly #stage: () => Promise<ProviderGuest>;
  #state: FeedingState;
  #left = MAX_RECORDINGS;
  #running: Promise<void> | undefined;
  #guest: ProviderGuest | undefined;
  #closed = false;

  /** @param stage makes a plugin that serves nobody else */
  constructor(feeding: Feeding, stage: () => Promise<ProviderGuest>) {
    this.#stage = stage;
    this.#state = feeding === "auto" ? "lines, not rehearsed yet" : feeding;
  }

  get state(): FeedingState {
    return this.#state;
  }

  get feedsChunks(): boolean {
    return this.#state === "chunks";
  }

  /** A recording of a stream that begins, if one is needed. */
  record(): Recording | undefined {
    if (this.#state !== "lines, not rehearsed yet" || this.#running !== undefined || this.#left === 0) return undefined;
    const pieces: Uint8Array[] = [];
    let room = MAX_BYTES;
    return {
      add: (lines) => {
        if (lines.length <= room) pieces.push(lines);
        // The stream has to be without a gap; what comes after one is left out.
        room = lines.length <= room ? room - lines.length : 0;
      },
      done: (cfg) => {
        if (this.#running !== undefined || this.#closed || this.#left === 0) return;
        this.#left--;
        this.#running = this.#rehearse(Buffer.concat(pieces), { cfg }).finally(() => (this.#running = undefined));
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#guest?.close(true);
    await this.#running;
  }

  async #rehearse(recorded: Uint8Array, operation: ParserOperation): Promise<void> {
    const lines = [...linesOf(recorded)];
    try {
      this.#guest = await this.#stage();
      if (this.#closed) return;
      const wanted = await play(this.#guest, operation, lines);
      if (wanted.telling < MIN_LINES) return;
      this.#state = (await this.#sameInAnyLayout(this.#guest, operation, lines, wanted.items)) ? "chunks" : "lines";
    } catch {
      // It could not be played even line by line: that says nothing.
    } finally {
      await this.#guest?.close(true);
      this.#guest = undefined;
      if (this.#left === 0 && this.#state === "lines, not rehearsed yet") this.#state = "lines";
    }
  }

  async #sameInAnyLayout(guest: ProviderGuest, operation: ParserOperation, lines: readonly Uint8Array[], wanted: string): Promise<boolean> {
    try {
      for (const size of [2, 3, lines.length]) {
        const batches = Array.from({ length: Math.ceil(lines.length / size) }, (_unused, index) =>
          Buffer.concat(lines.slice(index * size, (index + 1) * size)),
        );
        if ((await play(guest, operation, batches)).items !== wanted) return false;
      }
      return true;
    } catch {
      return false;
    }
  }
}

/** Everything that a parser makes of pieces, as text; and the number of pieces of which something came. */
async function play(guest: ProviderGuest, operation: ParserOperation, pieces: readonly Uint8Array[]): Promise<{ items: string; telling: number }> {
  const parser = await Parser.start(guest, operation);
  const items: StreamChunk[] = [];
  let telling = 0;
  for (const piece of pieces) {
    const made = await parser.parse(piece);
    if (made.length > 0) telling++;
    items.push(...made);
  }
  items.push(...(await parser.finish()));
  return { items: JSON.stringify(items), telling };
}
