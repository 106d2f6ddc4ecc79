// What a user named as a plugin's source.

import { fileURLToPath } from "node:url";
import { types } from "node:util";

import { MortiseError, printable } from "../api/errors.ts";
import { textKind } from "./content-kind.ts";
import { tagOf } from "./fields.ts";

/** A source, told apart. */
export type NamedSource =
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: URL }
  | { readonly kind: "text"; readonly text: string; readonly format: "json" | "toml" }
  | { readonly kind: "bytes"; readonly bytes: Uint8Array | ArrayBuffer }
  | { readonly kind: "response"; readonly response: Response }
  | { readonly kind: "object"; readonly value: object };

const WANTED = "a path, a URL of file:, http: or https:, the module's bytes, or a manifest";

/**
 * Tells what a source is; nothing is read yet.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION, MORTISE_WASM_TEXT for a string that is a module in the text format
 */
export function nameSource(source: unknown): NamedSource {
  if (typeof source === "string") return nameText(source);
  if (types.isUint8Array(source) || types.isArrayBuffer(source)) return { kind: "bytes", bytes: source };
  switch (tagOf(source)) {
    case "URL":
      return nameUrl(source as URL);
    case "Response":
      return { kind: "response", response: source as Response };
    case "Object":
    case "Module":
      return { kind: "object", value: source as object };
    case "WebAssembly.Module":
      throw refused("a compiled module, which cannot be instrumented", "its bytes");
    default:
      throw refused(typeof source, WANTED);
  }
}

function nameText(text: string): NamedSource {
  const format = textKind(text);
  if (format !== undefined) return { kind: "text", text, format };
  const trimmed = text.trim();
  if (/^\(module\b/.test(trimmed) && trimmed.endsWith(")")) throw new MortiseError("MORTISE_WASM_TEXT", { source: "the source" });
  const isUrl = /^file:|^[a-z][a-z0-9+.-]+:\/\//i.test(text);
  if (!isUrl) return { kind: "file", path: text };
  // What does not parse is not shown: it may hold a password.
  if (!URL.canParse(text)) throw refused("a URL that cannot be parsed", WANTED);
  return nameUrl(new URL(text));
}

function nameUrl(url: URL): NamedSource {
  if (url.protocol === "http:" || url.protocol === "https:") return { kind: "url", url };
  if (url.protocol !== "file:") throw refused(`a URL of ${printable(url.protocol)}`, WANTED);
  try {
    return { kind: "file", path: fileURLToPath(url.href) };
  } catch {
    throw refused(printable(url.href), "a path or a file: URL");
  }
}

function refused(found: string, wanted: string): MortiseError {
  return new MortiseError("MORTISE_INVALID_OPTION", { option: "source", found, wanted });
}
