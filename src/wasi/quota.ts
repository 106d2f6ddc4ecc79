// What a guest adds to a file system: bytes by which files grow and names that it creates, and what it gives back.

import { ERRNO, fail } from "./errno.ts";

/** Bytes that a created file, folder or link counts besides its content: about what it takes on a disk. */
export const ENTRY_BYTES = 4096;
/** Created files, folders and links that may exist at once, whatever the quota. */
export const MAX_ENTRIES = 65_536;

/** One file as the quota knows it. */
export interface Account {
  readonly key: string;
  /** Bytes by which the guest made the file longer, and bytes written into a file with holes. */
  bytes: number;
  /** Names that the guest created for it. */
  created: number;
  /** Open descriptors of it. */
  open: number;
  /** The guest took its last name away; what it counts is given back once nothing has it open. */
  removed: boolean;
  /** It had holes when it was first seen: writing into one takes space without making it longer. */
  holes: boolean;
}

/**
 * The quota of one file system, shared by all instances of a plugin. It never counts less than the guest has added:
 * where a file that was there before is shortened or removed, nothing is given back.
 */
export class Quota {
  readonly #maxBytes: number;
  readonly #maxEntries: number;
  readonly #accounts = new Map<string, Account>();
  #used = 0;
  #created = 0;

  constructor(maxBytes: number, maxEntries: number = MAX_ENTRIES) {
    this.#maxBytes = maxBytes;
    this.#maxEntries = maxEntries;
  }

  /** Bytes that are counted now. */
  get usedBytes(): number {
    return this.#used;
  }

  /** Created names that are counted now. */
  get usedEntries(): number {
    return this.#created;
  }

  /** Makes sure that one more name can be created. @throws WasiFailure `nospc` */
  checkEntry(): void {
    if (this.#created >= this.#maxEntries || this.#used + ENTRY_BYTES > this.#maxBytes) fail(ERRNO.nospc);
  }

  /** Counts a name that was created. */
  created(key: string): void {
    this.#account(key, false).created++;
    this.#created++;
    this.#used += ENTRY_BYTES;
  }

  /** A file was opened. `holes`: it takes less space than it is long. */
  opened(key: string, holes: boolean): Account {
    const account = this.#account(key, holes);
    account.open++;
    return account;
  }

  closed(account: Account): void {
    account.open--;
    this.#settle(account);
  }

  /**
   * Counts what is about to be written at a position, and returns how many of `length` bytes may be. Before it is written:
   * a guest that is stopped in between has counted too much, never too little.
   *
   * @throws WasiFailure `nospc` if none may be
   */
  take(account: Account, size: number, position: number, length: number): number {
    const left = Math.max(0, this.#maxBytes - this.#used);
    const allowed = account.holes ? Math.min(length, left - Math.max(0, position - size)) : Math.min(length, size + left - position);
    if (allowed <= 0 && length > 0) fail(ERRNO.nospc);
    this.#add(account, counted(account, size, position, allowed));
    return allowed;
  }

  /** Less was written than was counted. */
  correct(account: Account, size: number, position: number, taken: number, written: number): void {
    this.#add(account, counted(account, size, position, written) - counted(account, size, position, taken));
  }

  /** Counts that a file is about to become longer. @throws WasiFailure `nospc` */
  grow(account: Account, bytes: number): void {
    if (this.#used + bytes > this.#maxBytes) fail(ERRNO.nospc);
    this.#add(account, bytes);
  }

  /** A file did not become longer after all. */
  ungrow(account: Account, bytes: number): void {
    this.#add(account, -bytes);
  }

  /**
   * A file became shorter: what the guest had added of that is given back. What was written into holes may lie in what is
   * left, unless nothing is.
   */
  shrunk(account: Account, before: number, after: number): void {
    if (account.holes && after > 0) return;
    this.#add(account, -Math.min(account.bytes, before - after));
  }

  /** The guest took a name away; `last` if the file has no other. */
  removed(key: string, last: boolean): void {
    const account = this.#accounts.get(key);
    if (account === undefined || !last) return;
    account.removed = true;
    this.#settle(account);
  }

  #add(account: Account, bytes: number): void {
    account.bytes += bytes;
    this.#used += bytes;
  }

  #account(key: string, holes: boolean): Account {
    let account = this.#accounts.get(key);
    if (account === undefined) {
      account = { key, bytes: 0, created: 0, open: 0, removed: false, holes };
      this.#accounts.set(key, account);
    }
    return account;
  }

  /** Gives back what a removed file counted, and forgets files of which there is nothing to know. */
  #settle(account: Account): void {
    if (account.open > 0) return;
    if (account.removed) {
      this.#used -= account.bytes + account.created * ENTRY_BYTES;
      this.#created -= account.created;
    } else if (account.bytes > 0 || account.created > 0) return;
    this.#accounts.delete(account.key);
  }
}

/** What writing to a file of some size counts: what it makes longer, and with holes all of it. */
function counted({ holes }: Account, size: number, position: number, length: number): number {
  if (length === 0) return 0;
  const growth = Math.max(0, position + length - size);
  return holes ? growth + Math.min(length, Math.max(0, size - position)) : growth;
}
