// What fd_readdir hands out: the names of a folder, kept in the order in which they were read, so that a cookie means the
// same whatever happens to the folder in the meantime.
//
// Fact: `$dirent` of wasi_snapshot_preview1.witx: the next cookie, an inode, the name's length and type, then the name.

import { FILE_TYPE, type NameSource, type NamedEntry } from "./entry.ts";
import { ERRNO, fail } from "./errno.ts";

const DIRENT_BYTES = 24;
/** Bytes after which a listing ends, 24 for each name included: some 100,000 names of common length. */
export const MAX_LISTING_BYTES: number = 4 << 20;
/** Listings that an instance keeps, and bytes that those besides the one in use take; an older one is made again when it is asked for. */
const MAX_LISTINGS = 4;
const MAX_OLDER_BYTES = 6 << 20;
/** Bytes that a listing has room for at most: the last name may go beyond its end. */
const MAX_ROOM = MAX_LISTING_BYTES + 4096;
const FIRST_SIZE = 4096;
/** Bytes that remembering where an entry begins takes. */
const START_BYTES = 8;
/** Bytes that reading a name is charged as: about what it takes in time. */
const NAME_CHARGE = 4096;
/** Names that are read between two looks at the clock. */
const CLOCK_INTERVAL = 256;

/** What a listing needs of the instance that reads it. */
export interface ListingHost {
  charge(bytes: number): void;
  timeLeftMs(): number;
}

/** The names of one folder, read as far as they were asked for. */
export class FolderListing {
  readonly #names: NameSource;
  readonly #host: ListingHost;
  /** Entries as the guest gets them, one after the other, and where each begins. */
  #packed = new Uint8Array(FIRST_SIZE);
  #size = 0;
  readonly #starts: number[] = [];
  #complete = false;

  constructor(names: NameSource, host: ListingHost) {
    this.#names = names;
    this.#host = host;
    this.#add({ name: Uint8Array.of(0x2e), type: FILE_TYPE.folder });
    this.#add({ name: Uint8Array.of(0x2e, 0x2e), type: FILE_TYPE.folder });
  }

  /**
   * Entries from a cookie on, `length` bytes at most; the last one may be cut off. Fewer bytes than that are the end.
   *
   * @throws WasiFailure `overflow` for more than {@link MAX_LISTING_BYTES}, `intr` at the deadline
   */
  from(cookie: number, length: number): Uint8Array {
    while (this.#starts.length <= cookie && this.#more());
    const start = this.#starts[cookie];
    if (start === undefined) return new Uint8Array(0);
    while (this.#size < start + length && this.#more());
    return this.#packed.subarray(start, Math.min(start + length, this.#size));
  }

  /** Bytes that it takes. */
  get bytes(): number {
    return this.#packed.length + START_BYTES * this.#starts.length;
  }

  close(): void {
    this.#names.close();
  }

  #more(): boolean {
    if (this.#complete) return false;
    if (this.#size > MAX_LISTING_BYTES) fail(ERRNO.overflow);
    if (this.#starts.length % CLOCK_INTERVAL === 0 && this.#host.timeLeftMs() <= 0) fail(ERRNO.intr);
    this.#host.charge(NAME_CHARGE);
    const found = this.#names.next();
    if (found === undefined) {
      this.#complete = true;
      this.#names.close();
      return false;
    }
    this.#add(found);
    return true;
  }

  #add({ name, type }: NamedEntry): void {
    const start = this.#size;
    const end = start + DIRENT_BYTES + name.length;
    if (end > this.#packed.length)
      this.#packed = new Uint8Array(this.#packed.buffer.transfer(Math.max(end, Math.min(this.#packed.length * 2, MAX_ROOM))));
    const view = new DataView(this.#packed.buffer, start);
    this.#starts.push(start);
    view.setBigUint64(0, BigInt(this.#starts.length), true);
    view.setBigUint64(8, 0n, true); // a number would cost a system call for each name; 0 says to look for oneself
    view.setUint32(16, name.length, true);
    view.setUint8(20, type);
    this.#packed.set(name, start + DIRENT_BYTES);
    this.#size = end;
  }
}

/** The listings of one instance, by whatever they belong to. */
export class Listings<Owner> {
  readonly #kept = new Map<Owner, FolderListing>();

  get(owner: Owner): FolderListing | undefined {
    return this.#kept.get(owner);
  }

  /** Keeps a listing in place of an earlier one of the same owner, and of the oldest if there are too many. */
  set(owner: Owner, listing: FolderListing): void {
    this.drop(owner);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size < MAX_LISTINGS) break;
      this.drop(oldest);
    }
    this.#kept.set(owner, listing);
  }

  /** Drops listings, the oldest first, until those besides this owner's take little. */
  trim(used: Owner): void {
    let bytes = 0;
    for (const [owner, listing] of this.#kept) if (owner !== used) bytes += listing.bytes;
    for (const [owner, listing] of this.#kept) {
      if (bytes <= MAX_OLDER_BYTES) return;
      if (owner === used) continue;
      bytes -= listing.bytes;
      this.drop(owner);
    }
  }

  drop(owner: Owner): void {
    const listing = this.#kept.get(owner);
    if (listing === undefined) return;
    this.#kept.delete(owner);
    listing.close();
  }
}
