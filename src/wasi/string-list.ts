// Lists of texts as arguments and environment are handed over: texts that end with NUL, and a table of their addresses.

import type { WasiContext } from "./context.ts";
import { ERRNO } from "./errno.ts";

const encoder = new TextEncoder();

/** Texts, ready to be copied. */
export interface StringList {
  /** Where each begins in `bytes`. */
  readonly starts: readonly number[];
  readonly bytes: Uint8Array;
}

/** Packs texts; none holds a NUL. */
export function packStrings(texts: readonly string[]): StringList {
  const parts = texts.map((text) => encoder.encode(`${text}\0`));
  const starts: number[] = [];
  let size = 0;
  for (const part of parts) {
    starts.push(size);
    size += part.length;
  }
  const bytes = new Uint8Array(size);
  for (const [index, part] of parts.entries()) bytes.set(part, starts[index]);
  return { starts, bytes };
}

/** `args_sizes_get`, `environ_sizes_get`: writes how many texts there are, and how many bytes with their NULs. */
export function writeSizes({ memory }: WasiContext, { starts, bytes }: StringList, count: number, size: number): number {
  memory.range(count, 4);
  memory.range(size, 4);
  memory.setU32(count, starts.length);
  memory.setU32(size, bytes.length);
  return ERRNO.success;
}

/** `args_get`, `environ_get`: writes the address of each text to `table`, and the texts to `target`. */
export function writeStrings({ memory, host }: WasiContext, { starts, bytes }: StringList, table: number, target: number): number {
  const base = memory.range(target, bytes.length);
  memory.range(table, starts.length * 4);
  host.charge(bytes.length + starts.length * 4);
  for (const [index, start] of starts.entries()) memory.setU32((table >>> 0) + index * 4, base + start);
  memory.bytes.set(bytes, base);
  return ERRNO.success;
}
