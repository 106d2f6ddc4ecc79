// Looks symbols up in an ELF library as the dynamic linker finds them: by program headers, dynamic section and hash
// table. Section headers, which can be stripped or can lie, are not read. Every access is bounded by the file.
//
// Source of the format: System V ABI, "Object Files" and "Program Loading and Dynamic Linking"; the GNU hash table as
// glibc reads it.

/** Which of the symbols that were asked for a library defines, and which it wants from others. */
export interface ElfSymbols {
  /** `e_machine`. */
  readonly machine: number;
  readonly defined: ReadonlySet<string>;
  readonly wanted: ReadonlySet<string>;
}

const TYPE_SHARED = 3;
const SEGMENT = { load: 1, dynamic: 2 } as const;
const TAG = { hash: 4, strings: 5, symbols: 6, stringBytes: 10, gnuHash: 0x6fff_fef5 } as const;

/**
 * Reads the dynamic symbols of a library.
 *
 * @param names symbols to look for; with `*` at the end, those that begin so, which are reported under that name
 * @throws RangeError what is wrong with the file
 */
export function readElfSymbols(bytes: Uint8Array, names: readonly string[]): ElfSymbols {
  const file = openElf(bytes);
  const dynamic = readDynamic(file);
  const address = (tag: number, what: string): number => {
    const value = dynamic.get(tag);
    if (value === undefined) throw new RangeError(`it has no ${what}`);
    return fileOffset(file, value);
  };
  const strings = address(TAG.strings, "table of names");
  const stringsEnd = Math.min(strings + (dynamic.get(TAG.stringBytes) ?? 0), bytes.length);
  const symbols = address(TAG.symbols, "table of symbols");
  const count = Math.min(countSymbols(file, dynamic), Math.floor((bytes.length - symbols) / file.symbolBytes));
  const defined = new Set<string>();
  const wanted = new Set<string>();
  const patterns = names.map(toPattern);
  for (let index = 1; index < count; index++) {
    const at = symbols + index * file.symbolBytes;
    const name = strings + file.view.getUint32(at, file.little);
    const section = file.view.getUint16(at + (file.wide ? 6 : 14), file.little);
    for (const pattern of patterns) if (matches(bytes, name, stringsEnd, pattern)) (section === 0 ? wanted : defined).add(pattern.name);
  }
  return { machine: file.machine, defined, wanted };
}

interface Elf {
  readonly view: DataView;
  readonly little: boolean;
  /** 64 bits, not 32. */
  readonly wide: boolean;
  readonly machine: number;
  readonly symbolBytes: number;
  readonly segments: readonly Segment[];
}

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly bytes: number;
}

function openElf(bytes: Uint8Array): Elf {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [kind, order] = [view.getUint8(4), view.getUint8(5)];
  if (kind < 1 || kind > 2 || order < 1 || order > 2) throw new RangeError("its header is broken");
  const wide = kind === 2;
  const little = order === 1;
  if (view.getUint16(16, little) !== TYPE_SHARED) throw new RangeError("it is no shared library");
  const at = word(view, wide ? 32 : 28, wide, little);
  const size = view.getUint16(wide ? 54 : 42, little);
  const count = view.getUint16(wide ? 56 : 44, little);
  if (size < (wide ? 56 : 32)) throw new RangeError("its program headers are broken");
  const segments = Array.from({ length: count }, (_none, index): Segment => {
    const header = at + index * size;
    const field = (narrowAt: number, wideAt: number): number => word(view, header + (wide ? wideAt : narrowAt), wide, little);
    return { type: view.getUint32(header, little), offset: field(4, 8), address: field(8, 16), bytes: field(16, 32) };
  });
  return { view, little, wide, machine: view.getUint16(18, little), symbolBytes: wide ? 24 : 16, segments };
}

/** An address or size; what does not fit a number lies outside of any file. */
function word(view: DataView, at: number, wide: boolean, little: boolean): number {
  return wide ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little);
}

/** Values by tag; the last one counts, as for the linker. */
function readDynamic({ view, wide, little, segments }: Elf): ReadonlyMap<number, number> {
  const segment = segments.find(({ type }) => type === SEGMENT.dynamic);
  if (segment === undefined) throw new RangeError("it has no dynamic section");
  const size = wide ? 16 : 8;
  const values = new Map<number, number>();
  for (let at = segment.offset; at + size <= segment.offset + segment.bytes; at += size) {
    const tag = word(view, at, wide, little);
    if (tag === 0) break;
    values.set(tag, word(view, at + size / 2, wide, little));
  }
  return values;
}

function fileOffset({ segments }: Elf, address: number): number {
  const segment = segments.find(({ type, ...at }) => type === SEGMENT.load && address >= at.address && address - at.address < at.bytes);
  if (segment === undefined) throw new RangeError("its dynamic section points outside of it");
  return address - segment.address + segment.offset;
}

/** The table of symbols says nowhere how long it is; the hash tables do. */
function countSymbols(file: Elf, dynamic: ReadonlyMap<number, number>): number {
  const { view, little, wide } = file;
  const plain = dynamic.get(TAG.hash);
  if (plain !== undefined) return view.getUint32(fileOffset(file, plain) + 4, little);
  const gnu = dynamic.get(TAG.gnuHash);
  if (gnu === undefined) throw new RangeError("it has no hash table of symbols");
  const at = fileOffset(file, gnu);
  const [buckets, first, bloomWords] = [0, 4, 8].map((offset) => view.getUint32(at + offset, little)) as [number, number, number];
  const bucketsAt = at + 16 + bloomWords * (wide ? 8 : 4);
  let last = 0;
  for (let index = 0; index < buckets; index++) last = Math.max(last, view.getUint32(bucketsAt + index * 4, little));
  if (last < first) return first;
  const chainsAt = bucketsAt + buckets * 4;
  // The lowest bit marks the end of a chain; the file's end ends one that has none.
  while ((view.getUint32(chainsAt + (last - first) * 4, little) & 1) === 0) last++;
  return last + 1;
}

interface Pattern {
  readonly name: string;
  readonly bytes: Uint8Array;
}

function toPattern(name: string): Pattern {
  return { name, bytes: new TextEncoder().encode(name.endsWith("*") ? name.slice(0, -1) : `${name}\0`) };
}

function matches(bytes: Uint8Array, at: number, end: number, pattern: Pattern): boolean {
  if (bytes[at] !== pattern.bytes[0] || at + pattern.bytes.length > end) return false;
  return pattern.bytes.every((byte, index) => bytes[at + index] === byte);
}
