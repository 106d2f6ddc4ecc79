// Rights and flags of descriptors.
//
// Facts: `$rights`, `$fdflags`, `$oflags` and their kin in wasi_snapshot_preview1.witx.

/** What a descriptor may be used for, one bit each. All of preview 1 fits into 30 bits, so that numbers hold them. */
export const RIGHT = {
  fdDatasync: 1 << 0,
  fdRead: 1 << 1,
  fdSeek: 1 << 2,
  fdSetFlags: 1 << 3,
  fdSync: 1 << 4,
  fdTell: 1 << 5,
  fdWrite: 1 << 6,
  fdAdvise: 1 << 7,
  fdAllocate: 1 << 8,
  createDirectory: 1 << 9,
  createFile: 1 << 10,
  linkSource: 1 << 11,
  linkTarget: 1 << 12,
  pathOpen: 1 << 13,
  fdReaddir: 1 << 14,
  readlink: 1 << 15,
  renameSource: 1 << 16,
  renameTarget: 1 << 17,
  pathFilestatGet: 1 << 18,
  pathSetSize: 1 << 19,
  pathSetTimes: 1 << 20,
  fdFilestatGet: 1 << 21,
  fdSetSize: 1 << 22,
  fdSetTimes: 1 << 23,
  symlink: 1 << 24,
  removeDirectory: 1 << 25,
  unlinkFile: 1 << 26,
  poll: 1 << 27,
} as const;

const FILE_READ =
  RIGHT.fdRead | RIGHT.fdSeek | RIGHT.fdTell | RIGHT.fdSetFlags | RIGHT.fdSync | RIGHT.fdDatasync | RIGHT.fdAdvise | RIGHT.fdFilestatGet | RIGHT.poll;
const FOLDER_READ =
  RIGHT.pathOpen |
  RIGHT.fdReaddir |
  RIGHT.readlink |
  RIGHT.pathFilestatGet |
  RIGHT.fdFilestatGet |
  RIGHT.fdSync |
  RIGHT.fdDatasync |
  RIGHT.fdSetFlags;
/** Changes to what is in a file. */
const FILE_WRITE = RIGHT.fdWrite | RIGHT.fdAllocate | RIGHT.fdSetSize | RIGHT.fdSetTimes;
/** Changes to what is in a folder. Nothing has the rights for hard links. */
const FOLDER_WRITE =
  RIGHT.createDirectory |
  RIGHT.createFile |
  RIGHT.renameSource |
  RIGHT.renameTarget |
  RIGHT.pathSetSize |
  RIGHT.pathSetTimes |
  RIGHT.fdSetTimes |
  RIGHT.symlink |
  RIGHT.removeDirectory |
  RIGHT.unlinkFile;

/** All that descriptors of a kind can have. */
export const FILE_RIGHTS: number = FILE_READ | FILE_WRITE;
export const FOLDER_RIGHTS: number = FOLDER_READ | FOLDER_WRITE;
export const INPUT_RIGHTS: number = RIGHT.fdRead | RIGHT.fdFilestatGet | RIGHT.fdSetFlags | RIGHT.poll;
export const OUTPUT_RIGHTS: number = RIGHT.fdWrite | RIGHT.fdFilestatGet | RIGHT.fdSetFlags | RIGHT.poll;
/** Rights that read-only grants lack. */
export const WRITE_RIGHTS: number = FILE_WRITE | FOLDER_WRITE;
/** Rights for which a file is opened for writing. */
export const OPEN_FOR_WRITE: number = RIGHT.fdWrite | RIGHT.fdAllocate | RIGHT.fdSetSize;

const KNOWN_BITS = 30;

/** The rights in a 64-bit set; bits that mean nothing are dropped. */
export function rightsIn(set: bigint): number {
  return Number(BigInt.asUintN(KNOWN_BITS, set));
}

/** True if a 64-bit set asks for nothing but what `rights` has. */
export function withinRights(set: bigint, rights: number): boolean {
  return (BigInt.asUintN(64, set) & ~BigInt(rights)) === 0n;
}

/** `$fdflags`. */
export const FD_FLAG = { append: 1, dsync: 2, nonblock: 4, rsync: 8, sync: 16 } as const;
export const SYNC_FLAGS: number = FD_FLAG.dsync | FD_FLAG.rsync | FD_FLAG.sync;
export const ALL_FD_FLAGS = 31;
/** `$oflags`. */
export const OPEN_FLAG = { create: 1, directory: 2, exclusive: 4, truncate: 8 } as const;
export const ALL_OPEN_FLAGS = 15;
/** `$lookupflags`. */
export const FOLLOW_LINK = 1;
/** `$fstflags`. */
export const TIME_FLAG = { accessed: 1, accessedNow: 2, modified: 4, modifiedNow: 8 } as const;
export const ALL_TIME_FLAGS = 15;
