// A guest without code: memory that is full of question marks, and calls of the functions it would import.

import { type Wasi, type WasiHost, createWasi } from "../../src/wasi/wasi.ts";
import { type PathGrant, closeFolders, openFolders } from "../../src/wasi/granted-folders.ts";
import type { HandleKind } from "../../src/wasi/mount-handles.ts";
import { type WasiOptions, resolveWasi } from "../../src/wasi/options.ts";
import { ERRNO } from "../../src/wasi/errno.ts";

const PAGE = 65_536;
const CANARY = 0x3f;
/** Where results go, and where what is passed in goes. */
export const OUT = 1024;
const SCRATCH = 2 * PAGE;
const SCRATCH_END = 4 * PAGE;

type Run = (...values: (number | bigint)[]) => unknown;

/** All rights of preview 1 but those of sockets. */
export const ALL_RIGHTS: bigint = (1n << 28n) - 1n;

/** How a path is opened. */
export interface OpenWish {
  readonly lookup?: number;
  readonly oflags?: number;
  readonly rights?: bigint;
  readonly inheriting?: bigint;
  readonly fdflags?: number;
}

/** Calls functions of preview 1 over one memory, whoever provides them. */
export class Guest {
  readonly memory: WebAssembly.Memory;
  readonly #functions: Readonly<Record<string, Run>>;
  #scratch = SCRATCH;

  constructor(memory: WebAssembly.Memory, functions: Readonly<Record<string, unknown>>) {
    this.memory = memory;
    this.#functions = functions as Readonly<Record<string, Run>>;
    this.bytes.fill(CANARY);
  }

  get bytes(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.memory.buffer);
  }

  get view(): DataView<ArrayBuffer> {
    return new DataView(this.memory.buffer);
  }

  /** Calls a function that answers at once. */
  run(name: string, ...values: (number | bigint)[]): number {
    const result = this.start(name, ...values);
    if (typeof result !== "number") throw new Error(`${name} did not answer at once`);
    return result;
  }

  /** Calls a function. */
  start(name: string, ...values: (number | bigint)[]): unknown {
    const work = this.#functions[name];
    if (work === undefined) throw new Error(`there is no ${name}`);
    return work(...values);
  }

  /** Puts bytes into the memory; returns address and length. */
  put(data: string | Uint8Array): [address: number, length: number] {
    const bytes = typeof data === "string" ? new TextEncoder().encode(data) : data;
    if (this.#scratch + bytes.length > SCRATCH_END) this.#scratch = SCRATCH;
    const address = this.#scratch;
    this.bytes.set(bytes, address);
    // Node's own preview 1 reads on until a NUL in places; ours finds canaries in the rest.
    this.bytes[address + bytes.length] = 0;
    this.#scratch += (bytes.length + 8) & ~7;
    return [address, bytes.length];
  }

  /** Bytes as text, canaries included. */
  text(address: number, length: number): string {
    return new TextDecoder().decode(this.bytes.slice(address, address + length));
  }

  /** A list of buffers; returns its address and their count. */
  vectors(...buffers: readonly (readonly [address: number, length: number])[]): [address: number, count: number] {
    const list = new Uint8Array(buffers.length * 8);
    const view = new DataView(list.buffer);
    for (const [index, [address, length]] of buffers.entries()) {
      view.setUint32(index * 8, address, true);
      view.setUint32(index * 8 + 4, length, true);
    }
    return [this.put(list)[0], buffers.length];
  }

  /** Opens a path; a new descriptor, or the error number negated. */
  open(path: string | Uint8Array, wish: OpenWish = {}, fd = 3): number {
    const { lookup = 1, oflags = 0, rights = READ_WRITE, inheriting = ALL_RIGHTS, fdflags = 0 } = wish;
    const errno = this.run("path_open", fd, lookup, ...this.put(path), oflags, rights, inheriting, fdflags, OUT);
    return errno === 0 ? this.view.getUint32(OUT, true) : -errno;
  }

  /** Opens a path for reading alone. */
  openRead(path: string | Uint8Array, fd = 3, lookup = 1): number {
    return this.open(path, { rights: READ, lookup }, fd);
  }

  /** What is read from a descriptor, or the error number negated. */
  read(fd: number, length = 4096): string | number {
    const errno = this.run("fd_read", fd, ...this.vectors([OUT + 8, length]), OUT);
    return errno === 0 ? this.text(OUT + 8, this.view.getUint32(OUT, true)) : -errno;
  }

  /** How many bytes were written, or the error number negated. */
  write(fd: number, data: string | Uint8Array): number {
    const errno = this.run("fd_write", fd, ...this.vectors(this.put(data)), OUT);
    return errno === 0 ? this.view.getUint32(OUT, true) : -errno;
  }

  /** What a file holds, or the error number negated. */
  content(path: string | Uint8Array, fd = 3): string | number {
    const opened = this.openRead(path, fd);
    if (opened < 0) return opened;
    const content = this.read(opened, 60_000);
    this.run("fd_close", opened);
    return content;
  }

  /** Names and types in a folder in their order, or the error number negated. */
  list(fd: number, bufferBytes = 4096): string[] | number {
    const names: string[] = [];
    for (let cookie = 0n; ;) {
      const errno = this.run("fd_readdir", fd, OUT + 8, bufferBytes, cookie, OUT);
      if (errno !== 0) return -errno;
      const used = this.view.getUint32(OUT, true);
      let at = 0;
      while (at + 24 <= used) {
        const length = this.view.getUint32(OUT + 8 + at + 16, true);
        if (at + 24 + length > used) break;
        cookie = this.view.getBigUint64(OUT + 8 + at, true);
        names.push(`${this.text(OUT + 8 + at + 24, length)}:${this.view.getUint8(OUT + 8 + at + 20)}`);
        at += 24 + length;
      }
      if (used < bufferBytes) return names;
      if (at === 0) throw new Error("the buffer is too small for a name");
    }
  }

  /** A function that takes a descriptor and a path. */
  path(name: string, path: string | Uint8Array, fd = 3): number {
    return this.run(name, fd, ...this.put(path));
  }

  /** Type, links and size at a path, or the error number negated. */
  stat(path: string | Uint8Array, lookup = 0, fd = 3): { type: number; links: bigint; size: bigint } | number {
    const errno = this.run("path_filestat_get", fd, lookup, ...this.put(path), OUT);
    if (errno !== 0) return -errno;
    const { view } = this;
    return { type: view.getUint8(OUT + 16), links: view.getBigUint64(OUT + 24, true), size: view.getBigUint64(OUT + 32, true) };
  }
}

/** Rights for reading, and for reading and writing, as languages ask for them. */
export const READ: bigint = ALL_RIGHTS & ~((1n << 0n) | (1n << 6n) | (1n << 8n) | (1n << 22n));
export const READ_WRITE: bigint = ALL_RIGHTS & ~(1n << 14n);

/** What a test may change of the instance. */
export interface HostState {
  suspend: boolean;
  timeLeftMs: number;
  charged: number;
  exits: number[];
}

/** A guest of Mortise. */
export interface MortiseGuest extends Guest {
  readonly wasi: Wasi;
  readonly host: HostState;
  close(): void;
}

/** How grants are made for a test, beyond what users say. */
export interface GuestSetup {
  /** How granted folders are held. @default as this system does it */
  readonly handles?: HandleKind;
}

/** A guest with grants of its own; close it. */
export function mortiseGuest(options?: WasiOptions, paths: Readonly<Record<string, PathGrant>> = {}, { handles }: GuestSetup = {}): MortiseGuest {
  const resolved = resolveWasi(options);
  const folders = openFolders(paths, resolved.files === undefined ? [] : ["/"], handles);
  const guest = instanceOf({ ...resolved, folders });
  return Object.assign(guest, {
    close: () => {
      guest.wasi.close();
      closeFolders(folders);
    },
  });
}

/** One more instance over the same grants. */
export function instanceOf(grants: ReturnType<typeof resolveWasi>): MortiseGuest {
  const memory = new WebAssembly.Memory({ initial: 8 });
  const state: HostState = { suspend: false, timeLeftMs: Number.POSITIVE_INFINITY, charged: 0, exits: [] };
  const host: WasiHost = {
    memory: () => memory,
    exit: (code) => void state.exits.push(code),
    charge: (bytes) => {
      state.charged += bytes;
    },
    timeLeftMs: () => state.timeLeftMs,
    canSuspend: () => state.suspend,
  };
  const wasi = createWasi(grants, host);
  return Object.assign(new Guest(memory, wasi.functions), { wasi, host: state, close: () => wasi.close() });
}

/** The name of an error number, negated or not, for messages that can be read. */
export function errnoName(result: unknown): unknown {
  if (typeof result !== "number" || result > 0) return result;
  return Object.entries(ERRNO).find(([, value]) => value === -result)?.[0] ?? result;
}
