// Walks a guest's path one name at a time, links included, and never above the folder where it starts.

import { type Entry, FILE_TYPE } from "./entry.ts";
import { ERRNO, fail } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";

/** Bytes of a path, as Linux has it. */
export const MAX_PATH_BYTES = 4096;
/** Links that one path may lead through, as Linux has it. */
const MAX_LINKS = 40;
/** Folders below the first that are open at once. */
const MAX_DEPTH = 128;
/** Names that are looked up for one path, those in links included. */
const MAX_STEPS = 1024;

/** Where a path led. */
export interface Place {
  /** The folder of the last name, or the end of the path itself if that has no name, as in "." or "a/..". */
  readonly folder: Entry;
  readonly name: string | undefined;
  /** What the name is, if there is such. */
  readonly entry: Entry | undefined;
  /** The path ends with a slash. */
  readonly mustBeFolder: boolean;
  /** Closes all that was opened on the way, `kept` apart. */
  release(kept?: Entry): void;
}

/**
 * Reads a path from the guest's memory.
 *
 * @throws WasiFailure `fault`, `nametoolong`, `ilseq`, `inval` for a NUL, `noent` if it is empty, `notcapable` if it is absolute
 */
export function readPath(memory: GuestMemory, address: number, length: number): string {
  memory.range(address, length >>> 0);
  if (length >>> 0 > MAX_PATH_BYTES) fail(ERRNO.nametoolong);
  const path = memory.text(address, length);
  if (path === "") fail(ERRNO.noent);
  if (path.includes("\0")) fail(ERRNO.inval);
  if (path.startsWith("/")) fail(ERRNO.notcapable);
  return path;
}

/**
 * Walks a relative path. A link in the middle is followed, one at the end if `follow` says so; a link may neither be
 * absolute nor lead above `start`.
 *
 * @param charge called before each name is looked up
 * @throws WasiFailure `notcapable`, `noent`, `notdir`, `loop`, `nametoolong`, or what looking up throws
 */
export function walkPath(start: Entry, path: string, follow: boolean, charge: () => void): Place {
  const walk = new Walk(start, charge);
  try {
    return walk.run(path, follow);
  } catch (error) {
    walk.release();
    throw error;
  }
}

class Walk {
  /** From the start down to where the walk is. */
  readonly #folders: Entry[];
  readonly #opened: Entry[] = [];
  readonly #charge: () => void;
  /** Names still to go, the next one last. */
  #names: string[] = [];
  #steps = 0;
  #links = 0;

  constructor(start: Entry, charge: () => void) {
    this.#folders = [start];
    this.#charge = charge;
  }

  run(path: string, follow: boolean): Place {
    let mustBeFolder = this.#push(path);
    for (let name = this.#names.pop(); name !== undefined; name = this.#names.pop()) {
      if (name === "..") {
        this.#up();
        continue;
      }
      const last = this.#names.length === 0;
      const entry = this.#lookup(name);
      if (entry?.type === FILE_TYPE.link && (follow || !last)) {
        const folder = this.#follow(entry);
        if (last) mustBeFolder ||= folder;
      } else if (last) return this.#place(name, entry, mustBeFolder);
      else this.#enter(entry);
    }
    return this.#place(undefined, undefined, true);
  }

  release(kept?: Entry): void {
    for (const entry of this.#opened) if (entry !== kept) entry.close();
  }

  get #here(): Entry {
    return this.#folders[this.#folders.length - 1] as Entry;
  }

  /** Puts the names of a path before those still to go; true if it says that it ends at a folder. */
  #push(path: string): boolean {
    const names = path.split("/");
    const end = names[names.length - 1];
    for (let index = names.length - 1; index >= 0; index--) {
      const name = names[index] as string;
      if (name !== "" && name !== ".") this.#names.push(name);
    }
    // "a/." is looked up as "a/".
    return end === "" || end === ".";
  }

  #up(): void {
    if (this.#folders.length === 1) fail(ERRNO.notcapable);
    this.#drop(this.#folders.pop() as Entry);
  }

  #lookup(name: string): Entry | undefined {
    if (++this.#steps > MAX_STEPS) fail(ERRNO.loop);
    this.#charge();
    const entry = this.#here.lookup(name);
    if (entry !== undefined) this.#opened.push(entry);
    return entry;
  }

  #enter(entry: Entry | undefined): void {
    if (entry === undefined) return fail(ERRNO.noent);
    if (entry.type !== FILE_TYPE.folder) fail(ERRNO.notdir);
    if (this.#folders.length > MAX_DEPTH) fail(ERRNO.nametoolong);
    this.#folders.push(entry);
  }

  #follow(link: Entry): boolean {
    if (++this.#links > MAX_LINKS) fail(ERRNO.loop);
    if (link.target.startsWith("/")) fail(ERRNO.notcapable);
    this.#drop(link);
    return this.#push(link.target);
  }

  #drop(entry: Entry): void {
    this.#opened.splice(this.#opened.lastIndexOf(entry), 1);
    entry.close();
  }

  #place(name: string | undefined, entry: Entry | undefined, mustBeFolder: boolean): Place {
    return { folder: this.#here, name, entry: name === undefined ? this.#here : entry, mustBeFolder, release: (kept) => this.release(kept) };
  }
}
