// Strict JSON (RFC 8259) that knows where things stand, and refuses a key that is given twice.

import { type Place, type TextPosition, positionAt, quoted } from "./place.ts";

/** Deepest nesting of objects and arrays; a manifest has four levels. */
const MAX_DEPTH = 32;
const WORDS: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ["true", true],
  ["false", false],
  ["null", null],
]);
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"],
]);

/** Throws the error for a fault at an offset. */
export type FailAt = (reason: string, offset: number) => never;

/** Reads a JSON text; objects have no prototype, so that no key means anything by itself. */
export function parseJson(text: string, fail: FailAt): unknown {
  return new JsonReader(text, fail).read();
}

/** Where the key or element at a place stands in a JSON text that {@link parseJson} accepts. */
export function locateInJson(text: string, place: Place): TextPosition | undefined {
  const reader = new JsonReader(text, unreachable, place);
  reader.read();
  return reader.found === undefined ? undefined : positionAt(text, reader.found);
}

const unreachable: FailAt = (reason) => {
  throw new Error(reason);
};

class JsonReader {
  /** Offset of the place that was asked for. */
  found: number | undefined;
  readonly #text: string;
  readonly #fail: FailAt;
  readonly #wanted: Place | undefined;
  readonly #place: (string | number)[] = [];
  #at = 0;

  constructor(text: string, fail: FailAt, wanted?: Place) {
    this.#text = text;
    this.#fail = fail;
    this.#wanted = wanted;
  }

  read(): unknown {
    if (this.#text.startsWith("\ufeff")) this.#at = 1;
    this.#skipSpace();
    const value = this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#expected("the end");
    return value;
  }

  #value(): unknown {
    const char = this.#text[this.#at];
    if (char === "{" || char === "[") {
      if (this.#place.length >= MAX_DEPTH) this.#fail(`there are more than ${MAX_DEPTH} levels`, this.#at);
      return char === "{" ? this.#object() : this.#array();
    }
    if (char === '"') return this.#string();
    return this.#scalar();
  }

  #object(): Record<string, unknown> {
    const object = Object.create(null) as Record<string, unknown>;
    this.#at++;
    this.#skipSpace();
    if (this.#take("}")) return object;
    for (;;) {
      const start = this.#at;
      if (this.#text[start] !== '"') this.#expected("a key in double quotes");
      const key = this.#string();
      if (Object.hasOwn(object, key)) this.#fail(`the key ${quoted(key)} is given twice`, start);
      this.#skipSpace();
      if (!this.#take(":")) this.#expected('":"');
      this.#skipSpace();
      object[key] = this.#member(key, start);
      this.#skipSpace();
      if (this.#take("}")) return object;
      if (!this.#take(",")) this.#expected('"," or "}"');
      this.#skipSpace();
    }
  }

  #array(): unknown[] {
    const array: unknown[] = [];
    this.#at++;
    this.#skipSpace();
    if (this.#take("]")) return array;
    for (;;) {
      array.push(this.#member(array.length, this.#at));
      this.#skipSpace();
      if (this.#take("]")) return array;
      if (!this.#take(",")) this.#expected('"," or "]"');
      this.#skipSpace();
    }
  }

  #member(key: string | number, start: number): unknown {
    this.#place.push(key);
    const wanted = this.#wanted;
    if (wanted?.length === this.#place.length && wanted.every((part, index) => part === this.#place[index])) this.found = start;
    const value = this.#value();
    this.#place.pop();
    return value;
  }

  #string(): string {
    const text = this.#text;
    const start = this.#at++;
    let value = "";
    // A search, and not a run of a class, needs no memory for each character.
    const stop = /["\\\u0000-\u001f]/g; // oxlint-disable-line no-control-regex -- JSON forbids them
    for (;;) {
      stop.lastIndex = this.#at;
      const end = stop.exec(text)?.index;
      if (end === undefined) return this.#fail("a text is not closed", start);
      value += text.slice(this.#at, end);
      this.#at = end + 1;
      if (text[end] === '"') return value;
      if (text[end] !== "\\") return this.#fail("a text holds a line break or another control character, which has to be escaped", end);
      value += this.#escape(end);
    }
  }

  #escape(start: number): string {
    const letter = this.#text[this.#at++] ?? "";
    const simple = ESCAPES.get(letter);
    if (simple !== undefined) return simple;
    const digits = this.#text.slice(this.#at, this.#at + 4);
    if (letter !== "u" || !/^[0-9a-fA-F]{4}$/.test(digits)) return this.#fail(`${quoted(`\\${letter}`)} is not an escape of JSON`, start);
    this.#at += 4;
    return String.fromCharCode(Number.parseInt(digits, 16));
  }

  #scalar(): unknown {
    const start = this.#at;
    const token = /[^\s,:{}[\]"]{0,400}/y;
    token.lastIndex = start;
    const [word = ""] = token.exec(this.#text) ?? [];
    this.#at += word.length;
    const known = WORDS.get(word);
    if (known !== undefined) return known;
    if (/^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(word)) return Number(word);
    this.#at = start;
    return this.#expected("a value");
  }

  #take(char: string): boolean {
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #skipSpace(): void {
    const text = this.#text;
    for (let char = text.charCodeAt(this.#at); char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09; char = text.charCodeAt(this.#at))
      this.#at++;
  }

  #expected(what: string): never {
    const found = this.#text.slice(this.#at, this.#at + 12).split(/\s/, 1)[0] ?? "";
    const why = found.startsWith("//") || found.startsWith("/*") ? "; JSON has no comments" : "";
    return this.#fail(`it has ${this.#at < this.#text.length ? quoted(found) : "its end"} where ${what} must be${why}`, this.#at);
  }
}
