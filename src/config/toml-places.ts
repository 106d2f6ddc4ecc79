// Where keys and elements stand in a TOML text. The parser keeps no positions, so the text is scanned once more; what the
// parser has accepted is not checked again.

import type { PlaceNode } from "./place-tree.ts";
import { childAt } from "./place-tree.ts";

const ESCAPE = /\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))/g;
const LETTERS: ReadonlyMap<string, string> = new Map([
  ["b", "\b"],
  ["t", "\t"],
  ["n", "\n"],
  ["f", "\f"],
  ["r", "\r"],
  ["e", "\u001b"],
]);

interface KeyPart {
  readonly key: string;
  readonly offset: number;
}

/** The places of a text that smol-toml accepts. */
export function tomlPlaces(text: string): PlaceNode {
  return new TomlScanner(text).scan();
}

class TomlScanner {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  scan(): PlaceNode {
    const root: PlaceNode = { offset: 0, children: new Map() };
    let current = root;
    for (this.#skipVoid(); this.#at < this.#text.length; this.#skipVoid()) {
      const start = this.#at;
      if (this.#text[start] === "[") current = this.#header(root);
      else this.#pair(current);
      // What a scanner does not understand must not hold it.
      if (this.#at === start) this.#at++;
    }
    return root;
  }

  /** `[a.b]` or `[[a.b]]`; gives the table that the lines below belong to. */
  #header(root: PlaceNode): PlaceNode {
    const start = this.#at++;
    const ofArray = this.#take("[");
    const parts = this.#keys("]");
    if (ofArray) this.#take("]");
    let node = root;
    for (const [index, { key, offset }] of parts.entries()) {
      node = childAt(node, key, offset);
      if (ofArray && index === parts.length - 1) return childAt(node, node.children.size, start);
      node = lastTable(node);
    }
    return node;
  }

  /** `a.b = value` below a table. */
  #pair(table: PlaceNode): void {
    let node = table;
    for (const { key, offset } of this.#keys("=")) node = childAt(node, key, offset);
    this.#skipSpace();
    this.#value(node);
  }

  /** A dotted key, and the character behind it. */
  #keys(end: string): KeyPart[] {
    const parts: KeyPart[] = [];
    for (;;) {
      this.#skipSpace();
      const offset = this.#at;
      const char = this.#text[offset];
      if (char === '"' || char === "'") {
        this.#string();
        const inner = this.#text.slice(offset + 1, this.#at - 1);
        parts.push({ key: char === '"' ? unescaped(inner) : inner, offset });
      } else {
        const bare = /[\w-]*/y;
        bare.lastIndex = offset;
        const [key = ""] = bare.exec(this.#text) ?? [];
        this.#at += key.length;
        parts.push({ key, offset });
      }
      this.#skipSpace();
      if (this.#take(end) || !this.#take(".")) return parts;
    }
  }

  #value(node: PlaceNode): void {
    const char = this.#text[this.#at];
    if (char === '"' || char === "'") this.#string();
    else if (char === "[") this.#array(node);
    else if (char === "{") this.#inlineTable(node);
    else {
      const scalar = /[^,\]}#\r\n]*/y;
      scalar.lastIndex = this.#at;
      this.#at += scalar.exec(this.#text)?.[0].length ?? 0;
    }
  }

  #array(node: PlaceNode): void {
    this.#at++;
    for (let index = 0; this.#at < this.#text.length; index++) {
      this.#skipVoid();
      if (this.#take("]")) return;
      this.#value(childAt(node, index, this.#at));
      this.#skipVoid();
      if (!this.#take(",")) return void this.#take("]");
    }
  }

  #inlineTable(node: PlaceNode): void {
    this.#at++;
    while (this.#at < this.#text.length) {
      this.#skipVoid();
      if (this.#take("}")) return;
      this.#pair(node);
      this.#skipVoid();
      if (!this.#take(",")) return void this.#take("}");
    }
  }

  #string(): void {
    const quote = this.#text[this.#at] as string;
    const long = this.#text.startsWith(quote.repeat(3), this.#at);
    const mark = long ? quote.repeat(3) : quote;
    let at = this.#at + mark.length;
    for (; at < this.#text.length && !this.#text.startsWith(mark, at); at++) if (quote === '"' && this.#text[at] === "\\") at++;
    at += mark.length;
    // One or two quotes more belong to the text.
    const most = long ? at + 2 : at;
    while (at < most && this.#text[at] === quote) at++;
    this.#at = Math.min(at, this.#text.length);
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    while (this.#text[this.#at] === " " || this.#text[this.#at] === "\t") this.#at++;
  }

  /** Space, line breaks and comments. */
  #skipVoid(): void {
    const empty = /(?:[ \t\r\n]+|#[^\n]*)*/y;
    empty.lastIndex = this.#at;
    this.#at += empty.exec(this.#text)?.[0].length ?? 0;
  }
}

/** Of an array of tables the last element, to which a header below it belongs. */
function lastTable(node: PlaceNode): PlaceNode {
  return node.children.get(node.children.size - 1) ?? node;
}

function unescaped(text: string): string {
  return text.replace(ESCAPE, (_whole, x: string | undefined, u: string | undefined, long: string | undefined, letter: string = "") => {
    const digits = x ?? u ?? long;
    return digits === undefined ? (LETTERS.get(letter) ?? letter) : String.fromCodePoint(Number.parseInt(digits, 16));
  });
}
