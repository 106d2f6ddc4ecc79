// Whether arguments that come in pieces are all there; each piece is looked at once.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** Follows the JSON of an object. */
export class ObjectProgress {
  /** "before" its first brace, "inside", "whole", or "never" whole any more. */
  #state: "before" | "inside" | "whole" | "never" = "before";
  #depth = 0;
  #isInText = false;
  #isEscaped = false;

  /** True once the outermost brace is closed, as long as nothing but space comes after it. */
  get isWhole(): boolean {
    return this.#state === "whole";
  }

  /** Takes the next piece. */
  push(piece: string): void {
    let at = 0;
    if (this.#state === "before") {
      at = piece.search(/\S/);
      if (at < 0) return;
      this.#state = piece.charCodeAt(at) === OPEN ? "inside" : "never";
    }
    if (this.#state === "inside") at = this.#inside(piece, at);
    if (this.#state === "whole" && /\S/.test(piece.slice(at))) this.#state = "never";
  }

  /** @returns where the object ends, or the piece does */
  #inside(piece: string, from: number): number {
    for (let at = from; at < piece.length; at++) {
      const char = piece.charCodeAt(at);
      if (this.#isEscaped) this.#isEscaped = false;
      else if (this.#isInText) {
        if (char === BACKSLASH) this.#isEscaped = true;
        else if (char === QUOTE) this.#isInText = false;
      } else if (char === QUOTE) this.#isInText = true;
      else if (char === OPEN || char === OPEN_LIST) this.#depth++;
      else if ((char === CLOSE || char === CLOSE_LIST) && --this.#depth === 0) {
        this.#state = "whole";
        return at + 1;
      }
    }
    return piece.length;
  }
}
