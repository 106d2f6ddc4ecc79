// Texts that a guest passed lately: names and keys come again and again, and comparing bytes is much faster than decoding them.

/** Longest text that is kept, in bytes. */
const MAX_BYTES = 64;
/** Texts that are kept: one for each remainder of the address. */
const PLACES = 16;

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Decodes the texts of one instance. */
export class RecentTexts {
  readonly #texts: (string | undefined)[] = [];

  /** Bytes as text. @throws TypeError if they are no UTF-8 */
  decode(bytes: Uint8Array): string {
    const { length } = bytes;
    if (length === 0 || length > MAX_BYTES) return strict.decode(bytes);
    // Blocks begin at multiples of eight.
    const place = (bytes.byteOffset >> 3) % PLACES;
    const kept = this.#texts[place];
    if (kept !== undefined && kept.length === length && isSame(kept, bytes)) return kept;
    const text = strict.decode(bytes);
    // In ASCII a character is a byte.
    if (text.length === length) this.#texts[place] = text;
    return text;
  }
}

function isSame(text: string, bytes: Uint8Array): boolean {
  for (let at = 0; at < bytes.length; at++) if (text.charCodeAt(at) !== bytes[at]) return false;
  return true;
}
