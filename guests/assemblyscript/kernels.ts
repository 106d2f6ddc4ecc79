// Nine compute kernels without imports, for metering benchmarks; the same algorithms and checksums
// as kernels.c and kernels.rs.

// ---- Shared: checksum and random numbers ----

const HASH_START: u32 = 2166136261;
const HASH_PRIME: u32 = 16777619;
const RANDOM_SEED: u32 = 2463534242;

function mix(hash: u32, value: u32): u32 {
  return (hash ^ value) * HASH_PRIME;
}

/** xorshift32 */
class Random {
  private state: u32 = RANDOM_SEED;

  next(): u32 {
    let x = this.state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    this.state = x;
    return x;
  }
}

function mixText(hash: u32, text: string): u32 {
  for (let i = 0; i < text.length; i++) hash = mix(hash, text.charCodeAt(i));
  return hash;
}

// ---- sieve: primes below n ----

export function sieve(n: i32): i32 {
  const composite = new StaticArray<u8>(n);
  let count: u32 = 0;
  let sum: u32 = 0;
  for (let i = 2; i < n; i++) {
    if (composite[i] != 0) continue;
    count++;
    sum += i;
    if (i > n / i) continue;
    for (let j = i * i; j < n; j += i) composite[j] = 1;
  }
  return mix(sum, count);
}

// ---- fib: the naive recursion ----

export function fib(n: i32): i32 {
  return fibRecursive(n);
}

// The mask keeps the sum from being turned into a loop by tail recursion elimination.
function fibRecursive(n: u32): u32 {
  if (n < 2) return n;
  return (fibRecursive(n - 1) + fibRecursive(n - 2)) & 0x7fffffff;
}

// ---- matmul: two n by n matrices of doubles ----

export function matmul(n: i32): i32 {
  const a = new StaticArray<f64>(n * n);
  const b = new StaticArray<f64>(n * n);
  const c = new StaticArray<f64>(n * n);
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      a[i * n + j] = ((i * 7 + j * 3) % 17) - 8;
      b[i * n + j] = ((i * 5 + j * 11) % 19) - 9;
    }
  }
  for (let i = 0; i < n; i++) {
    for (let j = 0; j < n; j++) {
      let sum: f64 = 0;
      for (let k = 0; k < n; k++) sum += a[i * n + k] * b[k * n + j];
      c[i * n + j] = sum;
    }
  }
  let hash = HASH_START;
  for (let i = 0; i < c.length; i++) hash = mix(hash, <i32>c[i]);
  return hash;
}

// ---- mandelbrot: n by n points, at most 64 steps each ----

export function mandelbrot(n: i32): i32 {
  let hash = HASH_START;
  for (let y = 0; y < n; y++) {
    const ci = (2.0 * <f64>y) / <f64>n - 1.0;
    for (let x = 0; x < n; x++) hash = mix(hash, mandelbrotSteps((3.0 * <f64>x) / <f64>n - 2.0, ci));
  }
  return hash;
}

function mandelbrotSteps(cr: f64, ci: f64): u32 {
  let zr: f64 = 0;
  let zi: f64 = 0;
  let steps: u32 = 0;
  while (steps < 64 && zr * zr + zi * zi <= 4.0) {
    const next = zr * zr - zi * zi + cr;
    zi = 2.0 * zr * zi + ci;
    zr = next;
    steps++;
  }
  return steps;
}

// ---- sha256: the first word of the digest of n random bytes ----

export function sha256(n: i32): i32 {
  const message = new StaticArray<u8>(n);
  const random = new Random();
  for (let i = 0; i < n; i++) message[i] = <u8>random.next();
  const digest = new Sha256();
  digest.update(message);
  digest.finish();
  return digest.state[0];
}

// prettier-ignore
const SHA256_CONSTANTS: StaticArray<u32> = [
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
  0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
  0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
  0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
  0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
  0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
  0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
  0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
];

class Sha256 {
  // prettier-ignore
  state: StaticArray<u32> = [
    0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
  ];
  private length: u64 = 0;
  private pending: StaticArray<u8> = new StaticArray<u8>(64);
  private words: StaticArray<u32> = new StaticArray<u32>(64);

  update(bytes: StaticArray<u8>): void {
    let at = 0;
    while (at < bytes.length && this.length % 64 != 0) this.byte(bytes[at++]);
    for (; at + 64 <= bytes.length; at += 64) {
      this.block(bytes, at);
      this.length += 64;
    }
    while (at < bytes.length) this.byte(bytes[at++]);
  }

  finish(): void {
    const bits = this.length * 8;
    this.byte(0x80);
    while (this.length % 64 != 56) this.byte(0);
    for (let shift: i32 = 56; shift >= 0; shift -= 8) this.byte(<u8>(bits >> shift));
  }

  private byte(value: u8): void {
    this.pending[<i32>(this.length % 64)] = value;
    this.length++;
    if (this.length % 64 == 0) this.block(this.pending, 0);
  }

  private block(bytes: StaticArray<u8>, start: i32): void {
    const words = this.words;
    for (let i = 0; i < 16; i++) {
      const at = start + i * 4;
      words[i] = (<u32>bytes[at] << 24) | (<u32>bytes[at + 1] << 16) | (<u32>bytes[at + 2] << 8) | bytes[at + 3];
    }
    for (let i = 16; i < 64; i++) {
      const x = words[i - 15];
      const y = words[i - 2];
      const s0 = rotr(x, 7) ^ rotr(x, 18) ^ (x >> 3);
      const s1 = rotr(y, 17) ^ rotr(y, 19) ^ (y >> 10);
      words[i] = words[i - 16] + s0 + words[i - 7] + s1;
    }
    this.rounds(words);
  }

  private rounds(words: StaticArray<u32>): void {
    const state = this.state;
    let a = state[0];
    let b = state[1];
    let c = state[2];
    let d = state[3];
    let e = state[4];
    let f = state[5];
    let g = state[6];
    let h = state[7];
    for (let i = 0; i < 64; i++) {
      const s1 = rotr(e, 6) ^ rotr(e, 11) ^ rotr(e, 25);
      const t1 = h + s1 + ((e & f) ^ (~e & g)) + SHA256_CONSTANTS[i] + words[i];
      const s0 = rotr(a, 2) ^ rotr(a, 13) ^ rotr(a, 22);
      const t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    state[0] += a;
    state[1] += b;
    state[2] += c;
    state[3] += d;
    state[4] += e;
    state[5] += f;
    state[6] += g;
    state[7] += h;
  }
}

// ---- json_parse: a text of n records into a tree, then a walk over the tree ----

enum JsonKind {
  Null,
  False,
  True,
  Number,
  String,
  Array,
  Object,
}

class Json {
  number: f64 = 0;
  text: string = "";
  keys: Array<string> | null = null;
  members: Array<Json> | null = null;

  constructor(readonly kind: JsonKind) {}
}

class JsonParser {
  private at: i32 = 0;

  constructor(private readonly text: string) {}

  value(): Json {
    this.skipSpace();
    switch (this.peek()) {
      case 0x6e:
        return this.word("null", JsonKind.Null);
      case 0x66:
        return this.word("false", JsonKind.False);
      case 0x74:
        return this.word("true", JsonKind.True);
      case 0x22: {
        const value = new Json(JsonKind.String);
        value.text = this.string();
        return value;
      }
      case 0x5b:
        return this.members(new Json(JsonKind.Array), 0x5d);
      case 0x7b:
        return this.members(new Json(JsonKind.Object), 0x7d);
      default: {
        const value = new Json(JsonKind.Number);
        value.number = this.number();
        return value;
      }
    }
  }

  private peek(): i32 {
    return this.at < this.text.length ? this.text.charCodeAt(this.at) : 0;
  }

  private skipSpace(): void {
    let c = this.peek();
    while (c == 0x20 || c == 0x0a || c == 0x09 || c == 0x0d) {
      this.at++;
      c = this.peek();
    }
  }

  private expect(c: i32): void {
    if (this.peek() != c) unreachable();
    this.at++;
  }

  private word(word: string, kind: JsonKind): Json {
    for (let i = 0; i < word.length; i++) this.expect(word.charCodeAt(i));
    return new Json(kind);
  }

  /** The members of an array or, with keys, of an object. */
  private members(parent: Json, close: i32): Json {
    const keys = new Array<string>();
    const members = new Array<Json>();
    parent.keys = keys;
    parent.members = members;
    this.at++;
    this.skipSpace();
    if (this.peek() == close) {
      this.at++;
      return parent;
    }
    while (true) {
      this.skipSpace();
      if (close == 0x7d) {
        keys.push(this.string());
        this.skipSpace();
        this.expect(0x3a);
      }
      members.push(this.value());
      this.skipSpace();
      if (this.peek() == close) break;
      this.expect(0x2c);
    }
    this.at++;
    return parent;
  }

  /** Pieces without escapes are taken as slices. */
  private string(): string {
    this.expect(0x22);
    let out = "";
    let start = this.at;
    while (true) {
      const c = this.peek();
      if (c == 0) unreachable();
      if (c == 0x22) {
        const last = this.text.substring(start, this.at);
        this.at++;
        return out.length == 0 ? last : out + last;
      }
      if (c == 0x5c) {
        out += this.text.substring(start, this.at);
        this.at++;
        out += this.escape();
        start = this.at;
      } else {
        this.at++;
      }
    }
  }

  private escape(): string {
    const c = this.peek();
    this.at++;
    switch (c) {
      case 0x6e:
        return "\n";
      case 0x74:
        return "\t";
      case 0x72:
        return "\r";
      case 0x62:
        return "\b";
      case 0x66:
        return "\f";
      case 0x22:
      case 0x5c:
      case 0x2f:
        return String.fromCharCode(c);
      case 0x75:
        return String.fromCharCode(this.hex4());
      default:
        return unreachable();
    }
  }

  private hex4(): i32 {
    let code = 0;
    for (let i = 0; i < 4; i++) {
      const c = this.peek();
      this.at++;
      if (c >= 0x30 && c <= 0x39) code = code * 16 + (c - 0x30);
      else if (c >= 0x61 && c <= 0x66) code = code * 16 + (c - 0x61 + 10);
      else if (c >= 0x41 && c <= 0x46) code = code * 16 + (c - 0x41 + 10);
      else unreachable();
    }
    return code;
  }

  private number(): f64 {
    let sign: f64 = 1;
    if (this.peek() == 0x2d) {
      sign = -1;
      this.at++;
    }
    let value: f64 = 0;
    let exponent = 0;
    let step = 0;
    while (true) {
      const c = this.peek();
      if (c == 0x2e) step = 1;
      else if (c >= 0x30 && c <= 0x39) {
        value = value * 10 + <f64>(c - 0x30);
        exponent -= step;
      } else break;
      this.at++;
    }
    if (this.peek() == 0x65 || this.peek() == 0x45) exponent += this.exponent();
    for (; exponent > 0; exponent--) value *= 10;
    for (; exponent < 0; exponent++) value /= 10;
    return sign * value;
  }

  private exponent(): i32 {
    this.at++;
    let sign = 1;
    let c = this.peek();
    if (c == 0x2d || c == 0x2b) {
      if (c == 0x2d) sign = -1;
      this.at++;
    }
    let exponent = 0;
    for (c = this.peek(); c >= 0x30 && c <= 0x39; c = this.peek()) {
      exponent = exponent * 10 + (c - 0x30);
      this.at++;
    }
    return sign * exponent;
  }
}

function jsonRecord(i: u32): string {
  return (
    '{"id": ' + i.toString() +
    ', "name": "item ' + (i * 7).toString() +
    '", "price": ' + (i % 1000).toString() + "." + (10 + (i % 90)).toString() +
    ', "delta": -' + (i % 50).toString() + 'e-1, "tags": ["t' + (i % 7).toString() +
    '", "two\\nlines", "\\u0041 \\"quote\\""], "active": ' + (i % 3 == 0 ? "true" : "false") +
    ', "parent": null}'
  );
}

function jsonChecksum(hash: u32, value: Json): u32 {
  hash = mix(hash, value.kind);
  if (value.kind == JsonKind.Number) return mix(hash, <i32>(value.number * 100));
  if (value.kind == JsonKind.String) return mixText(mix(hash, value.text.length), value.text);
  const members = value.members;
  if (members == null) return hash;
  const keys = value.keys!;
  hash = mix(hash, members.length);
  for (let i = 0; i < members.length; i++) {
    if (value.kind == JsonKind.Object) hash = mixText(hash, keys[i]);
    hash = jsonChecksum(hash, members[i]);
  }
  return hash;
}

export function json_parse(n: i32): i32 {
  const records = new Array<string>();
  for (let i = 0; i < n; i++) records.push(jsonRecord(i));
  const text = "[" + records.join(",\n") + "]";
  return jsonChecksum(HASH_START, new JsonParser(text).value());
}

// ---- regex: Thompson's matcher, four patterns over n generated log lines ----

enum ReOperation {
  Byte,
  Any,
  Class,
  Split,
  Jump,
  Match,
}

/** Jumps are relative, so that code can be moved when an operator follows its operand. */
class ReInstruction {
  constructor(
    readonly operation: ReOperation,
    public first: i32 = 0,
    readonly second: i32 = 0,
  ) {}
}

class ReProgram {
  private code: Array<ReInstruction> = [];
  private classes: Array<StaticArray<bool>> = [];
  private at: i32 = 0;
  /** The position at which each instruction was last added, plus one. */
  private seen: StaticArray<i32>;
  private now: ReThreads;
  private then: ReThreads;

  constructor(private readonly pattern: string) {
    this.seen = new StaticArray<i32>(0);
    this.now = new ReThreads(0);
    this.then = new ReThreads(0);
    this.alternatives();
    this.emit(ReOperation.Match);
    this.seen = new StaticArray<i32>(this.code.length);
    this.now = new ReThreads(this.code.length);
    this.then = new ReThreads(this.code.length);
  }

  /** Where the match that ends first ends, or -1. */
  search(text: string): i32 {
    this.seen.fill(0);
    this.now.count = 0;
    for (let at = 0; at <= text.length; at++) {
      const now = this.now;
      const then = this.then;
      this.add(now, 0, at + 1);
      then.count = 0;
      for (let t = 0; t < now.count; t++) {
        const i = this.code[now.at[t]];
        if (i.operation == ReOperation.Match) return at;
        if (at < text.length && this.accepts(i, text.charCodeAt(at))) this.add(then, now.at[t] + 1, at + 2);
      }
      this.now = then;
      this.then = now;
    }
    return -1;
  }

  private add(threads: ReThreads, at: i32, mark: i32): void {
    if (this.seen[at] == mark) return;
    this.seen[at] = mark;
    const i = this.code[at];
    if (i.operation == ReOperation.Jump) {
      this.add(threads, at + i.first, mark);
    } else if (i.operation == ReOperation.Split) {
      this.add(threads, at + i.first, mark);
      this.add(threads, at + i.second, mark);
    } else {
      threads.at[threads.count++] = at;
    }
  }

  private accepts(i: ReInstruction, c: i32): bool {
    if (i.operation == ReOperation.Byte) return i.first == c;
    if (i.operation == ReOperation.Any) return true;
    return i.operation == ReOperation.Class && c < 256 && this.classes[i.first][c];
  }

  private alternatives(): void {
    const start = this.code.length;
    while (this.peek() != 0 && this.peek() != 0x29 && this.peek() != 0x7c) this.repeat();
    if (this.peek() != 0x7c) return;
    this.at++;
    this.insert(start, ReOperation.Split, 1, this.code.length - start + 2);
    const jump = this.code.length;
    this.emit(ReOperation.Jump);
    this.alternatives();
    this.code[jump].first = this.code.length - jump;
  }

  private repeat(): void {
    const start = this.code.length;
    this.atom();
    const length = this.code.length - start;
    const c = this.peek();
    if (c == 0x2a) {
      this.insert(start, ReOperation.Split, 1, length + 2);
      this.emit(ReOperation.Jump, -(length + 1));
    } else if (c == 0x2b) {
      this.emit(ReOperation.Split, -length, 1);
    } else if (c == 0x3f) {
      this.insert(start, ReOperation.Split, 1, length + 1);
    } else {
      return;
    }
    this.at++;
  }

  private atom(): void {
    const c = this.take();
    if (c == 0x28) {
      this.alternatives();
      this.at++;
    } else if (c == 0x5b) {
      this.characterClass();
    } else if (c == 0x2e) {
      this.emit(ReOperation.Any);
    } else {
      this.emit(ReOperation.Byte, c == 0x5c ? this.take() : c);
    }
  }

  private characterClass(): void {
    const set = new StaticArray<bool>(256);
    while (this.peek() != 0x5d) {
      const from = this.take();
      let to = from;
      if (this.peek() == 0x2d) {
        this.at++;
        to = this.take();
      }
      for (let c = from; c <= to; c++) set[c] = true;
    }
    this.at++;
    this.emit(ReOperation.Class, this.classes.length);
    this.classes.push(set);
  }

  private emit(operation: ReOperation, first: i32 = 0, second: i32 = 0): void {
    this.code.push(new ReInstruction(operation, first, second));
  }

  private insert(at: i32, operation: ReOperation, first: i32, second: i32): void {
    this.emit(operation, first, second);
    for (let i = this.code.length - 1; i > at; i--) this.code[i] = this.code[i - 1];
    this.code[at] = new ReInstruction(operation, first, second);
  }

  private peek(): i32 {
    return this.at < this.pattern.length ? this.pattern.charCodeAt(this.at) : 0;
  }

  private take(): i32 {
    const c = this.peek();
    this.at++;
    return c;
  }
}

class ReThreads {
  at: StaticArray<i32>;
  count: i32 = 0;

  constructor(capacity: i32) {
    this.at = new StaticArray<i32>(capacity);
  }
}

const METHODS: StaticArray<string> = ["GET", "POST", "PUT"];
const CODES: StaticArray<string> = ["200", "404", "503"];
const DOMAINS: StaticArray<string> = ["com", "org", "io"];

function letters(random: Random, count: u32, alphabet: u32): string {
  let text = "";
  for (let i: u32 = 0; i < count; i++) text += String.fromCharCode(0x61 + (random.next() % alphabet));
  return text;
}

function logLine(random: Random): string {
  let line = METHODS[random.next() % 3] + " /";
  line += letters(random, 3 + (random.next() % 8), 26);
  line += "?id=" + (random.next() % 10000).toString();
  line += " " + CODES[random.next() % 3] + " ";
  line += letters(random, 4, 26) + "@";
  line += letters(random, 5, 26) + ".";
  line += DOMAINS[random.next() % 3] + " ";
  return line + letters(random, 12, 2);
}

export function regex(n: i32): i32 {
  const programs: StaticArray<ReProgram> = [
    new ReProgram("(GET|POST) /[a-z]*\\?id=[0-9]+ "),
    new ReProgram("[a-z]+@[a-z]+\\.(com|org)"),
    new ReProgram(" 5[0-9][0-9] .*b?a"),
    new ReProgram("(a|b)*abb(ab)+"),
  ];
  const random = new Random();
  let hash = HASH_START;
  for (let i = 0; i < n; i++) {
    const line = logLine(random);
    for (let k = 0; k < 4; k++) hash = mix(hash, programs[k].search(line));
  }
  return hash;
}

// ---- sort: quicksort of n random integers ----

export function sort(n: i32): i32 {
  const values = new StaticArray<i32>(n);
  const random = new Random();
  for (let i = 0; i < n; i++) values[i] = random.next();
  quicksort(values, 0, n - 1);
  let hash = HASH_START;
  for (let i = 0; i < n; i++) hash = mix(hash, values[i]);
  return hash;
}

function quicksort(values: StaticArray<i32>, low: i32, high: i32): void {
  if (high - low < 16) {
    insertionSort(values, low, high);
    return;
  }
  const pivot = values[low + (high - low) / 2];
  let i = low;
  let j = high;
  while (i <= j) {
    while (values[i] < pivot) i++;
    while (values[j] > pivot) j--;
    if (i > j) break;
    const swap = values[i];
    values[i++] = values[j];
    values[j--] = swap;
  }
  quicksort(values, low, j);
  quicksort(values, i, high);
}

function insertionSort(values: StaticArray<i32>, low: i32, high: i32): void {
  for (let i = low + 1; i <= high; i++) {
    const value = values[i];
    let j = i - 1;
    while (j >= low && values[j] > value) {
      values[j + 1] = values[j];
      j--;
    }
    values[j + 1] = value;
  }
}

// ---- string_build: n short strings joined into lines, each line hashed ----

export function string_build(n: i32): i32 {
  const random = new Random();
  let hash = HASH_START;
  let line = "";
  for (let i = 0; i < n; i++) {
    line += "item-" + i.toString() + ":" + random.next().toString() + ";";
    if (line.length < 256) continue;
    hash = mixText(hash, line);
    line = "";
  }
  return mixText(hash, line);
}
