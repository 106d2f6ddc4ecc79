// The text of a manifest, as values and the places where they stand.

import { MAX_TEXT_BYTES } from "./bounded-bytes.ts";
import type { CheckedModule } from "./check-module.ts";
import { locateInJson, parseJson } from "./json-reader.ts";
import { type Origin, manifestFault, positionAt } from "./place.ts";
import { locateInToml, parseToml } from "./toml-reader.ts";

/**
 * Reads a manifest's text.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID with line and column
 */
export async function parseManifestText(text: string, format: "json" | "toml", source: string): Promise<{ value: unknown; origin: Origin }> {
  if (format === "json") {
    const value = parseJson(text, (reason, offset) => {
      throw manifestFault(source, reason, positionAt(text, offset));
    });
    return { value, origin: { source, locate: (place) => locateInJson(text, place) } };
  }
  const value = await parseToml(text, (reason, position) => {
    throw manifestFault(source, reason, position);
  });
  return { value, origin: { source, locate: (place) => locateInToml(text, place) } };
}

/**
 * Bytes as text.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of the first byte that is not UTF-8
 */
export function decodeText(bytes: Uint8Array, source: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    const text = new TextDecoder().decode(bytes);
    throw manifestFault(source, "it is not valid UTF-8", positionAt(text, Math.max(text.indexOf("\ufffd"), 0)));
  }
}

/** Refuses a text that is too long beside the modules embedded in it. */
export function checkTextSize(text: string, modules: readonly CheckedModule[], source: string): void {
  const embedded = modules.reduce((sum, { from }) => sum + (from.kind === "base64" ? from.text.length : 0), 0);
  const size = Buffer.byteLength(text) - embedded;
  if (size > MAX_TEXT_BYTES) throw manifestFault(source, `it has ${size} bytes beside its data, but may have ${MAX_TEXT_BYTES}`);
}
