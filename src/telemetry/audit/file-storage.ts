// Entries in a file, one JSON object on each line, with rotation by size.

import { constants } from "node:fs";
import { type FileHandle, open, rename, rm, stat } from "node:fs/promises";

import { MortiseError } from "../../api/errors.ts";
import { CHAIN_START, type ChainedLine, readLine } from "./entry.ts";
import { MAX_LINE_BYTES, rotatedName } from "./log-files.ts";
import type { AuditStorage, ChainEnd } from "./sink.ts";

/** How a file is written. */
export interface FileStorageOptions {
  readonly path: string;
  /** Bytes after which a new file is begun. */
  readonly maxBytes: number;
  /** Files that are kept besides the present one; 0 keeps all. */
  readonly maxFiles: number;
  /** Milliseconds that may pass between writing and having it on the disk: 0 after each write, infinite never. */
  readonly syncMs: number;
  readonly key: string | undefined;
}

/** Entries of a file that only its owner may read. */
export class FileStorage implements AuditStorage {
  readonly name: string;
  readonly #options: FileStorageOptions;
  #file: FileHandle | undefined;
  /** Bytes up to the end of what was written last. */
  #bytes = 0;
  /** Behind them may be a part of what could not be written. */
  #torn = false;
  #syncTimer: NodeJS.Timeout | undefined;

  constructor(options: FileStorageOptions) {
    this.#options = options;
    this.name = `"${options.path}"`;
  }

  async open(): Promise<{ head: ChainEnd; cutBytes: number }> {
    try {
      this.#file = await openAppending(this.#options.path);
      const { size } = await this.#file.stat();
      if (size === 0) return { head: await this.#lastOfRotated(), cutBytes: 0 };
      const { end, goodBytes } = await lastLine(this.#file, size, this.#options.key);
      if (goodBytes < size) await this.#file.truncate(goodBytes);
      this.#bytes = goodBytes;
      return { head: end ?? (await this.#lastOfRotated()), cutBytes: size - goodBytes };
    } catch (error) {
      await this.close();
      throw new MortiseError(
        "MORTISE_AUDIT_UNREADABLE",
        { source: this.name, reason: error instanceof Error ? error.message : String(error) },
        error,
      );
    }
  }

  /** Where the chain ended before the file was rotated: a crash may have come before anything else was written. */
  async #lastOfRotated(): Promise<ChainEnd> {
    let file: FileHandle;
    try {
      file = await open(rotatedName(this.#options.path, 1), "r");
    } catch {
      return CHAIN_START;
    }
    try {
      const { size } = await file.stat();
      return (await lastLine(file, size, this.#options.key)).end ?? CHAIN_START;
    } finally {
      await file.close();
    }
  }

  async write(lines: readonly ChainedLine[]): Promise<void> {
    const text = Buffer.from(`${lines.map((line) => line.text).join("\n")}\n`);
    const { path, maxBytes } = this.#options;
    await this.#makeGood();
    if (this.#bytes > 0 && this.#bytes + text.length > maxBytes) await this.#rotate();
    const file = (this.#file ??= await openAppending(path));
    // What others have written meanwhile stays, for whoever checks the chain.
    this.#bytes = (await file.stat()).size;
    this.#torn = true;
    for (let written = 0; written < text.length;) written += (await file.write(text, written)).bytesWritten;
    this.#torn = false;
    this.#bytes += text.length;
    await this.#syncInTime();
  }

  /** Removes what a failed write has left; a file that was moved or deleted meanwhile is left to whoever did that. */
  async #makeGood(): Promise<void> {
    const file = this.#file;
    const named = await stat(this.#options.path, { bigint: true }).catch(() => undefined);
    if (file === undefined) {
      this.#bytes = Number(named?.size ?? 0);
      return;
    }
    if (this.#torn) await file.truncate(this.#bytes);
    this.#torn = false;
    const held = await file.stat({ bigint: true });
    if (named?.dev === held.dev && named.ino === held.ino) return;
    await this.close();
    this.#bytes = 0;
  }

  async #rotate(): Promise<void> {
    const { path, maxFiles } = this.#options;
    await this.sync();
    await this.#file?.close();
    this.#file = undefined;
    let last = 0;
    while (await exists(rotatedName(path, last + 1))) last++;
    if (maxFiles > 0) for (; last >= maxFiles; last--) await rm(rotatedName(path, last), { force: true });
    for (let number = last; number >= 1; number--) await rename(rotatedName(path, number), rotatedName(path, number + 1));
    await rename(path, rotatedName(path, 1));
    this.#bytes = 0;
  }

  async #syncInTime(): Promise<void> {
    const { syncMs } = this.#options;
    if (syncMs === 0) await this.sync();
    else if (Number.isFinite(syncMs)) this.#syncTimer ??= setTimeout(() => void this.sync().catch(() => {}), syncMs).unref();
  }

  async sync(): Promise<void> {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    await this.#file?.datasync();
  }

  async close(): Promise<void> {
    clearTimeout(this.#syncTimer);
    this.#syncTimer = undefined;
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }
}

function openAppending(path: string): Promise<FileHandle> {
  // Read as well, to find the end of the chain.
  return open(path, constants.O_RDWR | constants.O_CREAT | constants.O_APPEND, OWNER_ONLY).then(async (file) => {
    // Also one that was there already.
    await file.chmod(OWNER_ONLY);
    return file;
  });
}

const OWNER_ONLY = 0o600;

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}

/** The last whole line of a file, and the bytes up to its end. */
async function lastLine(file: FileHandle, size: number, key: string | undefined): Promise<{ end: ChainEnd | undefined; goodBytes: number }> {
  const tail = Buffer.alloc(Math.min(size, MAX_LINE_BYTES * 2));
  const from = size - tail.length;
  let read = 0;
  while (read < tail.length) {
    const { bytesRead } = await file.read(tail, read, tail.length - read, from + read);
    if (bytesRead === 0) break;
    read += bytesRead;
  }
  const end = tail.lastIndexOf(0x0a);
  if (end < 0) {
    if (from > 0) throw new Error("it is no audit log: it has a line that is too long");
    return { end: undefined, goodBytes: 0 };
  }
  const start = end === 0 ? 0 : tail.lastIndexOf(0x0a, end - 1) + 1;
  const entry = readLine(tail.toString("utf8", start, end), key);
  if (typeof entry === "string") throw new Error(`its last line is no entry of an audit log made with this key: ${entry}`);
  return { end: { seq: entry.seq, hash: entry.hash }, goodBytes: from + end + 1 };
}
