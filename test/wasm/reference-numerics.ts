// Numeric instructions of the reference interpreter: i32 as signed numbers, i64 as signed bigints, f32 rounded numbers.

export type Value = number | bigint | null;

/** A trap, with the message V8 gives the same one. */
export class Trap extends Error {}

const i64 = (value: bigint): bigint => BigInt.asIntN(64, value);
const u64 = (value: bigint): bigint => BigInt.asUintN(64, value);
const u32 = (value: number): number => value >>> 0;
const f32 = Math.fround;

const scratch = new DataView(new ArrayBuffer(8));

function divide(left: number, right: number): number {
  if (right === 0) throw new Trap("divide by zero");
  return left / right;
}

function divideSigned(left: number, right: number): number {
  const quotient = divide(left, right);
  if (quotient === 2147483648) throw new Trap("divide result unrepresentable");
  return quotient | 0;
}

function remainder(left: number, right: number): number {
  if (right === 0) throw new Trap("remainder by zero");
  return (left % right) | 0;
}

function divideWide(left: bigint, right: bigint, message = "divide by zero"): bigint {
  if (right === 0n) throw new Trap(message);
  if (left === -(1n << 63n) && right === -1n) throw new Trap("divide result unrepresentable");
  return left / right;
}

function remainderWide(left: bigint, right: bigint): bigint {
  if (right === 0n) throw new Trap("remainder by zero");
  return i64(left % right);
}

function clz64(value: bigint): bigint {
  return BigInt(64 - (value === 0n ? 0 : u64(value).toString(2).length));
}

function ctz32(value: number): number {
  return value === 0 ? 32 : 31 - Math.clz32(value & -value);
}

function ctz64(value: bigint): bigint {
  return value === 0n ? 64n : 63n - clz64(value & -value);
}

function popcnt(bits: string): number {
  return bits.replaceAll("0", "").length;
}

function nearest(value: number): number {
  if (!Number.isFinite(value) || Math.abs(value) >= 2 ** 52) return value;
  const floor = Math.floor(value);
  const part = value - floor;
  const even = floor % 2 === 0 ? floor : floor + 1;
  const rounded = part < 0.5 ? floor : part > 0.5 ? floor + 1 : even;
  return rounded === 0 && (value < 0 || Object.is(value, -0)) ? -0 : rounded;
}

function copysign(value: number, sign: number): number {
  const negative = sign < 0 || Object.is(sign, -0);
  return negative ? -Math.abs(value) : Math.abs(value);
}

function truncate(value: number, low: bigint, high: bigint): bigint {
  if (!Number.isFinite(value)) throw new Trap("float unrepresentable in integer range");
  const whole = BigInt(Math.trunc(value));
  if (whole < low || whole > high) throw new Trap("float unrepresentable in integer range");
  return whole;
}

function saturate(value: number, low: bigint, high: bigint): bigint {
  if (Number.isNaN(value)) return 0n;
  if (!Number.isFinite(value)) return value < 0 ? low : high;
  const whole = BigInt(Math.trunc(value));
  return whole < low ? low : whole > high ? high : whole;
}

const ranges: readonly (readonly [low: bigint, high: bigint])[] = [
  [-(1n << 31n), (1n << 31n) - 1n],
  [0n, (1n << 32n) - 1n],
  [-(1n << 63n), (1n << 63n) - 1n],
  [0n, (1n << 64n) - 1n],
];

type ToWhole = (value: number, low: bigint, high: bigint) => bigint;

/** Float to integer: `which` is 0 or 1 for signed and unsigned 32 bits, 2 and 3 for 64 bits. */
function toInteger(toWhole: ToWhole, value: number, which: number): Value {
  const [low, high] = ranges[which] ?? [0n, 0n];
  const whole = toWhole(value, low, high);
  return which < 2 ? Number(whole) | 0 : i64(whole);
}

type Compare = (order: number) => boolean;

const integerComparisons: readonly (readonly [compare: Compare, unsigned: boolean])[] = [
  [(order) => order === 0, false],
  [(order) => order !== 0, false],
  [(order) => order < 0, false],
  [(order) => order < 0, true],
  [(order) => order > 0, false],
  [(order) => order > 0, true],
  [(order) => order <= 0, false],
  [(order) => order <= 0, true],
  [(order) => order >= 0, false],
  [(order) => order >= 0, true],
];

function compareIntegers(which: number, left: Value, right: Value): number {
  const [compare, unsigned] = integerComparisons[which] ?? [(): boolean => false, false];
  const asked = (value: Value): bigint => {
    const wide = typeof value === "bigint" ? value : BigInt(value ?? 0);
    if (!unsigned) return wide;
    return typeof value === "bigint" ? u64(wide) : BigInt.asUintN(32, wide);
  };
  const [a, b] = [asked(left), asked(right)];
  return compare(a < b ? -1 : a > b ? 1 : 0) ? 1 : 0;
}

function compareFloats(which: number, a: number, b: number): number {
  return [a === b, a !== b, a < b, a > b, a <= b, a >= b][which] === true ? 1 : 0;
}

function binary32(which: number, a: number, b: number): number {
  switch (which) {
    case 0:
      return (a + b) | 0;
    case 1:
      return (a - b) | 0;
    case 2:
      return Math.imul(a, b);
    case 3:
      return divideSigned(a, b);
    case 4:
      return divide(u32(a), u32(b)) | 0;
    case 5:
      return remainder(a, b);
    case 6:
      return remainder(u32(a), u32(b));
    case 7:
      return a & b;
    case 8:
      return a | b;
    case 9:
      return a ^ b;
    case 10:
      return a << b;
    case 11:
      return a >> b;
    case 12:
      return (a >>> b) | 0;
    case 13:
      return (a << b) | (a >>> -b);
    default:
      return (a >>> b) | (a << -b);
  }
}

function binary64(which: number, a: bigint, b: bigint): bigint {
  const shift = u64(b) & 63n;
  switch (which) {
    case 0:
      return i64(a + b);
    case 1:
      return i64(a - b);
    case 2:
      return i64(a * b);
    case 3:
      return divideWide(a, b);
    case 4:
      return i64(divideWide(u64(a), u64(b)));
    case 5:
      return remainderWide(a, b);
    case 6:
      return remainderWide(u64(a), u64(b));
    case 7:
      return a & b;
    case 8:
      return a | b;
    case 9:
      return a ^ b;
    case 10:
      return i64(a << shift);
    case 11:
      return a >> shift;
    case 12:
      return i64(u64(a) >> shift);
    case 13:
      return i64((u64(a) << shift) | (u64(a) >> (64n - shift)));
    default:
      return i64((u64(a) >> shift) | (u64(a) << (64n - shift)));
  }
}

const unaryFloat: readonly ((value: number) => number)[] = [Math.abs, (value) => -value, Math.ceil, Math.floor, Math.trunc, nearest, Math.sqrt];

function binaryFloat(which: number, a: number, b: number): number {
  return [a + b, a - b, a * b, a / b, Math.min(a, b), Math.max(a, b), copysign(a, b)][which] ?? 0;
}

function reinterpret(code: number, value: Value): Value {
  if (code === 0xbc) {
    scratch.setFloat32(0, Number(value));
    return scratch.getInt32(0);
  }
  if (code === 0xbd) {
    scratch.setFloat64(0, Number(value));
    return scratch.getBigInt64(0);
  }
  if (code === 0xbe) {
    scratch.setInt32(0, Number(value));
    return scratch.getFloat32(0);
  }
  scratch.setBigInt64(0, BigInt(value ?? 0));
  return scratch.getFloat64(0);
}

function convert(code: number, value: Value): Value {
  const n = Number(value);
  switch (code) {
    case 0xa7:
      return Number(BigInt.asIntN(32, BigInt(value ?? 0)));
    case 0xa8:
    case 0xa9:
      return toInteger(truncate, n, code - 0xa8);
    case 0xaa:
    case 0xab:
      return toInteger(truncate, n, code - 0xaa);
    case 0xac:
      return BigInt(n);
    case 0xad:
      return BigInt(u32(n));
    case 0xae:
    case 0xaf:
      return toInteger(truncate, n, code - 0xae + 2);
    case 0xb0:
    case 0xb1:
      return toInteger(truncate, n, code - 0xb0 + 2);
    case 0xb2:
    case 0xb4:
    case 0xb6:
      return f32(n);
    case 0xb3:
      return f32(u32(n));
    case 0xb5:
      return f32(Number(u64(BigInt(value ?? 0))));
    case 0xb7:
    case 0xb9:
    case 0xbb:
      return n;
    case 0xb8:
      return u32(n);
    case 0xba:
      return Number(u64(BigInt(value ?? 0)));
    case 0xc0:
      return (n << 24) >> 24;
    case 0xc1:
      return (n << 16) >> 16;
    case 0xc2:
    case 0xc3:
    case 0xc4:
      return BigInt.asIntN(8 << (code - 0xc2), BigInt(value ?? 0));
    default:
      return reinterpret(code, value);
  }
}

/** Number of operands of a numeric instruction, 0 if `code` is none. */
export function numericOperands(code: number): 0 | 1 | 2 {
  if (code >= 0xfc00 && code <= 0xfc07) return 1;
  if (code < 0x45 || code > 0xc4) return 0;
  const unary =
    code === 0x45 ||
    code === 0x50 ||
    (code >= 0x67 && code <= 0x69) ||
    (code >= 0x79 && code <= 0x7b) ||
    (code >= 0x8b && code <= 0x91) ||
    (code >= 0x99 && code <= 0x9f) ||
    code >= 0xa7;
  return unary ? 1 : 2;
}

/** Executes a numeric instruction; throws {@link Trap}. */
export function numeric(code: number, a: Value, b: Value): Value {
  if (code >= 0xfc00) {
    const which = code - 0xfc00;
    return toInteger(saturate, Number(a), (which & 1) + (which < 4 ? 0 : 2));
  }
  if (code === 0x45 || code === 0x50) return Number(a) === 0 ? 1 : 0;
  if (code <= 0x4f) return compareIntegers(code - 0x46, a, b);
  if (code <= 0x5a) return compareIntegers(code - 0x51, a, b);
  if (code <= 0x66) return compareFloats((code - 0x5b) % 6, Number(a), Number(b));
  if (code <= 0x69) return [Math.clz32, ctz32, (value: number): number => popcnt(u32(value).toString(2))][code - 0x67]?.(Number(a)) ?? 0;
  if (code <= 0x78) return binary32(code - 0x6a, Number(a), Number(b));
  if (code <= 0x7b) {
    const value = BigInt(a ?? 0);
    return [clz64, ctz64, (wide: bigint): bigint => BigInt(popcnt(u64(wide).toString(2)))][code - 0x79]?.(value) ?? 0n;
  }
  if (code <= 0x8a) return binary64(code - 0x7c, BigInt(a ?? 0), BigInt(b ?? 0));
  if (code <= 0x91) return f32(unaryFloat[code - 0x8b]?.(Number(a)) ?? 0);
  if (code <= 0x98) return f32(binaryFloat(code - 0x92, Number(a), Number(b)));
  if (code <= 0x9f) return unaryFloat[code - 0x99]?.(Number(a)) ?? 0;
  if (code <= 0xa6) return binaryFloat(code - 0xa0, Number(a), Number(b));
  return convert(code, a);
}
