// Structures that several functions write.
//
// Facts: `$fdstat` and `$filestat` of wasi_snapshot_preview1.witx. The bytes between members are written as zeros.

import { roundTime } from "./clocks.ts";
import type { WasiContext } from "./context.ts";
import type { Descriptor } from "./descriptors.ts";
import { FILE_TYPE, type FileStat, type FileType, type Times } from "./entry.ts";
import { ERRNO, fail } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { ALL_TIME_FLAGS, TIME_FLAG } from "./rights.ts";

export const FILESTAT_BYTES = 64;
export const FDSTAT_BYTES = 24;

/** Writes a `$filestat`. Times are as fine as clocks: the system stamps a file with a fine one. @throws WasiFailure `fault` */
export function writeFileStat({ memory, grants }: WasiContext, address: number, stat: FileStat): void {
  const at = memory.range(address, FILESTAT_BYTES);
  const { view } = memory;
  view.setBigUint64(at, stat.device, true);
  view.setBigUint64(at + 8, stat.inode, true);
  view.setBigUint64(at + 16, BigInt(stat.type), true);
  view.setBigUint64(at + 24, stat.links, true);
  view.setBigUint64(at + 32, stat.size, true);
  view.setBigUint64(at + 40, roundTime(grants, stat.accessedNs), true);
  view.setBigUint64(at + 48, roundTime(grants, stat.modifiedNs), true);
  view.setBigUint64(at + 56, roundTime(grants, stat.changedNs), true);
}

/** What a standard stream says of itself. */
export function streamStat(type: FileType): FileStat {
  return { device: 0n, inode: 0n, type, links: 1n, size: 0n, accessedNs: 0n, modifiedNs: 0n, changedNs: 0n };
}

/** Writes a `$fdstat`. @throws WasiFailure `fault` */
export function writeFdStat(memory: GuestMemory, address: number, descriptor: Descriptor, streamType: FileType): void {
  const at = memory.range(address, FDSTAT_BYTES);
  const { view } = memory;
  const type = descriptor.kind === "stream" ? streamType : descriptor.kind === "file" ? FILE_TYPE.file : FILE_TYPE.folder;
  view.setUint16(at, type, true);
  view.setUint16(at + 2, descriptor.flags, true);
  view.setUint32(at + 4, 0, true);
  view.setBigUint64(at + 8, BigInt(descriptor.rights), true);
  view.setBigUint64(at + 16, BigInt(descriptor.inheriting), true);
}

/**
 * The times that a guest wants to set.
 *
 * @throws WasiFailure `inval` for unknown flags, or for one time given twice
 */
export function timesOf(accessed: bigint, modified: bigint, flags: number, nowNs: () => bigint): Times {
  if ((flags & ~ALL_TIME_FLAGS) !== 0) fail(ERRNO.inval);
  const time = (given: bigint, set: number, setNow: number): bigint | undefined => {
    if ((flags & set) !== 0 && (flags & setNow) !== 0) fail(ERRNO.inval);
    if ((flags & setNow) !== 0) return nowNs();
    return (flags & set) === 0 ? undefined : BigInt.asUintN(64, given);
  };
  return {
    accessedNs: time(accessed, TIME_FLAG.accessed, TIME_FLAG.accessedNow),
    modifiedNs: time(modified, TIME_FLAG.modified, TIME_FLAG.modifiedNow),
  };
}
