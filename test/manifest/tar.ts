// Builds tar archives for tests, those that no honest program makes included.

const BLOCK = 512;

/** One entry; what is not given is as an honest program writes it. */
export interface TarEntry {
  readonly name: string;
  readonly content?: string | Uint8Array;
  readonly type?: string;
  /** The twelve bytes of the size, as text. */
  readonly size?: string;
  /** First part of the name, for ustar. */
  readonly prefix?: string;
  /** @default "ustar\0" */
  readonly magic?: string;
  /** Changes the header after the checksum was made. */
  readonly damage?: (header: Uint8Array) => void;
}

/** Header and content of one entry, padded. */
export function tarEntry({ name, content = "", type = "0", size, prefix = "", magic = "ustar\0", damage }: TarEntry): Buffer {
  const bytes = Buffer.from(content as string);
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100);
  header.write("0000644\0", 100, "latin1");
  header.write(size ?? `${bytes.length.toString(8).padStart(11, "0")}\0`, 124, 12, "latin1");
  header.write("00000000000\0", 136, "latin1");
  header.write(type, 156, "latin1");
  header.write(magic, 257, "latin1");
  header.write(prefix, 345, 155);
  header.fill(" ", 148, 156);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  damage?.(header);
  return Buffer.concat([header, bytes, Buffer.alloc((BLOCK - (bytes.length % BLOCK)) % BLOCK)]);
}

/** An archive with its two empty blocks at the end. */
export function tar(...entries: readonly (TarEntry | Buffer)[]): Uint8Array<ArrayBuffer> {
  const parts = entries.map((entry) => (Buffer.isBuffer(entry) ? entry : tarEntry(entry)));
  return new Uint8Array(Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]));
}

/** A pax header for the entry after it. */
export function pax(...records: readonly (readonly [key: string, value: string])[]): TarEntry {
  return { name: "PaxHeaders/x", type: "x", content: records.map(([key, value]) => paxRecord(key, value)).join("") };
}

/** `length key=value\n`, where the length counts itself. */
function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest + 1;
  while (String(length).length + rest !== length) length = String(length).length + rest;
  return `${length} ${key}=${value}\n`;
}

/** A size as GNU writes what octal digits cannot hold: base 256 with the first bit set. */
export function base256(value: bigint): string {
  const bytes = Array.from({ length: 12 }, (_unused, index) => Number((value >> BigInt(8 * (11 - index))) & 0xffn));
  bytes[0] = (bytes[0] as number) | 0x80;
  return String.fromCharCode(...bytes);
}
