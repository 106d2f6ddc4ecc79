// Keeps a provider's key out of errors: servers quote what they refuse.

import { isRecord, parseJson } from "./shapes.ts";

/** Shorter keys are none, and could be a part of any word. */
const MIN_CHARS = 4;

/** The key of a configuration in JSON. */
export function keyOf(cfg: string): string | undefined {
  const config = parseJson(cfg);
  const key = isRecord(config) && typeof config["api_key"] === "string" ? config["api_key"].trim() : "";
  return key.length < MIN_CHARS ? undefined : key;
}

/** A text without the key. */
export function withoutKey(text: string, key: string | undefined): string {
  return key === undefined ? text : text.replaceAll(key, "[key]");
}

/** Bytes of text without the key; those that do not have it are left as they are. */
export function bytesWithoutKey(bytes: Uint8Array<ArrayBuffer>, key: string | undefined): Uint8Array<ArrayBuffer> {
  if (key === undefined || !Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).includes(key)) return bytes;
  return new TextEncoder().encode(withoutKey(new TextDecoder().decode(bytes), key));
}
