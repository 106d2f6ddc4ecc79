// The last log lines of each plugin, within bounds.

import type { LogEvent } from "../api/channels.ts";
import type { LogLevel } from "../api/guest-log.ts";
import { BoundedMap } from "./bounded-map.ts";

/** One line. */
export interface LogLine {
  /** Milliseconds since 1970. */
  readonly time: number;
  readonly level: LogLevel;
  readonly message: string;
}

/** How much is kept. */
export interface LogBookLimits {
  /** Lines of one plugin. */
  readonly logLines: number;
  /** Bytes of one plugin's lines, and of all lines together; each counts 64 besides two for each character. */
  readonly logBytes: number;
  readonly allLogBytes: number;
  /** Plugins whose lines are kept apart; those of all others are kept together. */
  readonly maxPlugins: number;
}

const LINE_BYTES = 64;
const sizeOf = ({ message }: LogLine): number => LINE_BYTES + message.length * 2;

interface Book {
  readonly lines: LogLine[];
  /** Where the first line is: lines before it are gone. */
  first: number;
  bytes: number;
  dropped: number;
}

/** Keeps lines; the oldest go first, and where all plugins together have too many, those of the one that has most. */
export class LogBook {
  readonly #limits: LogBookLimits;
  readonly #clock: () => number;
  readonly #books: BoundedMap<Book>;
  #bytes = 0;

  /** @param clock time of day in milliseconds since 1970 */
  constructor(limits: LogBookLimits, clock: () => number) {
    this.#limits = limits;
    this.#clock = clock;
    this.#books = new BoundedMap(limits.maxPlugins, () => ({ lines: [], first: 0, bytes: 0, dropped: 0 }));
  }

  add({ plugin, level, message }: LogEvent): void {
    const { logLines, logBytes, allLogBytes } = this.#limits;
    const book = this.#books.get(plugin);
    const line = { time: this.#clock(), level, message };
    book.lines.push(line);
    book.bytes += sizeOf(line);
    this.#bytes += sizeOf(line);
    while (book.lines.length - book.first > logLines || book.bytes > logBytes) this.#drop(book);
    while (this.#bytes > allLogBytes) this.#drop(this.#largest());
  }

  #drop(book: Book): void {
    const bytes = sizeOf(book.lines[book.first] as LogLine);
    book.first++;
    book.bytes -= bytes;
    book.dropped++;
    this.#bytes -= bytes;
    // Moving the rest for each line would cost more with each of them.
    if (book.first * 2 > book.lines.length) {
      book.lines.splice(0, book.first);
      book.first = 0;
    }
  }

  #largest(): Book {
    let largest: Book | undefined;
    for (const [, book] of this.#books.entries()) if (largest === undefined || book.bytes > largest.bytes) largest = book;
    return largest as Book;
  }

  /** Drops the lines of a plugin that is gone, so that another one has room. */
  forget(plugin: string): void {
    this.#bytes -= this.#books.peek(plugin)?.bytes ?? 0;
    this.#books.delete(plugin);
  }

  /** The last lines of a plugin, the oldest first. */
  lines(plugin: string, last: number = Number.POSITIVE_INFINITY): LogLine[] {
    const book = this.#books.peek(plugin);
    if (book === undefined || last <= 0) return [];
    return book.lines.slice(Math.max(book.first, book.lines.length - last));
  }

  /** Lines of a plugin that were dropped for those that came later. */
  dropped(plugin: string): number {
    return this.#books.peek(plugin)?.dropped ?? 0;
  }
}
