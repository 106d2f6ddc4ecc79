// A small assembler for the functions and sequences that the rewriter adds to a module.

/** Value types by the names of the text format, with their binary encoding. */
export const VALUE_TYPE = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b, funcref: 0x70, externref: 0x6f } as const;

/** A number type that injected functions use. */
export type NumberType = "i32" | "i64" | "f32" | "f64";

/** Unsigned LEB128. */
export function leb(value: number): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    out.push((rest % 128) | 0x80);
    rest = Math.floor(rest / 128);
  }
  out.push(rest);
  return out;
}

/** Signed LEB128 of an integer that a double holds exactly, or of a bigint. */
export function signedLeb(value: number | bigint): number[] {
  const out: number[] = [];
  let rest = BigInt(value);
  for (;;) {
    const byte = Number(rest & 0x7fn);
    rest >>= 7n;
    if ((rest === 0n && (byte & 0x40) === 0) || (rest === -1n && (byte & 0x40) !== 0)) {
      out.push(byte);
      return out;
    }
    out.push(byte | 0x80);
  }
}

/** Length-prefixed bytes of a string. */
export function nameBytes(text: string): number[] {
  const raw = new TextEncoder().encode(text);
  return [...leb(raw.length), ...raw];
}

/** No-operand instructions by name; only those that injected code uses. */
const PLAIN = {
  unreachable: 0x00,
  else: 0x05,
  end: 0x0b,
  return: 0x0f,
  drop: 0x1a,
  select: 0x1b,
  "i32.eqz": 0x45,
  "i32.eq": 0x46,
  "i32.ne": 0x47,
  "i32.lt_s": 0x48,
  "i32.lt_u": 0x49,
  "i32.gt_u": 0x4b,
  "i32.le_u": 0x4d,
  "i32.ge_u": 0x4f,
  "i64.eqz": 0x50,
  "i64.eq": 0x51,
  "i64.ne": 0x52,
  "i64.lt_u": 0x54,
  "i64.gt_u": 0x56,
  "i32.clz": 0x67,
  "i32.add": 0x6a,
  "i32.sub": 0x6b,
  "i32.mul": 0x6c,
  "i32.and": 0x71,
  "i32.or": 0x72,
  "i32.shl": 0x74,
  "i32.shr_u": 0x76,
  "i64.add": 0x7c,
  "i64.sub": 0x7d,
  "i64.and": 0x83,
  "i64.shl": 0x86,
  "i64.shr_u": 0x88,
  "i32.wrap_i64": 0xa7,
  "i64.extend_i32_u": 0xad,
  "i32.reinterpret_f32": 0xbc,
  "i64.reinterpret_f64": 0xbd,
  "f32.reinterpret_i32": 0xbe,
  "f64.reinterpret_i64": 0xbf,
} as const;

const MEMORY_OPS = {
  "i32.load": 0x28,
  "i64.load": 0x29,
  "i32.load8_u": 0x2d,
  "i32.store": 0x36,
  "i64.store": 0x37,
  "i32.store8": 0x3a,
} as const;

/** Name of an instruction without operands. */
export type PlainOp = keyof typeof PLAIN;
/** Name of a memory access. */
export type MemoryOp = keyof typeof MEMORY_OPS;

/** Collects code; every method returns the builder, so that a body reads top to bottom. */
export class CodeBuilder {
  readonly bytes: number[] = [];

  raw(...bytes: readonly number[]): this {
    for (const byte of bytes) this.bytes.push(byte);
    return this;
  }

  op(...names: readonly PlainOp[]): this {
    for (const name of names) this.bytes.push(PLAIN[name]);
    return this;
  }

  i32(value: number): this {
    return this.raw(0x41, ...signedLeb(value));
  }

  i64(value: number | bigint): this {
    return this.raw(0x42, ...signedLeb(value));
  }

  get(local: number): this {
    return this.raw(0x20, ...leb(local));
  }

  set(local: number): this {
    return this.raw(0x21, ...leb(local));
  }

  tee(local: number): this {
    return this.raw(0x22, ...leb(local));
  }

  globalGet(index: number): this {
    return this.raw(0x23, ...leb(index));
  }

  globalSet(index: number): this {
    return this.raw(0x24, ...leb(index));
  }

  call(index: number): this {
    return this.raw(0x10, ...leb(index));
  }

  callIndirect(type: number, table: number): this {
    return this.raw(0x11, ...leb(type), ...leb(table));
  }

  block(result?: NumberType): this {
    return this.raw(0x02, result === undefined ? 0x40 : VALUE_TYPE[result]);
  }

  loop(): this {
    return this.raw(0x03, 0x40);
  }

  if(result?: NumberType): this {
    return this.raw(0x04, result === undefined ? 0x40 : VALUE_TYPE[result]);
  }

  br(depth: number): this {
    return this.raw(0x0c, ...leb(depth));
  }

  brIf(depth: number): this {
    return this.raw(0x0d, ...leb(depth));
  }

  /** A load or store; the alignment is written as 1 so that no engine may assume more. */
  access(name: MemoryOp, memory: number, offset: number = 0): this {
    const code = MEMORY_OPS[name];
    return memory === 0 ? this.raw(code, 0, ...leb(offset)) : this.raw(code, 0x40, ...leb(memory), ...leb(offset));
  }

  memorySize(memory: number): this {
    return this.raw(0x3f, ...leb(memory));
  }

  memoryGrow(memory: number): this {
    return this.raw(0x40, ...leb(memory));
  }

  memoryFill(memory: number): this {
    return this.raw(0xfc, 11, ...leb(memory));
  }

  memoryCopy(to: number, from: number): this {
    return this.raw(0xfc, 10, ...leb(to), ...leb(from));
  }
}
