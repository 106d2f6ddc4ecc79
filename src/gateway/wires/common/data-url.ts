// Data URLs (RFC 2397) with base64, the form in which clients put images and files into JSON.

import { type Fields, type Path } from "./fields.ts";

/** A data URL, taken apart. */
export interface DataUrl {
  readonly mimeType: string;
  readonly base64: string;
}

/** No media type with its parameters is longer. */
const MAX_HEAD_CHARS = 256;

/** True for a URL that holds its data. */
export function isDataUrl(url: string): boolean {
  return url.length >= 5 && url.slice(0, 5).toLowerCase() === "data:";
}

/** Takes a data URL apart; its base64 is checked by {@link decodeBase64}. @throws the fault of `fields` */
export function readDataUrl(url: string, fields: Fields, path: Path): DataUrl {
  const comma = url.slice(0, MAX_HEAD_CHARS).indexOf(",");
  const [mimeType = "", ...parameters] = comma < 0 ? [] : url.slice(5, comma).split(";");
  if (!mimeType.includes("/") || parameters.at(-1)?.toLowerCase() !== "base64")
    throw fields.fault(path, 'must begin with "data:<media type>;base64," where it is a data URL');
  return { mimeType: mimeType.toLowerCase(), base64: url.slice(comma + 1) };
}

/** Bytes of base64, of both alphabets. @throws the fault of `fields` for any other character */
export function decodeBase64(base64: string, fields: Fields, path: Path): Uint8Array {
  const bytes = Buffer.from(base64, "base64");
  let { length } = base64;
  while (length > 0 && length > base64.length - 2 && base64.charCodeAt(length - 1) === 0x3d) length--;
  // The decoder leaves out what it does not know, which shows in the length.
  if (bytes.length !== Math.floor((length * 3) / 4) || length % 4 === 1) throw fields.fault(path, "is not base64");
  return bytes;
}
