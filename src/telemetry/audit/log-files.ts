// Files of an audit log, and their lines.

import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";

/** Bytes of one line: no entry has nearly as many. */
export const MAX_LINE_BYTES: number = 64 << 10;

/** Name of a file that was rotated away: 1 is the newest. */
export function rotatedName(path: string, number: number): string {
  return `${path}.${number}`;
}

/** The files of a log, the oldest first. */
export async function filesOf(path: string): Promise<string[]> {
  const files = [path];
  for (let number = 1; await isFile(rotatedName(path, number)); number++) files.unshift(rotatedName(path, number));
  return files;
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isFile();
  } catch {
    return false;
  }
}

/** The lines of a file, each cut at {@link MAX_LINE_BYTES}; what stands behind the last line break is one too. */
export async function* linesOf(path: string): AsyncGenerator<string, void, undefined> {
  let rest = Buffer.alloc(0);
  let tooLong = false;
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    let from = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, from)) {
      if (!tooLong) yield Buffer.concat([rest, chunk.subarray(from, end)]).toString("utf8", 0, MAX_LINE_BYTES);
      tooLong = false;
      rest = Buffer.alloc(0);
      from = end + 1;
    }
    if (tooLong) continue;
    rest = Buffer.concat([rest, chunk.subarray(from)]);
    if (rest.length <= MAX_LINE_BYTES) continue;
    yield rest.toString("utf8", 0, MAX_LINE_BYTES);
    rest = Buffer.alloc(0);
    tooLong = true;
  }
  if (rest.length > 0) yield rest.toString("utf8");
}
