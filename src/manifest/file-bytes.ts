// Reads a regular file, and never waits for anything else.

import { type FileHandle, constants, open } from "node:fs/promises";

import { MortiseError, printable } from "../api/errors.ts";
import { BoundedBytes, type ByteLimits } from "./bounded-bytes.ts";
import type { Deadline } from "./deadline.ts";

/** A read takes no more than this at once, so that a deadline is seen between two. */
const CHUNK_BYTES = 4 << 20;

/**
 * Reads a file.
 *
 * @throws MortiseError MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE for what is no regular file or may not be
 *   read, MORTISE_MODULE_LIMIT or MORTISE_MANIFEST_INVALID for what is too large, or why the deadline ended it
 */
export async function fileBytes(path: string, limits: ByteLimits, deadline: Deadline): Promise<Uint8Array<ArrayBuffer>> {
  const source = `"${printable(path)}"`;
  try {
    return await deadline.race(source, readFile(path, source, limits, deadline.signal));
  } catch (error) {
    if (error instanceof MortiseError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source });
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: PROBLEMS.get(code) ?? printable((error as Error).message) }, error);
  }
}

const PROBLEMS: ReadonlyMap<string | undefined, string> = new Map([
  ["EACCES", "permission denied"],
  // What Windows says where others open the directory.
  ["EISDIR", "it is a directory"],
  // What opening a socket gives.
  ["ENXIO", "it is not a regular file"],
]);

async function readFile(path: string, source: string, limits: ByteLimits, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  // Without this flag, which Windows does not have, opening a pipe waits for a writer.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    return await readAll(file, source, limits, signal);
  } finally {
    await file.close();
  }
}

async function readAll(file: FileHandle, source: string, limits: ByteLimits, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>> {
  const found = await file.stat();
  if (found.isDirectory()) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "it is a directory" });
  if (!found.isFile()) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "it is not a regular file" });
  const bytes = new BoundedBytes(source, limits, found.size);
  // To the end, and not only to the size: a file may grow, and those of /proc have none.
  for (let at = 0; !signal.aborted;) {
    const { bytesRead } = await file.read(bytes.room().subarray(0, CHUNK_BYTES), { position: at });
    if (bytesRead === 0) break;
    at += bytesRead;
    bytes.wrote(bytesRead);
  }
  return bytes.take();
}
