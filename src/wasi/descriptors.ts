// The descriptors of one instance: numbers, what they stand for, and what they may be used for.

import type { Entry, OpenFile } from "./entry.ts";
import { ERRNO, errnoOf, fail } from "./errno.ts";
import { Listings } from "./folder-listing.ts";
import { WRITE_RIGHTS } from "./rights.ts";
import type { Stream } from "./streams.ts";

interface Common {
  /** Rights, and those that what is opened through it can have. */
  rights: number;
  inheriting: number;
  /** `$fdflags`. */
  flags: number;
}

/** A standard stream. */
export interface StreamDescriptor extends Common {
  readonly kind: "stream";
  readonly stream: Stream;
}

/** An open file. */
export interface FileDescriptor extends Common {
  readonly kind: "file";
  readonly file: OpenFile;
  position: number;
}

/** An open folder. */
export interface FolderDescriptor extends Common {
  readonly kind: "folder";
  readonly folder: Entry;
  /** Name under which it was granted; undefined if the guest opened it. */
  readonly grantedAs: Uint8Array | undefined;
}

export type Descriptor = StreamDescriptor | FileDescriptor | FolderDescriptor;

/** The table of descriptors. Numbers are given out from the lowest that is free. */
export class Descriptors {
  /** What fd_readdir remembers of folders. */
  readonly listings: Listings<Descriptor> = new Listings();
  readonly #slots: (Descriptor | undefined)[];
  readonly #limit: number;

  /** @param first what is open from the start, which does not count towards `limit` */
  constructor(first: readonly Descriptor[], limit: number) {
    this.#slots = [...first];
    this.#limit = first.length + limit;
  }

  /** @throws WasiFailure `badf` if it is not open, `notcapable` if it lacks a right */
  get(fd: number, rights = 0): Descriptor {
    // A lookup by a negative or large number finds nothing.
    const found = this.#slots[fd];
    if (found === undefined) return fail(ERRNO.badf);
    if ((found.rights & rights) !== rights) fail(ERRNO.notcapable);
    return found;
  }

  /** @throws WasiFailure `badf`, `spipe` for a stream, `isdir` for a folder, `notcapable` */
  file(fd: number, rights: number): FileDescriptor {
    const found = this.get(fd);
    if (found.kind !== "file") return fail(found.kind === "stream" ? ERRNO.spipe : ERRNO.isdir);
    if ((found.rights & rights) !== rights) fail(ERRNO.notcapable);
    return found;
  }

  /** @throws WasiFailure `badf`, `notdir` for what is not a folder, `notcapable`, or `rofs` if the folder is read-only and the right is for writing */
  folder(fd: number, rights: number): FolderDescriptor {
    const found = this.get(fd);
    if (found.kind !== "folder") return fail(ERRNO.notdir);
    const missing = rights & ~found.rights;
    if (missing !== 0) fail(found.folder.readOnly && (missing & WRITE_RIGHTS) !== 0 ? ERRNO.rofs : ERRNO.notcapable);
    return found;
  }

  /** Makes sure that another one can be opened. @throws WasiFailure `mfile` */
  checkRoom(): void {
    if (this.#free() >= this.#limit) fail(ERRNO.mfile);
  }

  /** The number of a new descriptor; there must be room. */
  add(descriptor: Descriptor): number {
    const fd = this.#free();
    this.#slots[fd] = descriptor;
    return fd;
  }

  /** @throws WasiFailure `badf` */
  close(fd: number): void {
    const found = this.get(fd);
    this.#slots[fd] = undefined;
    this.#release(found);
  }

  /** Gives a descriptor another number, in place of what has it. @throws WasiFailure `badf` */
  move(from: number, to: number): void {
    const moved = this.get(from);
    const replaced = this.get(to);
    if (moved === replaced) return;
    this.#slots[to] = moved;
    this.#slots[from] = undefined;
    this.#release(replaced);
  }

  closeAll(): void {
    for (const descriptor of this.#slots.splice(0)) {
      try {
        if (descriptor !== undefined) this.#release(descriptor);
      } catch (error) {
        // What a disk says at this point changes nothing: the descriptor is gone.
        if (errnoOf(error) === undefined) throw error;
      }
    }
  }

  #free(): number {
    const free = this.#slots.indexOf(undefined);
    return free < 0 ? this.#slots.length : free;
  }

  #release(descriptor: Descriptor): void {
    if (descriptor.kind === "folder") {
      this.listings.drop(descriptor);
      descriptor.folder.close();
    } else if (descriptor.kind === "file") descriptor.file.close();
  }
}
