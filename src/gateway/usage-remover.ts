// Takes the usage out of a stream of chat completions that the gateway has asked for and the client has not.

import { isObject } from "./wires/common/fields.ts";

const NAME = '"usage"';
/** As OpenAI writes it in every other chunk. Inside of texts its quotes would be escaped. */
const NULL_USAGE = ',"usage":null';
const NULL_BYTES = Buffer.from(NULL_USAGE);
const DATA = "data:";

/** Takes it out of one stream. */
export class UsageRemover {
  /** The line that ends the event goes with it. */
  #skipsBlank = false;

  /** Whole lines as they come; what need not be changed is not copied. */
  lines(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return bytes;
    if (!this.#skipsBlank) {
      const name = nameIn(bytes, 0);
      if (name < 0) return bytes;
      const plain = withoutNulls(bytes, name);
      if (plain !== undefined) return plain;
    }
    // Each byte is a character: what is not looked at stays what it was, also if it is no UTF-8.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
    let kept = "";
    for (let from = 0; from < text.length;) {
      const feed = text.indexOf("\n", from);
      const to = feed < 0 ? text.length : feed + 1;
      kept += this.#line(text.slice(from, to));
      from = to;
    }
    return Buffer.from(kept, "latin1");
  }

  #line(line: string): string {
    const isSkipped = this.#skipsBlank && line.trim() === "";
    this.#skipsBlank = false;
    if (isSkipped) return "";
    if (!line.startsWith(DATA)) return line;
    const data = this.data(line.slice(DATA.length));
    this.#skipsBlank = data === undefined;
    return data === undefined ? "" : DATA + data;
  }

  /** The data of one event; undefined if there is nothing left of it. */
  data(data: string): string | undefined {
    if (!data.includes(NAME)) return data;
    const plain = data.replace(NULL_USAGE, "");
    return plain.includes(NAME) && isUsageAlone(plain) ? undefined : plain;
  }
}

/** Where {@link NAME} stands. Pieces of streams are so short that a search by the runtime would take longer to begin. */
function nameIn(bytes: Uint8Array, from: number): number {
  for (let at = from + 2; at < bytes.length; at++)
    if (bytes[at] === 0x73 && bytes[at - 1] === 0x75 && bytes[at - 2] === 0x22 && bytes[at + 1] === 0x61) return at - 2;
  return -1;
}

/** Undefined if there are others than those. */
function withoutNulls(bytes: Uint8Array, first: number): Uint8Array | undefined {
  const kept = Buffer.allocUnsafe(bytes.length);
  let length = 0;
  let from = 0;
  for (let name = first; name >= 0; name = nameIn(bytes, name + 1)) {
    if (!isNull(bytes, name - 1)) return undefined;
    kept.set(bytes.subarray(from, name - 1), length);
    length += name - 1 - from;
    from = name - 1 + NULL_BYTES.length;
  }
  kept.set(bytes.subarray(from), length);
  return kept.subarray(0, length + bytes.length - from);
}

function isNull(bytes: Uint8Array, from: number): boolean {
  for (let at = 0; at < NULL_BYTES.length; at++) if (bytes[from + at] !== NULL_BYTES[at]) return false;
  return true;
}

/** True for a chunk that says nothing but what the stream took. */
function isUsageAlone(data: string): boolean {
  try {
    const chunk: unknown = JSON.parse(data);
    return isObject(chunk) && isObject(chunk["usage"]) && Array.isArray(chunk["choices"]) && chunk["choices"].length === 0;
  } catch {
    return false; // whoever wrote it, the client gets it
  }
}
