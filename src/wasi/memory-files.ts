// Files that exist in memory alone: what `wasi.files` gives, and what a guest adds to it.

import { type Access, type Entry, FILE_TYPE, type FileStat, type FileType, type NameSource, type OpenFile, type Times } from "./entry.ts";
import { ERRNO, fail } from "./errno.ts";
import { type Account, Quota } from "./quota.ts";

/** Bytes of a name, as most file systems have it. */
const MAX_NAME_BYTES = 255;
/** Content grows by half, and not by less than this. */
const MIN_GROWTH = 1024;
/** Most that can be added, whatever is allowed: what one array of bytes can hold. */
const MAX_ADDED = 0x7fff_ffff;

const encoder = new TextEncoder();

/** A file system in memory; all instances of a plugin share it. */
export interface MemoryVolume {
  readonly quota: Quota;
  readonly nowNs: () => bigint;
  nextInode: number;
}

/**
 * Makes a file system of given files; they do not count towards the quota.
 *
 * @param files content by absolute path, whose components are valid names
 */
export function createMemoryFiles(files: ReadonlyMap<string, Uint8Array>, maxBytes: number, nowNs: () => bigint): Entry {
  const root = new MemoryEntry({ quota: new Quota(Math.min(maxBytes, MAX_ADDED)), nowNs, nextInode: 1 }, FILE_TYPE.folder, undefined);
  for (const [path, content] of files) {
    const parts = path.split("/").filter((part) => part !== "");
    const name = parts.pop() as string;
    let folder = root;
    for (const part of parts) folder = folder.child(part) ?? folder.add(part, FILE_TYPE.folder);
    folder.add(name, FILE_TYPE.file).content.fill(content);
  }
  return root;
}

/** The bytes of one file. */
class Content {
  #bytes = new Uint8Array(0);
  size = 0;

  /** Takes a copy of bytes as all that the file holds. */
  fill(bytes: Uint8Array): void {
    this.#bytes = new Uint8Array(bytes);
    this.size = bytes.length;
  }

  read(bytes: Uint8Array, offset: number, length: number, position: number): number {
    if (position >= this.size) return 0;
    const part = this.#bytes.subarray(position, Math.min(position + length, this.size));
    bytes.set(part, offset);
    return part.length;
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): void {
    if (position + length > this.size) this.resize(position + length);
    this.#bytes.set(bytes.subarray(offset, offset + length), position);
  }

  resize(size: number): void {
    const held = this.#bytes.length;
    if (size > held) this.#bytes = new Uint8Array(this.#bytes.buffer.transfer(Math.max(size, held + Math.max(held >> 1, MIN_GROWTH))));
    else if (size < held >> 1) this.#bytes = this.#bytes.slice(0, size);
    else if (size < this.size) this.#bytes.fill(0, size, this.size); // so that growing again shows zeros
    this.size = size;
  }
}

/** A file, folder or link in memory. It needs no handle: closing it does nothing. */
class MemoryEntry implements Entry {
  readonly type: FileType;
  readonly target: string;
  readonly readOnly = false;
  readonly content = new Content();
  readonly inode: number;
  readonly #volume: MemoryVolume;
  readonly #children = new Map<string, MemoryEntry>();
  /** The folder it is in; undefined for the root, and for what was removed. */
  #parent: MemoryEntry | undefined;
  #links = 1n;
  #accessedNs: bigint;
  #modifiedNs: bigint;
  #changedNs: bigint;

  constructor(volume: MemoryVolume, type: FileType, parent: MemoryEntry | undefined, target = "") {
    this.#volume = volume;
    this.type = type;
    this.#parent = parent;
    this.target = target;
    this.inode = volume.nextInode++;
    this.#accessedNs = this.#modifiedNs = this.#changedNs = volume.nowNs();
  }

  stat(): FileStat {
    return {
      device: 0n,
      inode: BigInt(this.inode),
      type: this.type,
      links: this.#links,
      size: BigInt(this.type === FILE_TYPE.link ? Buffer.byteLength(this.target) : this.content.size),
      accessedNs: this.#accessedNs,
      modifiedNs: this.#modifiedNs,
      changedNs: this.#changedNs,
    };
  }

  setTimes({ accessedNs, modifiedNs }: Times): void {
    this.#accessedNs = accessedNs ?? this.#accessedNs;
    this.#modifiedNs = modifiedNs ?? this.#modifiedNs;
    this.#changedNs = this.#volume.nowNs();
  }

  /** The content was changed. */
  touch(): void {
    this.#modifiedNs = this.#changedNs = this.#volume.nowNs();
  }

  duplicate(): Entry {
    return this;
  }

  close(): void {}

  sync(): void {}

  open({ truncate }: Access): OpenFile {
    const file = new MemoryFile(this, this.#volume.quota);
    if (truncate) file.resize(0);
    return file;
  }

  child(name: string): MemoryEntry | undefined {
    return this.#children.get(name);
  }

  lookup(name: string): Entry | undefined {
    checkName(name);
    return this.#children.get(name);
  }

  /** Adds a name that is free; counts nothing. */
  add(name: string, type: FileType, target?: string): MemoryEntry {
    const entry = new MemoryEntry(this.#volume, type, this, target);
    this.#children.set(name, entry);
    this.touch();
    return entry;
  }

  createFile(name: string): OpenFile {
    return this.#create(name, FILE_TYPE.file).open({ read: true, write: true, truncate: false });
  }

  createFolder(name: string): void {
    this.#create(name, FILE_TYPE.folder);
  }

  createLink(name: string, target: string): void {
    this.#create(name, FILE_TYPE.link, target);
  }

  #create(name: string, type: FileType, target?: string): MemoryEntry {
    checkName(name);
    if (this.#links === 0n) fail(ERRNO.noent);
    if (this.#children.has(name)) fail(ERRNO.exist);
    const { quota } = this.#volume;
    quota.checkEntry();
    const entry = this.add(name, type, target);
    quota.created(String(entry.inode));
    return entry;
  }

  removeFile(name: string): void {
    const entry = this.#children.get(name);
    if (entry === undefined) return fail(ERRNO.noent);
    if (entry.type === FILE_TYPE.folder) fail(ERRNO.isdir);
    this.#remove(name, entry);
  }

  removeFolder(name: string): void {
    const entry = this.#children.get(name);
    if (entry === undefined) return fail(ERRNO.noent);
    if (entry.type !== FILE_TYPE.folder) fail(ERRNO.notdir);
    if (entry.#children.size > 0) fail(ERRNO.notempty);
    this.#remove(name, entry);
  }

  #remove(name: string, entry: MemoryEntry): void {
    this.#children.delete(name);
    entry.#links = 0n;
    entry.#parent = undefined;
    this.#volume.quota.removed(String(entry.inode), true);
    this.touch();
  }

  rename(name: string, _entry: Entry, folder: Entry, newName: string): void {
    if (!(folder instanceof MemoryEntry) || folder.#volume !== this.#volume) return fail(ERRNO.xdev);
    checkName(newName);
    const entry = this.#children.get(name);
    if (entry === undefined || folder.#links === 0n) return fail(ERRNO.noent);
    for (let above: MemoryEntry | undefined = folder; above !== undefined; above = above.#parent) if (above === entry) fail(ERRNO.inval);
    const replaced = folder.#children.get(newName);
    if (replaced === entry) return;
    if (replaced !== undefined) {
      if (replaced.type !== FILE_TYPE.folder && entry.type === FILE_TYPE.folder) fail(ERRNO.notdir);
      if (replaced.type === FILE_TYPE.folder && entry.type !== FILE_TYPE.folder) fail(ERRNO.isdir);
      if (replaced.#children.size > 0) fail(ERRNO.notempty);
      folder.#remove(newName, replaced);
    }
    this.#children.delete(name);
    folder.#children.set(newName, entry);
    entry.#parent = folder;
    this.touch();
    folder.touch();
  }

  names(): NameSource {
    const children = this.#children.entries();
    return {
      next: () => {
        const { value } = children.next();
        return value === undefined ? undefined : { name: encoder.encode(value[0]), type: value[1].type };
      },
      close: () => {},
    };
  }
}

class MemoryFile implements OpenFile {
  readonly #entry: MemoryEntry;
  readonly #quota: Quota;
  readonly #account: Account;

  constructor(entry: MemoryEntry, quota: Quota) {
    this.#entry = entry;
    this.#quota = quota;
    this.#account = quota.opened(String(entry.inode), false);
  }

  read(bytes: Uint8Array, offset: number, length: number, position: number): number {
    return this.#entry.content.read(bytes, offset, length, position);
  }

  write(bytes: Uint8Array, offset: number, length: number, position: number): number {
    const { content } = this.#entry;
    const before = content.size;
    const room = this.#quota.take(this.#account, before, position, length);
    content.write(bytes, offset, room, position);
    this.#entry.touch();
    return room;
  }

  size(): number {
    return this.#entry.content.size;
  }

  resize(size: number): void {
    const { content } = this.#entry;
    const before = content.size;
    if (size > before) this.#quota.grow(this.#account, size - before);
    content.resize(size);
    if (size < before) this.#quota.shrunk(this.#account, before, size);
    this.#entry.touch();
  }

  stat(): FileStat {
    return this.#entry.stat();
  }

  setTimes(times: Times): void {
    this.#entry.setTimes(times);
  }

  sync(): void {}

  close(): void {
    this.#quota.closed(this.#account);
  }
}

function checkName(name: string): void {
  // A character takes three bytes at most.
  if (name.length > MAX_NAME_BYTES / 3 && Buffer.byteLength(name) > MAX_NAME_BYTES) fail(ERRNO.nametoolong);
}
