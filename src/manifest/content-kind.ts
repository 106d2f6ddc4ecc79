// Tells from the content what a source holds: a module, a manifest in JSON, or one in TOML.

import { MortiseError } from "../api/errors.ts";
import { manifestFault } from "./place.ts";

/** What bytes hold. */
export type ContentKind = "module" | "json" | "toml";

/** Bytes from the beginning that are looked at. */
const HEAD_BYTES = 65_536;
const MAGIC = [0x00, 0x61, 0x73, 0x6d] as const;

const HINTS: ReadonlyMap<string, "json" | "toml" | "text"> = new Map([
  [".json", "json"],
  [".toml", "toml"],
  [".wat", "text"],
  [".wast", "text"],
  ["application/json", "json"],
  ["text/json", "json"],
  ["application/toml", "toml"],
]);

/**
 * What bytes hold. The content decides; extension or media type help where it does not.
 *
 * @param hints extension with its dot, media type
 * @throws MortiseError MORTISE_WASM_TEXT or MORTISE_NOT_WASM for what is neither module nor manifest,
 *   MORTISE_MANIFEST_INVALID for text in UTF-16
 */
export function contentKind(bytes: Uint8Array, source: string, hints: readonly string[]): ContentKind {
  if (isModule(bytes)) return "module";
  if (isUtf16(bytes)) throw manifestFault(source, "it is text in UTF-16; save it as UTF-8");
  const head = headOf(bytes);
  const hint = hintOf(hints);
  if (isWasmText(head, hint)) throw new MortiseError("MORTISE_WASM_TEXT", { source });
  if (head.startsWith("{")) return "json";
  if (hint === "json" || hint === "toml") return hint;
  if (looksLikeToml(head)) return "toml";
  throw notWasm(bytes, source);
}

/**
 * Refuses what is no binary module where only a module may stand.
 *
 * @throws MortiseError MORTISE_WASM_TEXT or MORTISE_NOT_WASM
 */
export function checkModuleBytes(bytes: Uint8Array, source: string, hints: readonly string[]): void {
  if (isModule(bytes)) return;
  if (isWasmText(headOf(bytes), hintOf(hints))) throw new MortiseError("MORTISE_WASM_TEXT", { source });
  throw notWasm(bytes, source);
}

/** What a string is: the text of a manifest, or a path or URL. */
export function textKind(text: string): "json" | "toml" | undefined {
  if (/^\s*\{/.test(text)) return "json";
  // Paths may hold "=" and brackets, but not `wasm = [` or several lines of which one is TOML.
  const isTomlLine = /^\s*["']?wasm["']?[ \t]*=[ \t]*\[/.test(text);
  return isTomlLine || (text.includes("\n") && looksLikeToml(text.slice(0, HEAD_BYTES))) ? "toml" : undefined;
}

function isModule(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, index) => bytes[index] === byte);
}

function headOf(bytes: Uint8Array): string {
  return new TextDecoder().decode(bytes.subarray(0, HEAD_BYTES)).trimStart();
}

function hintOf(hints: readonly string[]): "json" | "toml" | "text" | undefined {
  return hints.map((each) => HINTS.get(each.toLowerCase())).find((each) => each !== undefined);
}

function isWasmText(head: string, hint: string | undefined): boolean {
  return hint === "text" || /^(?:\(module\b|\(component\b|;;|\(;)/.test(head);
}

function notWasm(bytes: Uint8Array, source: string): MortiseError {
  const start = Array.from(bytes.subarray(0, 4), (byte) => byte.toString(16).padStart(2, "0"));
  return new MortiseError("MORTISE_NOT_WASM", { source, found: start.length === 0 ? "nothing (it is empty)" : `bytes ${start.join(" ")}` });
}

/** A line that is the header of a table, or that begins with a key and "=". */
function looksLikeToml(head: string): boolean {
  return /^[ \t]*(?:\[\[?[^[\]\r\n]+\]\]?[ \t]*(?:#.*)?\r?$|["']?[\w-]+["']?(?:[ \t]*\.[ \t]*["']?[\w-]+["']?)*[ \t]*=)/m.test(head);
}

function isUtf16(bytes: Uint8Array): boolean {
  const [first, second, third, fourth] = bytes;
  return (first === 0xff && second === 0xfe && fourth === 0) || (first === 0xfe && second === 0xff && third === 0);
}
