// Strict base64 (RFC 4648 section 4): padded, and without line breaks.

/** Bytes that base64 of this text gives; exact if the text is right. */
export function base64Size(text: string): number {
  return Math.floor((text.length * 3) / 4) - (text.endsWith("==") ? 2 : text.endsWith("=") ? 1 : 0);
}

/** Why a text is not base64, with the character that is at fault; undefined if it is. */
export function base64Fault(text: string): string | undefined {
  const end = text.endsWith("==") ? text.length - 2 : text.endsWith("=") ? text.length - 1 : text.length;
  const odd = text.search(/[^A-Za-z0-9+/]/);
  if (odd !== -1 && odd < end) return `has ${describe(text.codePointAt(odd) as number)} at character ${odd + 1}, which base64 has not`;
  if (text.length % 4 !== 0) return `has ${text.length} characters, but base64 comes in fours, with "=" at the end`;
  // Bits that the last character has too many would be lost without notice.
  const spare = text.length - end;
  const last = ALPHABET.indexOf(text[end - 1] ?? "A");
  if ((last & ((1 << (2 * spare)) - 1)) !== 0) return `is cut off or damaged: character ${end} has bits that no byte takes`;
  return undefined;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Decodes a text that has no {@link base64Fault}. */
export function decodeBase64(text: string): Uint8Array<ArrayBuffer> {
  const bytes = Buffer.alloc(base64Size(text));
  bytes.write(text, "base64");
  return new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length);
}

function describe(code: number): string {
  if (code === 0x0a || code === 0x0d) return "a line break";
  if (code === 0x20 || code === 0x09) return "a space";
  if (code === 0x2d || code === 0x5f) return `"${String.fromCharCode(code)}" of the alphabet for URLs`;
  return code > 0x20 && code < 0x7f ? `"${String.fromCharCode(code)}"` : `U+${code.toString(16).toUpperCase().padStart(4, "0")}`;
}
