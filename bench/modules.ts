// The modules that are measured: prebuilt guests, and modules made from them.

import { readFile } from "node:fs/promises";

import { leb, nameBytes } from "../src/wasm/code-builder.ts";
import { readModule } from "../src/wasm/module-reader.ts";

const CUSTOM = 0;
const FUNCTION = 3;
const CODE = 10;

let count = 0;

/** The bytes of a prebuilt guest, in a buffer of their own. */
export async function guestBytes(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(new URL(`../guests/prebuilt/${name}.wasm`, import.meta.url)));
}

/** The same module with a custom section that no other has, so that the engine's cache of compiled modules misses. */
export function distinct(bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  const content = [...nameBytes("bench"), ...Buffer.from(`${process.pid}.${count++}`)];
  return join([bytes, Uint8Array.from([CUSTOM, ...leb(content.length), ...content])]);
}

/** The same module with every function body `copies` times; nothing refers to the indexes of the added ones. */
export function withCode(bytes: Uint8Array, copies: number): Uint8Array<ArrayBuffer> {
  const { sections } = readModule(bytes, "the module");
  const parts: Uint8Array[] = [bytes.subarray(0, 8)];
  for (const { id, start, end } of sections) {
    const content = bytes.subarray(start, end);
    const changed = id === FUNCTION || id === CODE ? repeated(content, copies) : content;
    parts.push(Uint8Array.from([id, ...leb(changed.length)]), changed);
  }
  return join(parts);
}

/** A vector of the same items several times over. */
function repeated(vector: Uint8Array, copies: number): Uint8Array<ArrayBuffer> {
  let length = 0;
  let at = 0;
  let shift = 0;
  let byte: number;
  do {
    byte = vector[at++] as number;
    length |= (byte & 0x7f) << shift;
    shift += 7;
  } while (byte >= 0x80);
  return join([Uint8Array.from(leb(length * copies)), ...Array.from({ length: copies }, () => vector.subarray(at))]);
}

function join(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((size, part) => size + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}
