// Files: reading, writing, positions, sizes and times. Also reading and writing of standard streams.

import { type Functions, type WasiContext, chargeCall } from "./context.ts";
import type { FileDescriptor } from "./descriptors.ts";
import type { OpenFile } from "./entry.ts";
import { ERRNO, errnoOf, fail } from "./errno.ts";
import { FILESTAT_BYTES, streamStat, timesOf, writeFileStat } from "./layouts.ts";
import { FD_FLAG, RIGHT } from "./rights.ts";
import type { Input } from "./streams.ts";

const MAX_OFFSET = BigInt(Number.MAX_SAFE_INTEGER);
/** Bytes that a change of length is charged as at most. */
const MAX_RESIZE_CHARGE = 16 << 20;
/** Highest `$advice`. */
const LAST_ADVICE = 5;
/** `$whence`. */
const WHENCE = { start: 0, current: 1, end: 2 } as const;

/** `fd_read`, `fd_write` and what else is done with an open file. */
export function fileFunctions(context: WasiContext): Functions {
  const { memory, vectors, host, descriptors, grants } = context;
  return {
    fd_read: (fd: number, list: number, count: number, doneAt: number) => {
      const descriptor = descriptors.get(fd);
      memory.range(doneAt, 4);
      vectors.read(memory, list, count);
      if (descriptor.kind === "stream") {
        descriptors.get(fd, RIGHT.fdRead);
        const { input } = descriptor.stream;
        return input === undefined ? ERRNO.badf : readInput(context, input, list, count, doneAt);
      }
      const file = descriptors.file(fd, RIGHT.fdRead);
      const done = readFile(context, file, file.position);
      file.position += done;
      memory.setU32(doneAt, done);
      return ERRNO.success;
    },

    fd_write: (fd: number, list: number, count: number, doneAt: number) => {
      const descriptor = descriptors.get(fd);
      memory.range(doneAt, 4);
      vectors.read(memory, list, count);
      if (descriptor.kind === "stream") {
        descriptors.get(fd, RIGHT.fdWrite);
        host.charge(vectors.total);
        memory.setU32(doneAt, descriptor.stream.write?.(memory, vectors) ?? 0);
        return ERRNO.success;
      }
      const file = descriptors.file(fd, RIGHT.fdWrite);
      // Not atomic towards other programs that append to the same file.
      if ((file.flags & FD_FLAG.append) !== 0) file.position = file.file.size();
      const done = writeFile(context, file, file.position);
      file.position += done;
      memory.setU32(doneAt, done);
      return ERRNO.success;
    },

    fd_pread: (fd: number, list: number, count: number, offset: bigint, doneAt: number) => {
      const file = descriptors.file(fd, RIGHT.fdRead | RIGHT.fdSeek);
      memory.range(doneAt, 4);
      vectors.read(memory, list, count);
      memory.setU32(doneAt, readFile(context, file, toOffset(offset)));
      return ERRNO.success;
    },

    fd_pwrite: (fd: number, list: number, count: number, offset: bigint, doneAt: number) => {
      const file = descriptors.file(fd, RIGHT.fdWrite | RIGHT.fdSeek);
      memory.range(doneAt, 4);
      vectors.read(memory, list, count);
      memory.setU32(doneAt, writeFile(context, file, toOffset(offset)));
      return ERRNO.success;
    },

    fd_seek: (fd: number, delta: bigint, whence: number, positionAt: number) => {
      const asks = delta === 0n && whence === WHENCE.current;
      const file = descriptors.file(fd, asks ? 0 : RIGHT.fdSeek);
      if ((file.rights & (RIGHT.fdSeek | RIGHT.fdTell)) === 0) fail(ERRNO.notcapable);
      memory.range(positionAt, 8);
      if (whence < WHENCE.start || whence > WHENCE.end) fail(ERRNO.inval);
      const base = whence === WHENCE.start ? 0 : whence === WHENCE.current ? file.position : file.file.size();
      const position = BigInt(base) + delta;
      if (position < 0n || position > MAX_OFFSET) fail(ERRNO.inval);
      file.position = Number(position);
      memory.setU64(positionAt, position);
      return ERRNO.success;
    },

    fd_tell: (fd: number, positionAt: number) => {
      const file = descriptors.file(fd, 0);
      if ((file.rights & (RIGHT.fdSeek | RIGHT.fdTell)) === 0) fail(ERRNO.notcapable);
      memory.setU64(positionAt, BigInt(file.position));
      return ERRNO.success;
    },

    fd_advise: (fd: number, offset: bigint, length: bigint, advice: number) => {
      descriptors.file(fd, RIGHT.fdAdvise);
      toOffset(offset);
      toOffset(length);
      return advice < 0 || advice > LAST_ADVICE ? ERRNO.inval : ERRNO.success;
    },

    fd_allocate: (fd: number, offset: bigint, length: bigint) => {
      const { file } = descriptors.file(fd, RIGHT.fdAllocate);
      const end = toOffset(offset) + toOffset(length);
      if (length === 0n) fail(ERRNO.inval);
      if (end > Number.MAX_SAFE_INTEGER) fail(ERRNO.fbig);
      if (end > file.size()) resize(context, file, end);
      return ERRNO.success;
    },

    fd_filestat_set_size: (fd: number, size: bigint) => {
      const { file } = descriptors.file(fd, RIGHT.fdSetSize);
      resize(context, file, toOffset(size));
      return ERRNO.success;
    },

    fd_filestat_get: (fd: number, address: number) => {
      const descriptor = descriptors.get(fd, RIGHT.fdFilestatGet);
      memory.range(address, FILESTAT_BYTES);
      chargeCall(host);
      const stat =
        descriptor.kind === "stream" ? streamStat(grants.streamType) : descriptor.kind === "file" ? descriptor.file.stat() : descriptor.folder.stat();
      writeFileStat(context, address, stat);
      return ERRNO.success;
    },

    fd_filestat_set_times: (fd: number, accessed: bigint, modified: bigint, flags: number) => {
      const descriptor = descriptors.get(fd, RIGHT.fdSetTimes);
      const times = timesOf(accessed, modified, flags, () => grants.clock.realtimeNs());
      chargeCall(host);
      if (descriptor.kind === "file") descriptor.file.setTimes(times);
      else if (descriptor.kind === "folder") descriptor.folder.setTimes(times);
      return ERRNO.success;
    },

    fd_sync: (fd: number) => sync(context, fd, RIGHT.fdSync),
    fd_datasync: (fd: number) => sync(context, fd, RIGHT.fdDatasync),
  };
}

/** Positions and lengths of files: numbers hold them exactly up to 2^53. @throws WasiFailure `inval` */
function toOffset(value: bigint): number {
  if (value < 0n || value > MAX_OFFSET) fail(ERRNO.inval);
  return Number(value);
}

/** Reads into the buffers of the running call until they are full or the file ends. */
function readFile(context: WasiContext, { file }: FileDescriptor, position: number): number {
  const { bytes } = context.memory;
  return transfer(context, position, (start, length, at) => file.read(bytes, start, length, at));
}

/** Writes the buffers of the running call. */
function writeFile(context: WasiContext, { file }: FileDescriptor, position: number): number {
  const { bytes } = context.memory;
  return transfer(context, position, (start, length, at) => file.write(bytes, start, length, at));
}

/** Moves one buffer after the other until one comes up short. */
function transfer({ vectors, host }: WasiContext, position: number, move: (start: number, length: number, at: number) => number): number {
  chargeCall(host);
  host.charge(vectors.total);
  if (position + vectors.total > Number.MAX_SAFE_INTEGER) fail(ERRNO.fbig);
  let done = 0;
  for (let index = 0; index < vectors.count; index++) {
    const length = vectors.lengths[index] as number;
    if (length === 0) continue;
    try {
      const moved = move(vectors.starts[index] as number, length, position + done);
      done += moved;
      if (moved < length) break;
    } catch (error) {
      // What was moved before a failure is reported first; the failure comes back with the next call.
      if (done > 0 && errnoOf(error) !== undefined) break;
      throw error;
    }
  }
  return done;
}

/** Reads a standard stream, now or, if the guest can be suspended, when there is something. */
function readInput(context: WasiContext, input: Input, list: number, count: number, doneAt: number): number | Promise<number> {
  const { memory, vectors, host, waits } = context;
  const answer = vectors.total === 0 ? new Uint8Array(0) : input.ask(vectors.total);
  if (answer instanceof Uint8Array) {
    const done = vectors.scatter(memory, answer);
    host.charge(done);
    if (vectors.total > 0) input.taken(done);
    memory.setU32(doneAt, done);
    return ERRNO.success;
  }
  if (!host.canSuspend()) return ERRNO.again;
  const { generation } = waits;
  return answer.then(() => {
    // Given up while it waited: what came is for the next reader.
    if (waits.generation !== generation) return ERRNO.intr;
    // The guest may have grown its memory, and another instance may have read what came.
    memory.range(doneAt, 4);
    vectors.read(memory, list, count);
    return readInput(context, input, list, count, doneAt);
  });
}

function resize({ host }: WasiContext, file: OpenFile, size: number): void {
  chargeCall(host);
  // In memory all of it may be copied or cleared; on a disk little is done however much it is.
  host.charge(Math.min(Math.abs(size - file.size()), MAX_RESIZE_CHARGE));
  file.resize(size);
}

function sync({ descriptors, host }: WasiContext, fd: number, right: number): number {
  const descriptor = descriptors.get(fd, right);
  chargeCall(host);
  if (descriptor.kind === "file") descriptor.file.sync(right === RIGHT.fdDatasync);
  else if (descriptor.kind === "folder") descriptor.folder.sync();
  return ERRNO.success;
}
