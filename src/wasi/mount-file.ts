// An open file of a mounted folder.

import { type BigIntStats, closeSync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, futimesSync, readSync, writeSync } from "node:fs";

import { FILE_TYPE, type FileStat, type FileType, type OpenFile, type Times } from "./entry.ts";
import { systemCode } from "./errno.ts";
import type { Account, Quota } from "./quota.ts";

/** Bytes of the blocks that `stat` counts in. */
const BLOCK_BYTES = 512n;
const NANOSECONDS = 1_000_000_000;

/** Name of a file in a {@link Quota}: names change, this does not. */
export function accountKey({ dev, ino }: BigIntStats): string {
  return `${dev}:${ino}`;
}

/** The type of what was looked at. */
export function typeOf(stat: BigIntStats): FileType {
  if (stat.isFile()) return FILE_TYPE.file;
  if (stat.isDirectory()) return FILE_TYPE.folder;
  if (stat.isSymbolicLink()) return FILE_TYPE.link;
  if (stat.isCharacterDevice()) return FILE_TYPE.characterDevice;
  if (stat.isBlockDevice()) return FILE_TYPE.blockDevice;
  return stat.isSocket() ? FILE_TYPE.socketStream : FILE_TYPE.unknown;
}

/** What a guest learns of a file. */
export function toFileStat(stat: BigIntStats): FileStat {
  return {
    device: stat.dev,
    inode: stat.ino,
    type: typeOf(stat),
    links: stat.nlink,
    size: stat.size,
    accessedNs: stat.atimeNs,
    modifiedNs: stat.mtimeNs,
    changedNs: stat.ctimeNs,
  };
}

/** Both times in seconds, as Node takes them: to a microsecond in this century. A time that is not given stays. */
export function toSeconds({ accessedNs, modifiedNs }: Times, stat: () => BigIntStats): [accessed: number, modified: number] {
  const known = accessedNs === undefined || modifiedNs === undefined ? stat() : undefined;
  return [Number(accessedNs ?? known?.atimeNs) / NANOSECONDS, Number(modifiedNs ?? known?.mtimeNs) / NANOSECONDS];
}

/** Reads and writes go straight between the file and the bytes that are given; what is added counts in the quota. */
export class MountFile implements OpenFile {
  readonly #descriptor: number;
  readonly #quota: Quota;
  readonly #account: Account;

  /** Takes over a descriptor of a regular file. */
  constructor(descriptor: number, stat: BigIntStats, quota: Quota) {
    this.#descriptor = descriptor;
    this.#quota = quota;
    this.#account = quota.opened(accountKey(stat), stat.blocks * BLOCK_BYTES < stat.size);
  }

  read(bytes: Uint8Array, offset: number, length: number, position: number): number {
    return readSync(this.#descriptor, bytes, offset, length, position);
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): number {
    const before = this.size();
    const taken = this.#quota.take(this.#account, before, position, length);
    let written = taken;
    try {
      written = writeSync(this.#descriptor, bytes, offset, taken, position);
    } catch (error) {
      if (systemCode(error) !== undefined) written = 0;
      throw error;
    } finally {
      if (written !== taken) this.#quota.correct(this.#account, before, position, taken, written);
    }
    return written;
  }

  size(): number {
    return fstatSync(this.#descriptor).size;
  }

  resize(size: number): void {
    const before = this.size();
    if (size > before) this.#quota.grow(this.#account, size - before);
    try {
      ftruncateSync(this.#descriptor, size);
    } catch (error) {
      if (size > before && systemCode(error) !== undefined) this.#quota.ungrow(this.#account, size - before);
      throw error;
    }
    if (size < before) this.#quota.shrunk(this.#account, before, size);
  }

  stat(): FileStat {
    return toFileStat(fstatSync(this.#descriptor, { bigint: true }));
  }

  setTimes(times: Times): void {
    futimesSync(this.#descriptor, ...toSeconds(times, () => fstatSync(this.#descriptor, { bigint: true })));
  }

  sync(dataOnly: boolean): void {
    if (dataOnly) fdatasyncSync(this.#descriptor);
    else fsyncSync(this.#descriptor);
  }

  close(): void {
    closeSync(this.#descriptor);
    this.#quota.closed(this.#account);
  }
}
