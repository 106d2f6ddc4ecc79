// Where a plugin's bytes come from.

import { readFile, stat } from "node:fs/promises";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";

import { MortiseError, printable } from "../api/errors.ts";

/** A plugin's binary: a path, a `file:` URL, or the bytes. */
export type PluginSource = string | URL | Uint8Array | ArrayBuffer;

/** Bytes and a name for messages. */
export interface LoadedSource {
  readonly bytes: Uint8Array;
  readonly name: string;
}

/**
 * Reads a source of `maxBytes` at most.
 *
 * @throws MortiseError MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE, MORTISE_MODULE_LIMIT or MORTISE_INVALID_OPTION
 */
export async function loadSource(source: PluginSource, maxBytes: number): Promise<LoadedSource> {
  if ((source instanceof ArrayBuffer && source.detached) || (source instanceof Uint8Array && (source.buffer as ArrayBuffer).detached)) {
    throw new MortiseError("MORTISE_INVALID_OPTION", { option: "source", found: "a buffer that was transferred away", wanted: "the module's bytes" });
  }
  if (source instanceof Uint8Array) return { bytes: bounded(source, maxBytes), name: "plugin" };
  if (source instanceof ArrayBuffer) return { bytes: bounded(new Uint8Array(source), maxBytes), name: "plugin" };
  if (typeof source !== "string" && !(source instanceof URL)) {
    throw new MortiseError("MORTISE_INVALID_OPTION", {
      option: "source",
      found: (source as unknown) instanceof WebAssembly.Module ? "a compiled module, which cannot be instrumented" : typeof source,
      wanted: "a path, a file: URL or the module's bytes",
    });
  }
  const path = toPath(source);
  return { bytes: await readBytes(path, maxBytes), name: basename(path).replace(/\.wasm$/, "") };
}

function toPath(source: string | URL): string {
  const text = String(source);
  if (typeof source === "string" && !text.startsWith("file:")) return text;
  try {
    return fileURLToPath(text);
  } catch {
    throw new MortiseError("MORTISE_INVALID_OPTION", { option: "source", found: printable(text), wanted: "a path or a file: URL" });
  }
}

function bounded(bytes: Uint8Array, maxBytes: number): Uint8Array {
  if (bytes.length > maxBytes) throw tooLarge("the module", bytes.length, maxBytes);
  return bytes;
}

function tooLarge(source: string, size: number, limit: number): MortiseError {
  return new MortiseError("MORTISE_MODULE_LIMIT", { source, size, limit });
}

async function readBytes(path: string, maxBytes: number): Promise<Uint8Array> {
  const source = `"${printable(path)}"`;
  try {
    const { size } = await stat(path).then((found) => {
      if (found.isDirectory()) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "it is a directory" });
      if (!found.isFile()) throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason: "it is not a regular file" });
      return found;
    });
    if (size > maxBytes) throw tooLarge(source, size, maxBytes);
    return await readFile(path);
  } catch (error) {
    if (error instanceof MortiseError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ENOTDIR") throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source });
    throw new MortiseError(
      "MORTISE_SOURCE_UNREADABLE",
      { source, reason: code === "EACCES" ? "permission denied" : printable((error as Error).message) },
      error,
    );
  }
}
