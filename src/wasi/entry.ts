// What a file system that guests see provides. The folders of the host and those in memory both do.

/** `$filetype`. */
export const FILE_TYPE = {
  unknown: 0,
  blockDevice: 1,
  characterDevice: 2,
  folder: 3,
  file: 4,
  socketStream: 6,
  link: 7,
} as const;
/** One of {@link FILE_TYPE}. */
export type FileType = (typeof FILE_TYPE)[keyof typeof FILE_TYPE];

/** What `$filestat` says of a file. */
export interface FileStat {
  readonly device: bigint;
  readonly inode: bigint;
  readonly type: FileType;
  readonly links: bigint;
  readonly size: bigint;
  /** Nanoseconds since 1970. */
  readonly accessedNs: bigint;
  readonly modifiedNs: bigint;
  readonly changedNs: bigint;
}

/** Times to set, in nanoseconds since 1970; undefined leaves one as it is. */
export interface Times {
  readonly accessedNs: bigint | undefined;
  readonly modifiedNs: bigint | undefined;
}

/** How a file is opened. */
export interface Access {
  readonly read: boolean;
  readonly write: boolean;
  readonly truncate: boolean;
}

/** A name in a folder. */
export interface NamedEntry {
  readonly name: Uint8Array;
  readonly type: FileType;
}

/** The names in a folder, one after the other. */
export interface NameSource {
  next(): NamedEntry | undefined;
  close(): void;
}

/**
 * A file, folder or link that was looked up: the thing itself, whatever its name comes to mean afterwards. Names are
 * single components, neither "." nor ".."; no member follows a link. All members throw WasiFailure or the error of a
 * system call. What is not about an entry's type must not be called.
 */
export interface Entry {
  readonly type: FileType;
  /** Where a link leads; empty for anything else. */
  readonly target: string;
  /** True if nothing below may be changed. */
  readonly readOnly: boolean;
  stat(): FileStat;
  setTimes(times: Times): void;
  /** Another handle on the same. */
  duplicate(): Entry;
  close(): void;

  // a file
  open(access: Access): OpenFile;

  // a folder
  lookup(name: string): Entry | undefined;
  createFile(name: string, access: Access): OpenFile;
  createFolder(name: string): void;
  createLink(name: string, target: string): void;
  /** `entry` is what the name was found to be. */
  removeFile(name: string, entry: Entry): void;
  removeFolder(name: string, entry: Entry): void;
  /** `replaced` is what the new name was found to be. */
  rename(name: string, entry: Entry, folder: Entry, newName: string, replaced: Entry | undefined): void;
  names(): NameSource;
  sync(): void;
}

/** An open file. It has no position: the descriptor has. */
export interface OpenFile {
  /** Reads into `bytes` from `offset` on, and returns how many bytes; 0 at the end of the file. */
  read(bytes: Uint8Array, offset: number, length: number, position: number): number;
  /** Writes and returns how many bytes, at least one if any were given. */
  write(bytes: Uint8Array, offset: number, length: number, position: number): number;
  size(): number;
  /** Makes the file longer or shorter. */
  resize(size: number): void;
  stat(): FileStat;
  setTimes(times: Times): void;
  sync(dataOnly: boolean): void;
  close(): void;
}
