// The names in a mounted folder.

import { type Dir, type Dirent, opendirSync } from "node:fs";
import { isUtf8 } from "node:buffer";

import { FILE_TYPE, type FileType, type NameSource, type NamedEntry } from "./entry.ts";

/** Names that are read from the system at once. */
const BATCH = 128;

/** Reads names one by one, those that are not UTF-8 left out: a guest could not open them. */
export class MountNames implements NameSource {
  readonly #folder: Dir;
  #closed = false;

  constructor(path: string) {
    // The types know encodings of text alone, which would garble names that are no text.
    this.#folder = opendirSync(path, { encoding: "buffer" as BufferEncoding, bufferSize: BATCH });
  }

  next(): NamedEntry | undefined {
    for (;;) {
      const found = this.#folder.readSync() as Dirent<Buffer> | null;
      if (found === null) return undefined;
      if (isUtf8(found.name)) return { name: found.name, type: typeOf(found) };
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#folder.closeSync();
  }
}

function typeOf(found: Dirent<Buffer>): FileType {
  if (found.isFile()) return FILE_TYPE.file;
  if (found.isDirectory()) return FILE_TYPE.folder;
  if (found.isSymbolicLink()) return FILE_TYPE.link;
  if (found.isCharacterDevice()) return FILE_TYPE.characterDevice;
  if (found.isBlockDevice()) return FILE_TYPE.blockDevice;
  return found.isSocket() ? FILE_TYPE.socketStream : FILE_TYPE.unknown;
}
