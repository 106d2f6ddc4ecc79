// Reads a tar archive in memory (POSIX ustar and pax, GNU long names and sizes). Nothing is ever written to a file system.

import { manifestFault, quoted } from "./place.ts";

const BLOCK = 512;
/** Entries of one archive, those that describe others included. */
const MAX_ENTRIES = 1024;
/** Bytes of a pax header or a long name. */
const MAX_EXTRA_BYTES = 64 << 10;
const MAX_PATH_CHARS = 4096;

/** Where the parts of a header begin and end. */
const NAME = [0, 100] as const;
const SIZE = [124, 136] as const;
const CHECKSUM = [148, 156] as const;
const TYPE = 156;
const MAGIC = [257, 263] as const;
const PREFIX = [345, 500] as const;

/** What the kinds of entries are, by their letter; the rest is refused. */
const KINDS: ReadonlyMap<string, "file" | "folder" | "pax" | "global-pax" | "long-name" | "long-link"> = new Map([
  ["0", "file"],
  ["\0", "file"],
  ["5", "folder"],
  ["x", "pax"],
  ["g", "global-pax"],
  ["L", "long-name"],
  ["K", "long-link"],
] as const);
const REFUSED_KINDS: ReadonlyMap<string, string> = new Map([
  ["1", "a hard link"],
  ["2", "a symbolic link"],
  ["3", "a device"],
  ["4", "a device"],
  ["6", "a pipe"],
]);

/** Gives the name of a file in the archive and its content, which is part of the archive's bytes. */
export type TarFile = readonly [name: string, content: Uint8Array<ArrayBuffer>];

/**
 * Reads the regular files of an archive. Refuses the whole of it for a link, a device, a name that leads out of the folder
 * that it would be unpacked to, a name that is given twice, and anything that breaks the format.
 *
 * @param source the archive in messages
 * @throws MortiseError MORTISE_MANIFEST_INVALID saying what is wrong at which byte
 */
export function readTar(archive: Uint8Array<ArrayBuffer>, source: string): TarFile[] {
  const files = new Map<string, Uint8Array<ArrayBuffer>>();
  let longName: string | undefined;
  let pax: ReadonlyMap<string, string> = new Map();
  let count = 0;
  for (let at = 0; ;) {
    const start = at;
    const fail = (reason: string): never => {
      throw manifestFault(source, `it is no intact tar archive: ${reason} at byte ${start}`);
    };
    if (at + BLOCK > archive.length) return fail("it is cut off, without the empty block that ends an archive,");
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) return [...files];
    if (++count > MAX_ENTRIES) fail(`there are more than ${MAX_ENTRIES} entries`);
    checkChecksum(header, fail);
    const letter = String.fromCharCode(header[TYPE] as number);
    const kind = KINDS.get(letter);
    const name = longName ?? pax.get("path") ?? headerName(header, fail);
    if (kind === undefined)
      return fail(`${quoted(name)} is ${REFUSED_KINDS.get(letter) ?? `of the unknown type ${quoted(letter)}`}, which is refused,`);
    const describesNext = kind !== "file" && kind !== "folder";
    const size = describesNext ? readSize(header, fail) : (paxSize(pax, fail) ?? readSize(header, fail));
    at += BLOCK;
    if (size > archive.length - at) return fail(`${quoted(name)} has ${size} bytes, more than there are,`);
    const content = archive.subarray(at, at + size);
    at += Math.ceil(size / BLOCK) * BLOCK;
    if (describesNext) {
      if (size > MAX_EXTRA_BYTES) fail(`a header has ${size} bytes, but may have ${MAX_EXTRA_BYTES},`);
      if (kind === "long-name") longName = textOf(content, fail);
      else if (kind === "pax") pax = readPax(content, fail);
      // What holds for all entries, and targets of links, are of no use here.
      continue;
    }
    longName = undefined;
    pax = new Map();
    const path = checkPath(name, fail);
    if (kind === "folder" || name.endsWith("/")) {
      if (size > 0) fail(`the folder ${quoted(name)} has content`);
      continue;
    }
    if (files.has(path)) fail(`${quoted(path)} is there twice, the second`);
    files.set(path, content);
  }
}

type Fail = (reason: string) => never;

/** The sum of a header's bytes, with the sum itself taken as spaces; some old programs added signed bytes. */
function checkChecksum(header: Uint8Array, fail: Fail): void {
  const stated = readOctal(header, CHECKSUM, fail);
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < BLOCK; index++) {
    const byte = index >= CHECKSUM[0] && index < CHECKSUM[1] ? 0x20 : (header[index] as number);
    unsigned += byte;
    signed += (byte << 24) >> 24;
  }
  if (stated !== unsigned && stated !== signed) fail("the checksum of a header is wrong");
}

function readOctal(header: Uint8Array, [from, to]: readonly [number, number], fail: Fail): number {
  const text = String.fromCharCode(...header.subarray(from, to));
  const digits = /^ *([0-7]{1,12})[ \0]*$/.exec(text)?.[1];
  return digits === undefined ? fail(`${quoted(text)} is not an octal number`) : Number.parseInt(digits, 8);
}

/** Octal digits; or, with the first bit set, a number of base 256 (GNU). */
function readSize(header: Uint8Array, fail: Fail): number {
  const first = header[SIZE[0]] as number;
  if (first < 0x80) return readOctal(header, SIZE, fail);
  let size = first & 0x7f;
  for (const byte of header.subarray(SIZE[0] + 1, SIZE[1])) size = size * 256 + byte;
  return Number.isSafeInteger(size) ? size : fail("a size is negative or absurd");
}

function paxSize(pax: ReadonlyMap<string, string>, fail: Fail): number | undefined {
  const text = pax.get("size");
  if (text === undefined) return undefined;
  return /^\d{1,15}$/.test(text) ? Number(text) : fail(`the size ${quoted(text)} is not a number`);
}

/** Records `length key=value\n`, where the length counts itself. */
function readPax(content: Uint8Array, fail: Fail): Map<string, string> {
  const records = new Map<string, string>();
  for (let at = 0; at < content.length && content[at] !== 0;) {
    const length = /^(\d{1,6}) /.exec(String.fromCharCode(...content.subarray(at, at + 8)))?.[1];
    const end = at + Number(length);
    const valid = length !== undefined && end <= content.length && end > at + length.length + 1 && content[end - 1] === 0x0a;
    if (!valid) return fail("a pax record is broken");
    const record = textOf(content.subarray(at + length.length + 1, end - 1), fail);
    const equals = record.indexOf("=");
    if (equals < 1) return fail("a pax record is broken");
    records.set(record.slice(0, equals), record.slice(equals + 1));
    at = end;
  }
  return records;
}

function headerName(header: Uint8Array, fail: Fail): string {
  const name = textOf(header.subarray(...NAME), fail);
  // GNU archives keep other things where ustar has the first part of a long name.
  const isUstar = String.fromCharCode(...header.subarray(...MAGIC)) === "ustar\0";
  const prefix = isUstar ? textOf(header.subarray(...PREFIX), fail) : "";
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** Text up to the first NUL. */
function textOf(bytes: Uint8Array, fail: Fail): string {
  const end = bytes.indexOf(0);
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(end === -1 ? bytes : bytes.subarray(0, end));
  } catch {
    return fail("a name is not valid UTF-8");
  }
}

/** A name without `./` in front. */
function checkPath(name: string, fail: Fail): string {
  const parts = name.split("/");
  const leadsOut = name.startsWith("/") || parts.includes("..") || /^[A-Za-z]:/.test(name) || name.includes("\\");
  if (leadsOut) fail(`the name ${quoted(name)} leads out of the archive`);
  if (name === "" || name.includes("\0") || name.length > MAX_PATH_CHARS) fail("a name is empty or too long");
  return parts.filter((part) => part !== "." && part !== "").join("/");
}
