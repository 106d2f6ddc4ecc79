// What a guest is granted of WASI: options as a user gives them, checked once and completed.

import { invalidOption } from "../api/limits.ts";
import { type Entry, FILE_TYPE, type FileType } from "./entry.ts";
import { type Allowance, type GrantedFolder, type PathGrant, closeFolders, openFolders } from "./granted-folders.ts";
import { createMemoryFiles } from "./memory-files.ts";
import { type Input, InputBuffer, type LiveInput, fixedInput } from "./streams.ts";
import { type StringList, packStrings } from "./string-list.ts";

/** The time as guests see it; for tests. */
export interface WasiClock {
  /** Nanoseconds since 1970. */
  realtimeNs(): bigint;
  /** Nanoseconds since any moment. */
  monotonicNs(): bigint;
  /** Holds the thread. */
  block(milliseconds: number): void;
}

/** What a plugin is granted of WASI besides folders. Nothing is granted that is not named here. */
export interface WasiOptions {
  /** Arguments, the program's own name first. @default none */
  readonly args?: readonly string[];
  /** Environment variables. @default none */
  readonly env?: Readonly<Record<string, string>>;
  /** "coarse" rounds clocks to one millisecond, so that they cannot time the machine's caches. @default "coarse" */
  readonly clock?: "coarse" | "precise";
  /** Standard input: text or bytes that each instance reads from the beginning, or where input comes from as it is read. @default empty */
  readonly stdin?: string | Uint8Array | LiveInput;
  /** Takes what is written to standard output. The bytes are a copy. @default dropped */
  readonly stdout?: (bytes: Uint8Array) => void;
  /** Takes what is written to standard error. @default dropped */
  readonly stderr?: (bytes: Uint8Array) => void;
  /** Bytes that one call may write to both; then writing fails with "no space". @default 1 MiB */
  readonly outputBytes?: number;
  /** Says that the streams are a terminal, so that languages write line by line. @default false */
  readonly terminal?: boolean;
  /** Files in memory by absolute path. The plugin may change them; changes last as long as the plugin. @default none */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
  /** Bytes that the plugin may add to the files in memory; a file or folder counts 4,096 besides its content. @default 16 MiB */
  readonly fileBytes?: number;
  /** Files and folders that may be open at once, besides those that are granted. @default 64 */
  readonly descriptors?: number;
  /** Fills bytes with random ones; for tests. @default node:crypto */
  readonly random?: (bytes: Uint8Array) => void;
  /** The time; for tests. @default the system's */
  readonly now?: WasiClock;
}

export type { PathGrant } from "./granted-folders.ts";

/** What differs where a plugin runs behind a wall. */
export interface WasiPlace {
  /** What is left of each folder's quota, in the order of the folders. @default all */
  readonly allowances?: readonly Allowance[];
  /** Holds the thread for as many milliseconds, or until nobody wants what comes after. @default for the whole time */
  readonly block?: (milliseconds: number) => void;
}

/** What a plugin is granted, checked; shared by its instances. Files in memory and quotas live here. */
export interface WasiGrants {
  readonly args: StringList;
  readonly env: StringList;
  readonly clock: WasiClock;
  readonly grainNs: bigint;
  readonly input: () => Input;
  readonly stdout: ((bytes: Uint8Array) => void) | undefined;
  readonly stderr: ((bytes: Uint8Array) => void) | undefined;
  readonly outputBytes: number;
  readonly streamType: FileType;
  readonly files: Entry | undefined;
  readonly folders: readonly GrantedFolder[];
  readonly descriptors: number;
  readonly random: ((bytes: Uint8Array) => void) | undefined;
  /** Closes the granted folders; instances that still run find them gone. */
  close(): void;
}

const KNOWN: Record<keyof WasiOptions, true> = {
  args: true,
  env: true,
  clock: true,
  stdin: true,
  stdout: true,
  stderr: true,
  outputBytes: true,
  terminal: true,
  files: true,
  fileBytes: true,
  descriptors: true,
  random: true,
  now: true,
};
const DEFAULT_FILE_BYTES = 16 << 20;
const DEFAULT_OUTPUT_BYTES = 1 << 20;
const DEFAULT_DESCRIPTORS = 64;
/** Descriptors are looked for one by one, and each may be one of the process. */
const MAX_DESCRIPTORS = 4096;
const COARSE_NS = 1_000_000n;
const MAX_NAME_BYTES = 255;

const encoder = new TextEncoder();

const systemClock: WasiClock = {
  realtimeNs: () => BigInt(Date.now()) * COARSE_NS,
  monotonicNs: () => process.hrtime.bigint(),
  block: (milliseconds) => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds),
};

/**
 * Checks what is granted and fills in defaults. Holds the granted folders open until the result is closed.
 *
 * @param paths granted folders: what each folder of the host is for the plugin
 * @throws MortiseError MORTISE_INVALID_OPTION, or MORTISE_BAD_MOUNT for a folder that cannot be granted
 */
export function resolveWasi(options?: WasiOptions, paths?: Readonly<Record<string, PathGrant>>, place?: WasiPlace): WasiGrants {
  if (options !== undefined || paths !== undefined || place !== undefined) return resolve(options, paths, place);
  return (nothing ??= resolve());
}

/** What every plugin gets that asks for nothing: there is nothing in it that changes or that closing would take away. */
let nothing: WasiGrants | undefined;

function resolve(
  options: WasiOptions = {},
  paths: Readonly<Record<string, PathGrant>> = {},
  { allowances, block = (milliseconds) => systemClock.block(milliseconds) }: WasiPlace = {},
): WasiGrants {
  check("wasi", isRecord(options), options, "an object");
  for (const key of Object.keys(options)) check(`wasi.${key}`, Object.hasOwn(KNOWN, key), "unknown", `one of ${Object.keys(KNOWN).join(", ")}`);
  const { clock = "coarse", now, stdin, stdout, stderr, outputBytes = DEFAULT_OUTPUT_BYTES, terminal = false, random } = options;
  const { fileBytes = DEFAULT_FILE_BYTES, descriptors = DEFAULT_DESCRIPTORS } = options;
  check("wasi.clock", clock === "coarse" || clock === "precise", clock, '"coarse" or "precise"');
  for (const [name, value] of Object.entries({ stdout, stderr, random })) check(`wasi.${name}`, isFunctionOrNone(value), value, "a function");
  for (const [name, value] of Object.entries({ outputBytes, fileBytes })) check(`wasi.${name}`, isSize(value), value, "a whole number, not negative");
  check("wasi.terminal", typeof terminal === "boolean", terminal, "true or false");
  check("wasi.descriptors", isSize(descriptors) && descriptors <= MAX_DESCRIPTORS, descriptors, `a whole number up to ${MAX_DESCRIPTORS}`);
  checkClock(now);
  const time = now ?? { ...systemClock, block, ...(clock === "precise" ? { realtimeNs: preciseRealtimeNs } : {}) };
  const grants = {
    args: packArguments(options.args),
    env: packEnvironment(options.env),
    clock: time,
    grainNs: clock === "precise" ? 1n : COARSE_NS,
    input: inputOf(stdin),
    stdout,
    stderr,
    outputBytes,
    streamType: terminal ? FILE_TYPE.characterDevice : FILE_TYPE.unknown,
    files: options.files === undefined ? undefined : memoryFiles(options.files, fileBytes, time),
    descriptors,
    random,
  };
  // Last, since from here on there is something to close.
  const folders = openFolders(paths, grants.files === undefined ? [] : ["/"], undefined, allowances);
  return Object.freeze({ ...grants, folders, close: () => closeFolders(folders) });
}

/** Finer than Date.now, but set by the clock on the wall only when the process starts. */
function preciseRealtimeNs(): bigint {
  return BigInt(Math.round(performance.timeOrigin * 1000)) * 1000n + BigInt(Math.round(performance.now() * 1_000_000));
}

function packArguments(args: unknown = []): StringList {
  if (!Array.isArray(args)) throw invalidOption("wasi.args", kindOf(args), "an array of strings");
  const texts = args.map((text: unknown, index) => {
    if (typeof text !== "string" || text.includes("\0")) throw invalidOption(`wasi.args[${index}]`, kindOf(text), "a string without NUL");
    return text;
  });
  return packStrings(texts);
}

function packEnvironment(env: unknown = {}): StringList {
  if (!isRecord(env)) throw invalidOption("wasi.env", kindOf(env), "an object of strings");
  const texts = Object.entries(env).map(([name, value]) => {
    check(`wasi.env.${name}`, name !== "" && !/[=\0]/.test(name), "a name", "a name without = and NUL, not empty");
    if (typeof value !== "string" || value.includes("\0")) throw invalidOption(`wasi.env.${name}`, kindOf(value), "a string without NUL");
    return `${name}=${value}`;
  });
  return packStrings(texts);
}

function inputOf(stdin: unknown = ""): () => Input {
  if (typeof stdin === "string" || stdin instanceof Uint8Array) {
    const bytes = typeof stdin === "string" ? encoder.encode(stdin) : new Uint8Array(stdin);
    return () => fixedInput(bytes);
  }
  const live = stdin as LiveInput;
  check("wasi.stdin", isRecord(stdin) && typeof live.read === "function", stdin, "a string, bytes, or an object with the method read");
  const buffer = new InputBuffer(live);
  return () => buffer;
}

function memoryFiles(files: unknown, fileBytes: number, clock: WasiClock): Entry {
  if (!isRecord(files)) throw invalidOption("wasi.files", kindOf(files), "an object of contents by path");
  const contents = new Map<string, Uint8Array>();
  for (const [path, content] of Object.entries(files)) {
    const option = `wasi.files["${path}"]`;
    check(option, isFilePath(path), "a path", "an absolute path without empty parts, . and ..");
    if (typeof content !== "string" && !(content instanceof Uint8Array)) throw invalidOption(option, kindOf(content), "a string or bytes");
    contents.set(path, typeof content === "string" ? encoder.encode(content) : content);
  }
  for (const path of contents.keys()) {
    for (let end = path.indexOf("/", 1); end > 0; end = path.indexOf("/", end + 1)) {
      check(`wasi.files["${path}"]`, !contents.has(path.slice(0, end)), "in another file", "in a folder");
    }
  }
  return createMemoryFiles(contents, fileBytes, () => clock.realtimeNs());
}

function isFilePath(path: string): boolean {
  const parts = path.split("/").slice(1);
  return (
    path.startsWith("/") &&
    !path.includes("\0") &&
    parts.every((part) => part !== "" && part !== "." && part !== ".." && Buffer.byteLength(part) <= MAX_NAME_BYTES)
  );
}

function checkClock(now: unknown): void {
  if (now === undefined) return;
  const clock: Partial<WasiClock> = isRecord(now) ? now : {};
  for (const name of ["realtimeNs", "monotonicNs", "block"] as const) {
    check(`wasi.now.${name}`, typeof clock[name] === "function", clock[name], "a method");
  }
}

function check(option: string, fits: boolean, found: unknown, wanted: string): void {
  if (!fits) throw invalidOption(option, typeof found === "string" || typeof found === "number" ? String(found) : kindOf(found), wanted);
}

function isFunctionOrNone(value: unknown): boolean {
  return value === undefined || typeof value === "function";
}

function isSize(value: unknown): boolean {
  return typeof value === "number" && value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !(value instanceof Map);
}

function kindOf(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "an array" : typeof value;
}
