// Reads the modules the reference interpreter runs. Written apart from the rewriter's own reader on purpose: two
// readings of one format that agree are worth more than one. Only valid modules are given to it, so it checks little.

export interface FunctionType {
  readonly params: readonly number[];
  readonly results: readonly number[];
}

/** One instruction: the opcode (prefixed ones as 0xfc00 + number), its immediates, and for blocks where they end. */
export interface Instruction {
  readonly code: number;
  /** First immediate: an index, a constant, a label, an offset. */
  readonly a: number;
  readonly b: number;
  readonly wide: bigint;
  readonly targets: readonly number[];
  /** Type of a block: `undefined` for none, or one value type, or a function type. */
  readonly block: FunctionType | undefined;
  /** Whether the block's type is given by index, which is what moving its values is charged by. */
  readonly typed: boolean;
  /** Position of the matching `end`, and of the `else` if there is one. */
  end: number;
  otherwise: number;
}

export interface Body {
  readonly type: FunctionType;
  readonly locals: readonly number[];
  /** Bytes of the body. */
  readonly size: number;
  readonly code: readonly Instruction[];
}

/** A constant expression, reduced to what the interpreter needs. */
export interface Constant {
  readonly kind: "value" | "global" | "function" | "null";
  readonly value: number | bigint;
}

export interface Segment<Item> {
  readonly items: readonly Item[];
  /** Where an active segment goes; `undefined` for a passive one. */
  readonly offset: Constant | undefined;
  readonly declarative: boolean;
}

export interface ReferenceModule {
  readonly types: readonly FunctionType[];
  readonly importedFunctions: readonly { readonly module: string; readonly name: string; readonly type: FunctionType }[];
  readonly bodies: readonly Body[];
  readonly memory: { readonly minimum: number; readonly maximum: number } | undefined;
  readonly table: { readonly minimum: number; readonly maximum: number } | undefined;
  readonly globals: readonly Constant[];
  readonly exports: ReadonlyMap<string, { readonly kind: number; readonly index: number }>;
  readonly start: number | undefined;
  readonly elements: readonly Segment<Constant>[];
  readonly data: readonly Segment<number>[];
}

class Cursor {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.at = at;
  }

  byte(): number {
    return this.#view.getUint8(this.at++);
  }

  unsigned(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.byte();
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  signed(): bigint {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asIntN(Number(shift) + 7, value);
    }
  }

  float32(): number {
    this.at += 4;
    return this.#view.getFloat32(this.at - 4, true);
  }

  float64(): number {
    this.at += 8;
    return this.#view.getFloat64(this.at - 8, true);
  }

  take(count: number): Uint8Array {
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  text(): string {
    return new TextDecoder().decode(this.take(this.unsigned()));
  }

  list<Item>(read: () => Item): Item[] {
    return Array.from({ length: this.unsigned() }, read);
  }
}

function readLimits(cursor: Cursor): { minimum: number; maximum: number } {
  const bounded = cursor.byte() === 1;
  const minimum = cursor.unsigned();
  return { minimum, maximum: bounded ? cursor.unsigned() : Infinity };
}

function readConstant(cursor: Cursor): Constant {
  const code = cursor.byte();
  const constant = ((): Constant => {
    switch (code) {
      case 0x41:
        return { kind: "value", value: Number(cursor.signed()) };
      case 0x42:
        return { kind: "value", value: cursor.signed() };
      case 0x43:
        return { kind: "value", value: cursor.float32() };
      case 0x44:
        return { kind: "value", value: cursor.float64() };
      case 0x23:
        return { kind: "global", value: cursor.unsigned() };
      case 0xd2:
        return { kind: "function", value: cursor.unsigned() };
      case 0xd0:
        cursor.byte();
        return { kind: "null", value: 0 };
      default:
        throw new Error(`The reference reader knows no constant instruction 0x${code.toString(16)}`);
    }
  })();
  cursor.byte(); // end
  return constant;
}

function readElement(cursor: Cursor): Segment<Constant> {
  const flags = cursor.unsigned();
  const active = (flags & 1) === 0;
  if (active && (flags & 2) !== 0) cursor.unsigned(); // the table: there is one
  const offset = active ? readConstant(cursor) : undefined;
  if ((flags & 3) !== 0) cursor.byte(); // element kind or reference type
  const byIndex = (): Constant => ({ kind: "function", value: cursor.unsigned() });
  const items = cursor.list((flags & 4) === 0 ? byIndex : () => readConstant(cursor));
  return { items, offset, declarative: !active && (flags & 2) !== 0 };
}

function readData(cursor: Cursor): Segment<number> {
  const flags = cursor.unsigned();
  if (flags === 2) cursor.unsigned();
  const offset = flags === 1 ? undefined : readConstant(cursor);
  return { items: [...cursor.take(cursor.unsigned())], offset, declarative: false };
}

interface Immediates {
  a?: number;
  b?: number;
  wide?: bigint;
  targets?: number[];
  block?: FunctionType | undefined;
  typed?: boolean;
}

function readImmediates(cursor: Cursor, code: number, types: readonly FunctionType[]): Immediates {
  if (code === 0x02 || code === 0x03 || code === 0x04) return readBlockType(cursor, types);
  if (code === 0x0e) return { targets: cursor.list(() => cursor.unsigned()), a: cursor.unsigned() };
  if (code === 0x11 || code === 0x13) return { a: cursor.unsigned(), b: cursor.unsigned() };
  if (code >= 0x28 && code <= 0x3e) return { b: cursor.unsigned(), a: cursor.unsigned() };
  if (code === 0x41) return { a: Number(cursor.signed()) };
  if (code === 0x42) return { wide: cursor.signed() };
  if (code === 0x43) return { a: cursor.float32() };
  if (code === 0x44) return { a: cursor.float64() };
  if (code === 0x1c) return { targets: cursor.list(() => cursor.byte()) };
  if (oneIndex.has(code)) return { a: cursor.unsigned() };
  if (twoIndexes.has(code)) return { a: cursor.unsigned(), b: cursor.unsigned() };
  return {};
}

const oneIndex: ReadonlySet<number> = new Set([
  0x0c, 0x0d, 0x10, 0x12, 0x20, 0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x3f, 0x40, 0xd0, 0xd2, 0xfc09, 0xfc0b, 0xfc0d, 0xfc0f, 0xfc10, 0xfc11,
]);
const twoIndexes: ReadonlySet<number> = new Set([0xfc08, 0xfc0a, 0xfc0c, 0xfc0e]);

function readBlockType(cursor: Cursor, types: readonly FunctionType[]): Immediates {
  const type = Number(cursor.signed());
  if (type >= 0) return { block: types[type], typed: true };
  return type === -64 ? {} : { block: { params: [], results: [type + 128] } };
}

function readCode(cursor: Cursor, end: number, types: readonly FunctionType[]): Instruction[] {
  const code: Instruction[] = [];
  const open: Instruction[] = [];
  while (cursor.at < end) {
    const first = cursor.byte();
    const opcode = first === 0xfc ? 0xfc00 + cursor.unsigned() : first;
    const given = readImmediates(cursor, opcode, types);
    const instruction: Instruction = {
      code: opcode,
      a: given.a ?? 0,
      b: given.b ?? 0,
      wide: given.wide ?? 0n,
      targets: given.targets ?? [],
      block: given.block,
      typed: given.typed ?? false,
      end: -1,
      otherwise: -1,
    };
    if (opcode >= 0x02 && opcode <= 0x04) open.push(instruction);
    const innermost = open.at(-1);
    if (opcode === 0x05 && innermost !== undefined) innermost.otherwise = code.length;
    if (opcode === 0x0b && innermost !== undefined) {
      innermost.end = code.length;
      open.pop();
    }
    code.push(instruction);
  }
  return code;
}

function readBody(cursor: Cursor, type: FunctionType, types: readonly FunctionType[]): Body {
  const size = cursor.unsigned();
  const end = cursor.at + size;
  const locals = cursor.list(() => {
    const count = cursor.unsigned();
    const valueType = cursor.byte();
    return Array.from({ length: count }, () => valueType);
  });
  return { type, locals: locals.flat(), size, code: readCode(cursor, end, types) };
}

/** Reads a valid module of the core format with one memory and one table at most. */
export function readReferenceModule(bytes: Uint8Array): ReferenceModule {
  const types: FunctionType[] = [];
  const importedFunctions: { module: string; name: string; type: FunctionType }[] = [];
  const bodies: Body[] = [];
  const exported = new Map<string, { kind: number; index: number }>();
  let functionTypes: number[] = [];
  let memory: ReferenceModule["memory"];
  let table: ReferenceModule["table"];
  let globals: Constant[] = [];
  let start: number | undefined;
  let elements: Segment<Constant>[] = [];
  let data: Segment<number>[] = [];
  const typeAt = (index: number): FunctionType => types[index] ?? { params: [], results: [] };
  const cursor = new Cursor(bytes, 8);
  while (cursor.at < bytes.length) {
    const section = cursor.byte();
    const end = cursor.unsigned() + cursor.at;
    if (section === 1) {
      const count = cursor.unsigned();
      for (let left = count; left > 0; left--) {
        cursor.byte();
        types.push({ params: cursor.list(() => cursor.byte()), results: cursor.list(() => cursor.byte()) });
      }
    } else if (section === 2) {
      for (let left = cursor.unsigned(); left > 0; left--) {
        const [module, name, kind] = [cursor.text(), cursor.text(), cursor.byte()];
        if (kind !== 0) throw new Error("The reference reader knows no imports but functions");
        importedFunctions.push({ module, name, type: typeAt(cursor.unsigned()) });
      }
    } else if (section === 3) functionTypes = cursor.list(() => cursor.unsigned());
    else if (section === 4) {
      [table] = cursor.list(() => (cursor.byte(), readLimits(cursor)));
    } else if (section === 5) [memory] = cursor.list(() => readLimits(cursor));
    else if (section === 6) globals = cursor.list(() => (cursor.take(2), readConstant(cursor)));
    else if (section === 7) {
      for (let left = cursor.unsigned(); left > 0; left--) {
        exported.set(cursor.text(), { kind: cursor.byte(), index: cursor.unsigned() });
      }
    } else if (section === 8) start = cursor.unsigned();
    else if (section === 9) elements = cursor.list(() => readElement(cursor));
    else if (section === 10) {
      const count = cursor.unsigned();
      for (let at = 0; at < count; at++) bodies.push(readBody(cursor, typeAt(functionTypes[at] ?? 0), types));
    } else if (section === 11) data = cursor.list(() => readData(cursor));
    cursor.at = end;
  }
  return { types, importedFunctions, bodies, memory, table, globals, exports: exported, start, elements, data };
}
