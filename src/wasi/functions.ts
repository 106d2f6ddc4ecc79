// WASI preview 1 for guests that were granted nothing: no arguments, environment, files or sockets; a coarse clock,
// random bytes, and standard streams that go nowhere. Compiled languages import these for their runtime's start.
//
// Facts: wasi_snapshot_preview1.witx of the WASI repository; errno values from its `$errno` variant.

import { randomFillSync } from "node:crypto";

/** Import module of WASI preview 1. */
export const WASI_MODULE = "wasi_snapshot_preview1";

/** What the functions need of the instance that calls them. */
export interface WasiHost {
  /** The guest's exported memory; undefined if it exports none. */
  memory(): WebAssembly.Memory | undefined;
  /** Ends the guest with an exit code. */
  exit(code: number): void;
  /** Charges units of fuel for bytes that were handled. */
  charge(bytes: number): void;
}

const ERRNO = { success: 0, badf: 8, fault: 21, inval: 28, nosys: 52 } as const;
/** Clock readings are rounded to this many nanoseconds, so that they cannot time the machine's caches. */
const CLOCK_GRAIN = 1_000_000n;
/** Bytes that node:crypto fills in one go, and that one call may ask for: more would hold the thread for long. */
const RANDOM_PART = 65_536;
const MAX_RANDOM = 1 << 20;
const MAX_VECTORS = 1024;
const VECTOR_BYTES = 8;

type WasiFunction = (host: WasiHost, ...values: (number | bigint)[]) => number;

/** A view of `[address, address + length)`, or undefined if it leaves the memory. */
function view(host: WasiHost, address: number, length: number): DataView | undefined {
  const memory = host.memory();
  const at = address >>> 0;
  if (memory === undefined || at + length > memory.buffer.byteLength) return undefined;
  return new DataView(memory.buffer, at, length);
}

function writeSizes(host: WasiHost, first: number, second: number): number {
  const a = view(host, first, 4);
  const b = view(host, second, 4);
  if (a === undefined || b === undefined) return ERRNO.fault;
  a.setUint32(0, 0, true);
  b.setUint32(0, 0, true);
  return ERRNO.success;
}

function clock(host: WasiHost, id: number, address: number, value: () => bigint): number {
  if (id < 0 || id > 3) return ERRNO.inval;
  const target = view(host, address, 8);
  if (target === undefined) return ERRNO.fault;
  target.setBigUint64(0, value(), true);
  return ERRNO.success;
}

function now(id: number): bigint {
  const nanoseconds = id === 0 ? BigInt(Date.now()) * 1_000_000n : process.hrtime.bigint();
  return nanoseconds - (nanoseconds % CLOCK_GRAIN);
}

function random(host: WasiHost, address: number, length: number): number {
  const size = length >>> 0;
  if (size > MAX_RANDOM) return ERRNO.inval;
  const target = view(host, address, size);
  if (target === undefined) return ERRNO.fault;
  host.charge(size);
  for (let at = 0; at < size; at += RANDOM_PART) {
    randomFillSync(new Uint8Array(target.buffer, target.byteOffset + at, Math.min(RANDOM_PART, size - at)));
  }
  return ERRNO.success;
}

/** Takes what is written to the standard streams, and drops it. */
function discardWrite(host: WasiHost, fd: number, vectors: number, count: number, writtenAt: number): number {
  if (fd !== 1 && fd !== 2) return ERRNO.badf;
  const vectorCount = count >>> 0;
  if (vectorCount > MAX_VECTORS) return ERRNO.inval;
  const list = view(host, vectors, vectorCount * VECTOR_BYTES);
  const written = view(host, writtenAt, 4);
  if (list === undefined || written === undefined) return ERRNO.fault;
  let total = 0;
  for (let index = 0; index < vectorCount; index++) {
    const length = list.getUint32(index * VECTOR_BYTES + 4, true);
    if (view(host, list.getUint32(index * VECTOR_BYTES, true), length) === undefined) return ERRNO.fault;
    total += length;
  }
  if (total > 0xffff_ffff) return ERRNO.inval;
  host.charge(total + vectorCount * VECTOR_BYTES);
  written.setUint32(0, total, true);
  return ERRNO.success;
}

const SUBSCRIPTION_BYTES = 48;
const EVENT_BYTES = 32;

/** Reports every clock subscription as due at once: nothing may block the thread. */
function poll(host: WasiHost, input: number, output: number, count: number, eventsAt: number): number {
  const total = count >>> 0;
  if (total === 0 || total > MAX_VECTORS) return ERRNO.inval;
  const subscriptions = view(host, input, total * SUBSCRIPTION_BYTES);
  const events = view(host, output, total * EVENT_BYTES);
  const eventCount = view(host, eventsAt, 4);
  if (subscriptions === undefined || events === undefined || eventCount === undefined) return ERRNO.fault;
  for (let index = 0; index < total; index++) {
    const userData = subscriptions.getBigUint64(index * SUBSCRIPTION_BYTES, true);
    const kind = subscriptions.getUint8(index * SUBSCRIPTION_BYTES + 8);
    events.setBigUint64(index * EVENT_BYTES, userData, true);
    events.setUint16(index * EVENT_BYTES + 8, kind === 0 ? ERRNO.success : ERRNO.badf, true);
    events.setUint8(index * EVENT_BYTES + 10, kind);
  }
  host.charge(total * SUBSCRIPTION_BYTES);
  eventCount.setUint32(0, total, true);
  return ERRNO.success;
}

/** Parameter types of each function, `i` for i32 and `I` for i64; all but `proc_exit` return an errno as i32. */
const SIGNATURES: Readonly<Record<string, string>> = {
  args_get: "ii",
  args_sizes_get: "ii",
  environ_get: "ii",
  environ_sizes_get: "ii",
  clock_res_get: "ii",
  clock_time_get: "iIi",
  fd_advise: "iIIi",
  fd_allocate: "iII",
  fd_close: "i",
  fd_datasync: "i",
  fd_fdstat_get: "ii",
  fd_fdstat_set_flags: "ii",
  fd_fdstat_set_rights: "iII",
  fd_filestat_get: "ii",
  fd_filestat_set_size: "iI",
  fd_filestat_set_times: "iIIi",
  fd_pread: "iiiIi",
  fd_prestat_get: "ii",
  fd_prestat_dir_name: "iii",
  fd_pwrite: "iiiIi",
  fd_read: "iiii",
  fd_readdir: "iiiIi",
  fd_renumber: "ii",
  fd_seek: "iIii",
  fd_sync: "i",
  fd_tell: "ii",
  fd_write: "iiii",
  path_create_directory: "iii",
  path_filestat_get: "iiiii",
  path_filestat_set_times: "iiiiIIi",
  path_link: "iiiiiii",
  path_open: "iiiiiIIii",
  path_readlink: "iiiiii",
  path_remove_directory: "iii",
  path_rename: "iiiiii",
  path_symlink: "iiiii",
  path_unlink_file: "iii",
  poll_oneoff: "iiii",
  proc_exit: "i",
  proc_raise: "i",
  random_get: "ii",
  sched_yield: "",
  sock_accept: "iii",
  sock_recv: "iiiiii",
  sock_send: "iiiii",
  sock_shutdown: "ii",
};

/** Parameter and result types of a function, or undefined if there is no such function. */
export function wasiType(name: string): { readonly params: readonly ("i32" | "i64")[]; readonly results: readonly "i32"[] } | undefined {
  if (!Object.hasOwn(SIGNATURES, name)) return undefined;
  const params = Array.from(SIGNATURES[name] ?? "", (letter) => (letter === "I" ? ("i64" as const) : ("i32" as const)));
  return { params, results: name === "proc_exit" ? [] : ["i32"] };
}

const badDescriptor: WasiFunction = () => ERRNO.badf;
const notSupported: WasiFunction = () => ERRNO.nosys;

/** Every function of preview 1; those that need a grant answer as if there were no such descriptor. */
export const WASI_FUNCTIONS: Readonly<Record<string, WasiFunction>> = {
  args_get: () => ERRNO.success,
  args_sizes_get: (host, count, size) => writeSizes(host, count as number, size as number),
  environ_get: () => ERRNO.success,
  environ_sizes_get: (host, count, size) => writeSizes(host, count as number, size as number),
  clock_res_get: (host, id, address) => clock(host, id as number, address as number, () => CLOCK_GRAIN),
  clock_time_get: (host, id, _precision, address) => clock(host, id as number, address as number, () => now(id as number)),
  fd_advise: badDescriptor,
  fd_allocate: badDescriptor,
  fd_close: badDescriptor,
  fd_datasync: badDescriptor,
  fd_fdstat_get: badDescriptor,
  fd_fdstat_set_flags: badDescriptor,
  fd_fdstat_set_rights: badDescriptor,
  fd_filestat_get: badDescriptor,
  fd_filestat_set_size: badDescriptor,
  fd_filestat_set_times: badDescriptor,
  fd_pread: badDescriptor,
  fd_prestat_get: badDescriptor,
  fd_prestat_dir_name: badDescriptor,
  fd_pwrite: badDescriptor,
  fd_read: badDescriptor,
  fd_readdir: badDescriptor,
  fd_renumber: badDescriptor,
  fd_seek: badDescriptor,
  fd_sync: badDescriptor,
  fd_tell: badDescriptor,
  fd_write: (host, fd, vectors, count, written) => discardWrite(host, fd as number, vectors as number, count as number, written as number),
  path_create_directory: badDescriptor,
  path_filestat_get: badDescriptor,
  path_filestat_set_times: badDescriptor,
  path_link: badDescriptor,
  path_open: badDescriptor,
  path_readlink: badDescriptor,
  path_remove_directory: badDescriptor,
  path_rename: badDescriptor,
  path_symlink: badDescriptor,
  path_unlink_file: badDescriptor,
  poll_oneoff: (host, input, output, count, events) => poll(host, input as number, output as number, count as number, events as number),
  proc_exit: (host, code) => {
    host.exit(code as number);
    return 0;
  },
  proc_raise: notSupported,
  random_get: (host, address, length) => random(host, address as number, length as number),
  sched_yield: () => ERRNO.success,
  sock_accept: badDescriptor,
  sock_recv: badDescriptor,
  sock_send: badDescriptor,
  sock_shutdown: badDescriptor,
};
