// Text of a model as it can be shown: nothing in it acts on a terminal, or hides.

/** What a terminal acts on, what turns a line around, and what nobody sees; joiners within words and pictures are left. */
const UNSAFE = /(?![\n\t])[\p{Cc}\p{Zl}\p{Zp}\p{Cs}\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\u{e0000}-\u{e007f}]/gu;

/** Makes pieces of a text readable, one after the other; a character may lie in two of them. */
export class ReadableText {
  #held = "";

  /** What can be shown of a piece. */
  push(piece: string): string {
    const text = this.#held + piece;
    const last = text.at(-1) ?? "";
    // Half of a character, or the first half of a line break.
    this.#held = /[\ud800-\udbff\r]/.test(last) ? last : "";
    return readable(this.#held === "" ? text : text.slice(0, -1));
  }

  /** What was held back for a next piece that does not come. */
  end(): string {
    const rest = readable(this.#held);
    this.#held = "";
    return rest;
  }
}

/** The whole text. */
export function readable(text: string): string {
  return text.replaceAll("\r\n", "\n").replaceAll(UNSAFE, (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`);
}
