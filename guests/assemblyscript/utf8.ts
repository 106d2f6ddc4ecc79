// Checked decoding of UTF-8: the standard library's own decoder does not reject malformed text.

/** The code points of a text, or null when the bytes are not well-formed UTF-8. */
export function codePoints(bytes: StaticArray<u8>): Array<i32> | null {
  const points = new Array<i32>();
  let at = 0;
  while (at < bytes.length) {
    const first: i32 = bytes[at];
    const length = sequenceLength(first);
    if (length == 0 || at + length > bytes.length) return null;
    const point = decode(bytes, at, length);
    if (point < 0) return null;
    points.push(point);
    at += length;
  }
  return points;
}

function sequenceLength(first: i32): i32 {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

/** One code point; -1 for a broken, overlong or surrogate sequence. */
function decode(bytes: StaticArray<u8>, at: i32, length: i32): i32 {
  let point: i32 = bytes[at];
  if (length == 1) return point;
  point &= 0x7f >> length;
  for (let i = 1; i < length; i++) {
    const next: i32 = bytes[at + i];
    if ((next & 0xc0) != 0x80) return -1;
    point = (point << 6) | (next & 0x3f);
  }
  if (length == 3 && (point < 0x800 || (point >= 0xd800 && point < 0xe000))) return -1;
  if (length == 4 && (point < 0x10000 || point > 0x10ffff)) return -1;
  return point;
}
