// Folders of the host that a guest may use. Paths are walked by path-walk.ts, one name at a time; here is what happens
// with one name in one folder.

import {
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readlinkSync,
  realpathSync,
  renameSync,
  rmdirSync,
  statfsSync,
  symlinkSync,
  unlinkSync,
} from "node:fs";

import { type Access, type Entry, FILE_TYPE, type FileStat, type FileType, type NameSource, type OpenFile, type Times } from "./entry.ts";
import { ERRNO, fail, systemCode } from "./errno.ts";
import { MountFile, accountKey, toFileStat, toSeconds, typeOf } from "./mount-file.ts";
import { type Handle, type HandleKind, linuxHandles } from "./mount-handles.ts";
import { MountNames } from "./mount-names.ts";
import { Quota } from "./quota.ts";

/** Linux: file systems that show the kernel instead of stored files, by `statfs` type. */
const KERNEL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x9fa0, // proc
  0x6265_6572, // sysfs
  0x6462_6720, // debugfs
  0x7472_6163, // tracefs
  0x1cd1, // devpts
  0x27_e0eb, // cgroup
  0x6367_7270, // cgroup2
  0x7363_6673, // securityfs
  0x6265_6570, // configfs
  0xcafe_4a11, // bpf
]);
/** For everything that is opened: no waiting for the other end of a pipe, no terminal that takes over the process. */
const OPEN = constants.O_NONBLOCK | constants.O_NOCTTY;

/** One mounted folder, shared by all instances of a plugin. */
export interface Mount {
  readonly handles: HandleKind;
  readonly readOnly: boolean;
  readonly quota: Quota;
  readonly root: Handle;
  /** Set once the root is closed; nothing is looked up any more. */
  closed: boolean;
}

/**
 * Holds a folder of the host.
 *
 * @param path may lead through links; what is granted is the folder that it leads to now
 * @param maxEntries names that may be created. @default {@link MAX_ENTRIES}
 * @throws Error that says why this folder cannot be granted; the error of a system call among them
 */
export function openMount(path: string, handles: HandleKind, readOnly: boolean, maxBytes: number, maxEntries?: number): Mount {
  const root = handles.hold(realpathSync(path));
  try {
    if (!root.stat.isDirectory()) throw new Error("it is not a folder");
    if (handles === linuxHandles && KERNEL_FILE_SYSTEMS.has(statfsSync(root.path).type))
      throw new Error("it does not hold files, but shows the kernel");
    return { handles, readOnly, quota: new Quota(maxBytes, maxEntries), root, closed: false };
  } catch (error) {
    root.close();
    throw error;
  }
}

/** The folder itself, for one more instance. */
export function mountRoot(mount: Mount): Entry {
  return new MountEntry(mount, { ...mount.root, close: () => {} }, "");
}

/** A handle on something in a mounted folder. */
class MountEntry implements Entry {
  readonly type: FileType;
  readonly target: string;
  readonly #mount: Mount;
  readonly #handle: Handle;

  constructor(mount: Mount, handle: Handle, target: string) {
    this.#mount = mount;
    this.#handle = handle;
    this.type = typeOf(handle.stat);
    this.target = target;
  }

  get readOnly(): boolean {
    return this.#mount.readOnly;
  }

  stat(): FileStat {
    // A folder may have been held for long.
    return toFileStat(this.type === FILE_TYPE.folder ? this.#live().handles.look(this.#handle) : this.#handle.stat);
  }

  setTimes(times: Times): void {
    const { handles } = this.#writable();
    handles.setTimes(this.#handle, ...toSeconds(times, () => this.#handle.stat));
  }

  duplicate(): Entry {
    return new MountEntry(this.#mount, this.#live().handles.duplicate(this.#handle), this.target);
  }

  close(): void {
    this.#handle.close();
  }

  open(access: Access): OpenFile {
    // Pipes wait, devices do things when they are opened, sockets lead out.
    if (this.type !== FILE_TYPE.file) fail(ERRNO.notcapable);
    const mount = access.write || access.truncate ? this.#writable() : this.#live();
    const file = this.#file(mount.handles.open(this.#handle, accessFlags(access) | OPEN, mount.root));
    try {
      if (access.truncate) file.resize(0);
    } catch (error) {
      file.close();
      throw error;
    }
    return file;
  }

  #file(descriptor: number): MountFile {
    try {
      return new MountFile(descriptor, fstatSync(descriptor, { bigint: true }), this.#mount.quota);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  lookup(name: string): Entry | undefined {
    const { handles, root } = this.#live();
    const path = this.#path(name);
    const handle = holdIfThere(handles, path);
    if (handle === undefined) return undefined;
    try {
      // Another file system that is mounted inside was not granted: it could be /proc, or a single file of the host.
      if (handle.stat.dev !== root.stat.dev && (handle.stat.isDirectory() || !handles.sameMount(handle, root))) fail(ERRNO.notcapable);
      return new MountEntry(this.#mount, handle, handle.stat.isSymbolicLink() ? readlinkSync(path) : "");
    } catch (error) {
      handle.close();
      throw error;
    }
  }

  createFile(name: string, access: Access): OpenFile {
    const { quota } = this.#writable();
    quota.checkEntry();
    const flags = accessFlags({ ...access, write: true }) | OPEN | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW;
    const descriptor = openSync(this.#path(name), flags, 0o666);
    try {
      quota.created(accountKey(fstatSync(descriptor, { bigint: true })));
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    return this.#file(descriptor);
  }

  createFolder(name: string): void {
    this.#create(name, (path) => mkdirSync(path, 0o777));
  }

  createLink(name: string, target: string): void {
    this.#create(name, (path) => symlinkSync(target, path));
  }

  #create(name: string, work: (path: string) => void): void {
    const { quota } = this.#writable();
    quota.checkEntry();
    const path = this.#path(name);
    work(path);
    quota.created(accountKey(lstatSync(path, { bigint: true })));
  }

  removeFile(name: string, entry: Entry): void {
    const { quota } = this.#writable();
    unlinkSync(this.#path(name));
    forget(quota, entry);
  }

  removeFolder(name: string, entry: Entry): void {
    const { quota } = this.#writable();
    rmdirSync(this.#path(name));
    forget(quota, entry);
  }

  rename(name: string, entry: Entry, folder: Entry, newName: string, replaced: Entry | undefined): void {
    const { quota } = this.#writable();
    if (!(folder instanceof MountEntry) || folder.#mount !== this.#mount) return fail(ERRNO.xdev);
    renameSync(this.#path(name), folder.#path(newName));
    // Two names of one file: nothing happened.
    if (replaced !== undefined && keyOf(replaced) !== keyOf(entry)) forget(quota, replaced);
  }

  names(): NameSource {
    this.#live();
    return new MountNames(this.#handle.path);
  }

  sync(): void {
    this.#live();
    const descriptor = openSync(this.#handle.path, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }

  /** What the quota calls it. */
  get key(): string {
    return accountKey(this.#handle.stat);
  }

  /** True if no other name leads to it. */
  get single(): boolean {
    return this.type === FILE_TYPE.folder || this.#handle.stat.nlink === 1n;
  }

  #path(name: string): string {
    return `${this.#handle.path}/${name}`;
  }

  #live(): Mount {
    // A number that was closed may by now mean another folder.
    if (this.#mount.closed) fail(ERRNO.badf);
    return this.#mount;
  }

  #writable(): Mount {
    if (this.#mount.readOnly) fail(ERRNO.rofs);
    return this.#live();
  }
}

function accessFlags({ read, write, truncate }: Access): number {
  if (!write && !truncate) return constants.O_RDONLY;
  return read ? constants.O_RDWR : constants.O_WRONLY;
}

function holdIfThere(handles: HandleKind, path: string): Handle | undefined {
  try {
    return handles.hold(path);
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

function keyOf(entry: Entry): string | undefined {
  return entry instanceof MountEntry ? entry.key : undefined;
}

function forget(quota: Quota, entry: Entry): void {
  if (entry instanceof MountEntry) quota.removed(entry.key, entry.single);
}
