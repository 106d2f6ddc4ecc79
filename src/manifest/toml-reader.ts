// TOML, read by smol-toml, which is loaded when the first text of the kind comes.

import { type Place, type TextPosition, positionAt } from "./place.ts";

/** Deepest nesting of inline tables and arrays; a manifest has four levels. */
const MAX_DEPTH = 32;

/** Throws the error for a fault at a position. */
export type FailAtPosition = (reason: string, position: TextPosition | undefined) => never;

/** Reads a TOML text; tables have no prototype. */
export async function parseToml(text: string, fail: FailAtPosition): Promise<unknown> {
  const { TomlError, parse } = await import("smol-toml");
  try {
    return parse(text, { maxDepth: MAX_DEPTH });
  } catch (error) {
    if (!(error instanceof TomlError)) return fail((error as Error).message, undefined);
    const [first = ""] = error.message.split("\n", 1);
    return fail(first.replace(/^Invalid TOML document: /, "").replace(/\. aborting\.$/, ""), { line: error.line, column: error.column });
  }
}

/**
 * Where the last key of a place stands in a TOML text, if the text has that key only once; the parser keeps no
 * positions, and a guess would be worse than none.
 */
export function locateInToml(text: string, place: Place): TextPosition | undefined {
  const key = place.findLast((part) => typeof part === "string");
  if (key === undefined || !/^[\w-]{1,100}$/.test(key)) return undefined;
  const found = [...text.matchAll(new RegExp(`(?:^|[{,.[])[ \\t]*["']?(${key})["']?[ \\t]*[=.\\]]`, "gdm"))];
  const start = found.length === 1 ? found[0]?.indices?.[1]?.[0] : undefined;
  return start === undefined ? undefined : positionAt(text, start);
}
