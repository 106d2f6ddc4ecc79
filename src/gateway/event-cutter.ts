// Cuts text into server-sent events, as the HTML standard describes them (9.2.6); ids and delays are left alone.

/** One event. */
export interface ServerEvent {
  readonly event?: string | undefined;
  /** Its lines of data, joined by line feeds. */
  readonly data: string;
}

const BOM = "\uFEFF";

/** Cuts one stream. */
export class EventCutter {
  readonly #onEvent: (event: ServerEvent) => void;
  #rest = "";
  #event: string | undefined;
  #data: string | undefined;
  #isFirst = true;
  /** The text ended in a carriage return, whose line feed may still come. */
  #skipsFeed = false;

  constructor(onEvent: (event: ServerEvent) => void) {
    this.#onEvent = onEvent;
  }

  /** Characters that are kept until their event is complete. */
  get keptChars(): number {
    return this.#rest.length + (this.#data?.length ?? 0);
  }

  /** Takes text as it comes, cut anywhere. */
  feed(piece: string): void {
    if (piece === "") return;
    let text = piece;
    if (this.#isFirst && text.startsWith(BOM)) text = text.slice(1);
    this.#isFirst = false;
    if (this.#skipsFeed && text.startsWith("\n")) text = text.slice(1);
    this.#skipsFeed = text.endsWith("\r");
    // Only the first line can go on what was kept: nothing is looked through twice.
    let from = 0;
    for (let end = endOfLine(text, 0); end >= 0; end = endOfLine(text, from)) {
      const line = this.#rest + text.slice(from, end);
      this.#rest = "";
      this.#line(line);
      from = text.charCodeAt(end) === 0x0d && text.charCodeAt(end + 1) === 0x0a ? end + 2 : end + 1;
    }
    this.#rest += text.slice(from);
  }

  #line(line: string): void {
    if (line === "") {
      if (this.#data !== undefined) this.#onEvent({ event: this.#event, data: this.#data });
      this.#event = undefined;
      this.#data = undefined;
      return;
    }
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== "data" && field !== "event") return;
    const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === 0x20 ? colon + 2 : colon + 1);
    if (field === "event") this.#event = value;
    else this.#data = this.#data === undefined ? value : `${this.#data}\n${value}`;
  }
}

function endOfLine(text: string, from: number): number {
  const feed = text.indexOf("\n", from);
  // A carriage return further on than the next line feed need not be looked for.
  const carriage = (feed < 0 ? text.slice(from) : text.slice(from, feed)).indexOf("\r");
  return carriage < 0 ? feed : from + carriage;
}
