// Reads a native plugin's file once: what is checked and what runs are these bytes.

import { constants, open, realpath } from "node:fs/promises";

import { MortiseError, printable } from "../api/errors.ts";
import { type NativeFile, sha256 } from "./grants.ts";

/**
 * Reads a file under the path that it has without links.
 *
 * @param maxBytes the most that it may have
 * @throws MortiseError MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE or MORTISE_MODULE_LIMIT
 */
export async function readNativeFile(path: string, maxBytes: number): Promise<NativeFile> {
  const source = `"${printable(path)}"`;
  try {
    const real = await realpath(path);
    const bytes = await readBytes(real, source, maxBytes);
    return { path: real, bytes, digest: sha256(bytes) };
  } catch (error) {
    if (error instanceof MortiseError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source });
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: printable(message) }, error);
  }
}

async function readBytes(path: string, source: string, maxBytes: number): Promise<Uint8Array<ArrayBuffer>> {
  // Without this flag, which Windows does not have, opening a pipe waits for a writer.
  const file = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await file.stat();
    const { size } = found;
    if (!found.isFile()) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "it is not a regular file" });
    if (size > maxBytes) throw new MortiseError("MORTISE_MODULE_LIMIT", { source, size, limit: maxBytes });
    const bytes = new Uint8Array(size);
    let at = 0;
    while (at < size) {
      const { bytesRead } = await file.read(bytes, at, size - at, at);
      if (bytesRead === 0) break;
      at += bytesRead;
    }
    // A file that shrank meanwhile has another digest, and is refused for it.
    return bytes.slice(0, at);
  } finally {
    await file.close();
  }
}
