// What the gateway's plugins need: memory that is forgotten after each call, looking into the host's JSON where it lies, and
// writing JSON. Texts are bytes of UTF-8; a part of the memory is one number, its address in the upper half and its length in
// the lower, as the host has it too. Nothing that the runtime manages may outlive a call.

export type Part = u64;

export const NONE: Part = 0;

@inline export function part(at: usize, length: usize): Part {
  return ((<u64>at) << 32) | (<u64>length);
}
@inline export function start(p: Part): usize {
  return <usize>(p >> 32);
}
@inline export function size(p: Part): usize {
  return <usize>(p & 0xffffffff);
}
@inline export function end(p: Part): usize {
  return start(p) + size(p);
}

// ---- memory

/** Bytes at the beginning of the heap that stay: the configuration. */
let kept: usize = 0;

export function malloc(length: i32): usize {
  return length <= 0 ? 0 : heap.alloc(length);
}

/** Called by the host after each call. */
export function plugin_reset(): void {
  heap.reset();
  if (kept > 0) heap.alloc(kept);
}

/** Copies what is to stay to the beginning of the heap; everything else is forgotten. Only `init` may do so, and once. */
export function keep(given: Part): Part {
  const length = size(given);
  kept = max<usize>(length, 1);
  // Further back there is room for both.
  const copy = heap.alloc(length + 1);
  memory.copy(copy, start(given), length);
  heap.reset();
  const at = heap.alloc(kept);
  memory.copy(at, copy, length);
  return part(at, length);
}

// ---- the host's JSON

@inline function isAt(at: usize, limit: usize, byte: u32): bool {
  return at < limit && load<u8>(at) == byte;
}

/** Behind the string that begins at `at`; `limit` if it does not end. */
export function stringEnd(at: usize, limit: usize): usize {
  at++;
  const quotes = i8x16.splat(0x22);
  const slashes = i8x16.splat(0x5c);
  while (at < limit) {
    if (at + 16 <= limit) {
      const bytes = v128.load(at);
      const found = i8x16.bitmask(v128.or(i8x16.eq(bytes, quotes), i8x16.eq(bytes, slashes)));
      if (found == 0) {
        at += 16;
        continue;
      }
      at += ctz(found);
    }
    const byte = load<u8>(at);
    if (byte == 0x22) return at + 1;
    at += byte == 0x5c ? 2 : 1;
  }
  return limit;
}

/** Behind the value that begins at `at`. */
export function valueEnd(at: usize, limit: usize): usize {
  if (at >= limit) return limit;
  const first = load<u8>(at);
  if (first == 0x22) return stringEnd(at, limit);
  if (first == 0x7b || first == 0x5b) return bracketsEnd(at, limit);
  while (at < limit) {
    const byte = load<u8>(at);
    if (byte == 0x2c || byte == 0x7d || byte == 0x5d) return at;
    at++;
  }
  return limit;
}

/** Bytes between two strings or brackets behind which the rest is looked through in blocks: that pays for long ones alone. */
const LONG = 8;

/** Behind the object or array that begins at `at`. */
function bracketsEnd(at: usize, limit: usize): usize {
  let depth = 0;
  let plain = 0;
  while (at < limit) {
    const byte = load<u8>(at);
    if (byte == 0x22) {
      at = stringEnd(at, limit);
      plain = 0;
      continue;
    }
    at++;
    if (byte == 0x7b || byte == 0x5b) {
      depth++;
      plain = 0;
    } else if (byte == 0x7d || byte == 0x5d) {
      if (--depth == 0) return at;
      plain = 0;
    } else if (++plain == LONG) {
      at = plainEnd(at, limit);
      plain = 0;
    }
  }
  return limit;
}

/** Where the next quote or bracket is, or a little before it. */
function plainEnd(at: usize, limit: usize): usize {
  const quotes = i8x16.splat(0x22);
  // The two kinds of brackets differ in one bit.
  const bits = i8x16.splat(0x20);
  const opens = i8x16.splat(0x7b);
  const closes = i8x16.splat(0x7d);
  for (; at + 16 <= limit; at += 16) {
    const bytes = v128.load(at);
    const either = v128.or(bytes, bits);
    const found = i8x16.bitmask(v128.or(i8x16.eq(bytes, quotes), v128.or(i8x16.eq(either, opens), i8x16.eq(either, closes))));
    if (found != 0) return at + ctz(found);
  }
  return at;
}

/** Walks over the members of an object: after `next`, `name` is as it is written, and the value begins at `value`. */
export class Members {
  name: Part = NONE;
  value: usize = 0;
  private at: usize;
  private limit: usize;
  /** Where the value ends, once somebody has asked. */
  private ended: usize = 0;

  constructor(json: Part) {
    this.limit = end(json);
    this.at = isAt(start(json), this.limit, 0x7b) ? start(json) + 1 : this.limit;
  }

  next(): bool {
    if (this.value != 0) this.at = this.ended != 0 ? this.ended : valueEnd(this.value, this.limit);
    this.ended = 0;
    if (isAt(this.at, this.limit, 0x2c)) this.at++;
    if (!isAt(this.at, this.limit, 0x22)) return false;
    const after = stringEnd(this.at, this.limit);
    if (!isAt(after, this.limit, 0x3a)) return false;
    this.name = part(this.at + 1, after - this.at - 2);
    this.value = after + 1;
    return true;
  }

  /** The present value. */
  whole(): Part {
    this.ended = valueEnd(this.value, this.limit);
    return part(this.value, this.ended - this.value);
  }

  /** The present value, and all that follows. */
  rest(): Part {
    return part(this.value, this.limit - this.value);
  }
}

/** The value of a member, and all that follows it; NONE if there is none. */
export function restOf(json: Part, name: string): Part {
  const members = new Members(json);
  while (members.next()) if (is(members.name, name)) return members.rest();
  return NONE;
}

/** The value of a member as JSON; NONE if there is none. */
export function member(json: Part, name: string): Part {
  const rest = restOf(json, name);
  return rest == NONE ? NONE : part(start(rest), valueEnd(start(rest), end(rest)) - start(rest));
}

/** The object with the fields of a request, whichever spelling it has, and what follows it. */
export function requestFields(message: Part): Part {
  const request = restOf(message, "request");
  const members = new Members(request);
  while (members.next()) {
    const name = members.name;
    if (is(name, "provider") || is(name, "model") || is(name, "input")) return request;
    if (endsWith(name, "_request") || endsWith(name, "Request")) return members.rest();
  }
  return NONE;
}

/** Name of a request's kind, with its quotes; NONE if it has none. */
export function requestType(message: Part): Part {
  const request = member(message, "request");
  const type = member(request, "request_type");
  return type == NONE ? member(request, "RequestType") : type;
}

/** What is between the quotes of a JSON string, escapes as they are; NONE for anything else. */
export function textOf(json: Part): Part {
  return size(json) >= 2 && load<u8>(start(json)) == 0x22 ? part(start(json) + 1, size(json) - 2) : NONE;
}

/** True if a byte is among them. */
export function holds(p: Part, byte: u32): bool {
  for (let at = start(p); at < end(p); at++) if (load<u8>(at) == byte) return true;
  return false;
}

export function is(p: Part, text: string): bool {
  if (size(p) != <usize>text.length) return false;
  for (let i = 0; i < text.length; i++) if (load<u8>(start(p) + i) != text.charCodeAt(i)) return false;
  return true;
}

export function endsWith(p: Part, text: string): bool {
  const length = <usize>text.length;
  return size(p) >= length && is(part(end(p) - length, length), text);
}

export function same(a: Part, b: Part): bool {
  return size(a) == size(b) && memory.compare(start(a), start(b), size(a)) == 0;
}

export function isNull(json: Part): bool {
  return json == NONE || is(json, "null");
}

/** A whole number that is not negative, up to 2^53; -1 for anything else. */
export function whole(json: Part): i64 {
  if (size(json) == 0 || size(json) > 16) return -1;
  let number: i64 = 0;
  for (let at = start(json); at < end(json); at++) {
    const digit = <i64>load<u8>(at) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number <= 9007199254740992 ? number : -1;
}

// ---- writing

/** Where the next byte goes, and where the output began. */
let to: usize = 0;
let from: usize = 0;

/** Begins an output of so many bytes at most. */
export function begin(capacity: usize): void {
  from = to = heap.alloc(capacity);
}

@inline export function written(): Part {
  return part(from, to - from);
}

export function put(text: string): void {
  for (let i = 0; i < text.length; i++) store<u8>(to++, text.charCodeAt(i));
}

export function putPart(p: Part): void {
  memory.copy(to, start(p), size(p));
  to += size(p);
}

export function putNumber(number: i64): void {
  if (number < 0) {
    store<u8>(to++, 0x2d);
    number = -number;
  }
  let digits = 1;
  for (let rest = number / 10; rest > 0; rest /= 10) digits++;
  for (let i = digits; i-- > 0; number /= 10) store<u8>(to + i, <u8>(0x30 + (number % 10)));
  to += digits;
}

export function putHex(bytes: Part): void {
  for (let at = start(bytes); at < end(bytes); at++) {
    const byte = load<u8>(at);
    putDigit(byte >> 4);
    putDigit(byte & 15);
  }
}

@inline function putDigit(digit: u8): void {
  store<u8>(to++, digit < 10 ? 0x30 + digit : 0x57 + digit);
}

/** A constant as bytes. */
export function bytesOf(text: string): Part {
  const at = heap.alloc(max(text.length, 1));
  for (let i = 0; i < text.length; i++) store<u8>(at + i, text.charCodeAt(i));
  return part(at, text.length);
}
