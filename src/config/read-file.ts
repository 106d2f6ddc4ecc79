// Reads a regular file up to a size, and never waits for anything else.

import { constants, open } from "node:fs/promises";

const PROBLEMS: ReadonlyMap<unknown, string> = new Map([
  ["ENOENT", "does not exist"],
  ["ENOTDIR", "does not exist"],
  ["EACCES", "may not be read"],
  ["EISDIR", "is a directory"],
  ["ENXIO", "is not a regular file"],
]);

/** A file's bytes and permission bits, or why there are none, in words that follow its name. */
export type FileContent = { readonly bytes: Uint8Array; readonly mode: number } | { readonly fault: string; readonly missing: boolean };

/** Reads a file of `maxBytes` at most. */
export async function readBoundedFile(path: string, maxBytes: number): Promise<FileContent> {
  try {
    // Without this flag, which Windows does not have, opening a pipe waits for a writer.
    await using file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
    const found = await file.stat();
    if (!found.isFile()) return { fault: found.isDirectory() ? "is a directory" : "is not a regular file", missing: false };
    const buffer = new Uint8Array(maxBytes + 1);
    let length = 0;
    for (let count = -1; count !== 0 && length <= maxBytes; length += count)
      count = (await file.read(buffer, length, buffer.length - length)).bytesRead;
    if (length > maxBytes) return { fault: `has more than the ${maxBytes} bytes that it may have`, missing: false };
    return { bytes: buffer.subarray(0, length), mode: found.mode };
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { fault: PROBLEMS.get(code) ?? `cannot be read: ${message}`, missing: code === "ENOENT" || code === "ENOTDIR" };
  }
}
