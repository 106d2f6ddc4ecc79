// Writes small ELF libraries with chosen dynamic symbols, and wrong ones.

/** What a library is to have. */
export interface ElfPlan {
  readonly wide?: boolean;
  readonly little?: boolean;
  readonly machine?: number;
  /** Names of symbols that it defines, and of those that it wants. */
  readonly defined?: readonly string[];
  readonly wanted?: readonly string[];
  /** Which hash table says how many symbols there are. @default "gnu" */
  readonly hash?: "gnu" | "plain" | "none";
  /** Changes numbers by the place that they have, such as `strings` or `symbols`. */
  readonly change?: (field: string, value: number) => number;
}

/** Offset in the file and address in memory differ, as they do in real libraries. */
const BASE = 0x1000;

/** The bytes of a library. */
export function writeElf(plan: ElfPlan = {}): Uint8Array<ArrayBuffer> {
  const { wide = true, little = true, machine = 62, defined = [], wanted = [], hash = "gnu", change = (_field, value) => value } = plan;
  const out = Buffer.alloc(1 << 14);
  const view = new DataView(out.buffer, out.byteOffset, out.byteLength);
  const u16 = (at: number, value: number): void => view.setUint16(at, value, little);
  const u32 = (at: number, value: number): void => view.setUint32(at, value >>> 0, little);
  const word = (at: number, value: number): void => (wide ? view.setBigUint64(at, BigInt(value), little) : u32(at, value));
  const field = (name: string, at: number, value: number): void => word(at, change(name, value));

  // Undefined symbols come first, as the GNU hash table wants it.
  const names = [...wanted, ...defined];
  const symbolBytes = wide ? 24 : 16;
  const [symbolsAt, stringsAt, hashAt, dynamicAt] = [0x200, 0x1000, 0x2000, 0x3000];
  let string = 1;
  for (const [index, name] of names.entries()) {
    const at = symbolsAt + (index + 1) * symbolBytes;
    u32(at, change(`name ${name}`, string));
    u16(at + (wide ? 6 : 14), index < wanted.length ? 0 : 7);
    string += out.write(`${name}\0`, stringsAt + string, "latin1");
  }
  if (hash === "plain") {
    u32(hashAt, 1);
    u32(hashAt + 4, change("count", names.length + 1));
  } else {
    // One bucket, one word of the bloom filter; the end of the only chain is marked.
    u32(hashAt, change("buckets", 1));
    u32(hashAt + 4, wanted.length + 1);
    u32(hashAt + 8, change("bloom", 1));
    const bucketAt = hashAt + 16 + (wide ? 8 : 4);
    u32(bucketAt, defined.length === 0 ? 0 : change("bucket", wanted.length + 1));
    for (let index = 0; index < defined.length; index++) u32(bucketAt + 4 + index * 4, index === defined.length - 1 ? change("end", 1) : 2);
  }
  const tags: (readonly [tag: number, field: string, value: number])[] = [
    [5, "strings", BASE + stringsAt],
    [6, "symbols", BASE + symbolsAt],
    [10, "stringBytes", string],
  ];
  if (hash !== "none") tags.push(hash === "plain" ? [4, "hash", BASE + hashAt] : [0x6fff_fef5, "hash", BASE + hashAt]);
  const entry = wide ? 16 : 8;
  for (const [index, [tag, name, value]] of tags.entries()) {
    word(dynamicAt + index * entry, tag);
    field(name, dynamicAt + index * entry + entry / 2, value);
  }

  out.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, little ? 1 : 2, 1]);
  u16(16, change("type", 3));
  u16(18, machine);
  field("headers", wide ? 32 : 28, 64);
  u16(wide ? 54 : 42, change("headerBytes", wide ? 56 : 32));
  u16(wide ? 56 : 44, change("headerCount", 2));
  const segment = (at: number, type: number, offset: number, address: number, bytes: number): void => {
    u32(at, type);
    word(at + (wide ? 8 : 4), offset);
    word(at + (wide ? 16 : 8), address);
    word(at + (wide ? 32 : 16), bytes);
  };
  segment(64, 1, 0, BASE, 0x4000);
  segment(64 + (wide ? 56 : 32), 2, change("dynamic", dynamicAt), BASE + dynamicAt, change("dynamicBytes", (tags.length + 1) * entry));
  return Uint8Array.from(out);
}
