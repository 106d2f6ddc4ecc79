// Keeps a provider's key and other secrets out of errors: servers quote what they refuse.

import { isRecord, parseJson } from "./shapes.ts";

/** Shorter keys are none, and could be a part of any word; secrets could be words themselves. */
const MIN_KEY_CHARS = 4;
const MIN_SECRET_CHARS = 8;
const MARK = "[key]";

/** What is hidden: the key of a configuration in JSON and the secrets of the options, also as JSON writes them. The longest come first. */
export function hiddenOf(cfg: string, secrets: readonly string[]): readonly string[] {
  const config = parseJson(cfg);
  const key = isRecord(config) && typeof config["api_key"] === "string" ? config["api_key"].trim() : "";
  const found = secrets.filter((secret) => secret.length >= MIN_SECRET_CHARS);
  if (key.length >= MIN_KEY_CHARS) found.push(key);
  const written = new Set(found.flatMap((text) => [text, JSON.stringify(text).slice(1, -1)]));
  return [...written].toSorted((a, b) => b.length - a.length);
}

/** A text without what is hidden. */
export function withoutHidden(text: string, hidden: readonly string[]): string {
  return hidden.reduce((rest, one) => rest.replaceAll(one, MARK), text);
}

/** Bytes of text without what is hidden; those that do not have it are left as they are. */
export function bytesWithoutHidden(bytes: Uint8Array<ArrayBuffer>, hidden: readonly string[]): Uint8Array<ArrayBuffer> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  if (!hidden.some((one) => all.includes(one))) return bytes;
  return new TextEncoder().encode(withoutHidden(new TextDecoder().decode(bytes), hidden));
}
