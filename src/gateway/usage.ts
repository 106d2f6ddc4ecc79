// How many tokens an answer took, without reading all of it.

import type { JsonObject } from "mortise";

/** Bytes at the end of an answer in which its usage is looked for. */
const TAIL_BYTES = 4096;
const USAGE = '"usage":';

/** The object `usage` of an answer in any of the interfaces; undefined if it has none near its end. */
export function usageAtEnd(bytes: Uint8Array): JsonObject | undefined {
  const tail = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("utf8", Math.max(0, bytes.length - TAIL_BYTES));
  const at = tail.lastIndexOf(USAGE);
  const from = at < 0 ? -1 : tail.indexOf("{", at);
  if (from < 0) return undefined;
  // It holds numbers and objects of numbers: braces inside of texts do not occur.
  let depth = 0;
  for (let end = from; end < tail.length; end++) {
    const char = tail[end];
    if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return parsed(tail.slice(from, end + 1));
  }
  return undefined;
}

function parsed(json: string): JsonObject | undefined {
  try {
    return JSON.parse(json) as JsonObject;
  } catch {
    return undefined;
  }
}

/** Deepest place at which {@link textChars} looks. */
const MAX_TEXT_DEPTH = 6;

/** Characters of all texts in what a model said. */
export function textChars(value: unknown, depth = 0): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null || depth > MAX_TEXT_DEPTH) return 0;
  let chars = 0;
  for (const part of Object.values(value)) chars += textChars(part, depth + 1);
  return chars;
}

/** Tokens of input and output together; undefined if it does not say. */
export function tokensOf(usage: JsonObject | null | undefined): number | undefined {
  if (usage === null || usage === undefined) return undefined;
  const { total_tokens: total, prompt_tokens: prompt, completion_tokens: completion, input_tokens: input, output_tokens: output } = usage;
  if (isCount(total)) return total;
  const counts = [prompt ?? input, completion ?? output].filter(isCount);
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
