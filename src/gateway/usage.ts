// How many tokens an answer took, without reading all of it.

import type { JsonObject } from "mortise";

import type { Whole } from "./given.ts";
import { parseAnswer } from "./read-answer.ts";
import type { ClientApi } from "./types.ts";
import { fromMessagesUsage, fromResponsesUsage } from "./wires/common/usage.ts";

const QUOTE = 0x22;
const COLON = 0x3a;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const NEWLINE = "\n";
const USAGE = "usage";
const QUOTED_USAGE = `"${USAGE}"`;
/** With a reason: before the end it is null. */
const FINISH_REASON = '"finish_reason":"';
/** Bytes of a usage. */
const MAX_USAGE_BYTES = 1 << 16;

/** Part of a text of JSON. */
interface Span {
  readonly json: Buffer;
  readonly from: number;
  readonly to: number;
}

/**
 * The last member `usage` with numbers of tokens, at that depth of an object: 1 for its own members. The text is read from
 * its end, where usages stand, and no byte twice. Where it is no JSON, anything may be found.
 */
function usageIn({ json, from, to }: Span, wanted: number): JsonObject | undefined {
  let depth = 0;
  /** Where the value ends that is read, if it is an object at that depth. */
  let end = -1;
  /** Where the colon stands, if it was the last that was seen. */
  let colon = -1;
  for (let at = to - 1; at >= from; at--) {
    const byte = json[at];
    if (byte === QUOTE) {
      const begin = beginOfText(json, at, from);
      if (colon >= 0 && depth === wanted && end > colon && at - begin === USAGE.length + 1 && json.toString("latin1", begin + 1, at) === USAGE) {
        const usage = parsed(json, colon + 1, end);
        if (tokensOf(usage) !== undefined) return usage;
      }
      at = begin;
      colon = -1;
    } else if (byte === COLON) colon = at;
    else if (byte === CLOSE || byte === CLOSE_ARRAY) {
      if (depth === wanted && byte === CLOSE) end = at + 1;
      depth++;
    } else if (byte === OPEN || byte === OPEN_ARRAY) {
      if (--depth < 0) return undefined;
      colon = -1;
    } else if (byte === COMMA && depth === wanted) end = -1;
  }
  return undefined;
}

/** Where the quote stands that begins a text: the one before its end that no backslash escapes. */
function beginOfText(json: Buffer, end: number, from: number): number {
  for (let at = end; at > from;) {
    at = json.lastIndexOf(QUOTE, at - 1);
    if (at < from) break;
    let first = at;
    while (first > from && json[first - 1] === BACKSLASH) first--;
    if ((at - first) % 2 === 0) return at;
  }
  return from;
}

function parsed(json: Buffer, from: number, to: number): JsonObject | undefined {
  if (to - from > MAX_USAGE_BYTES) return undefined;
  try {
    return JSON.parse(json.toString("utf8", from, to)) as JsonObject;
  } catch {
    return undefined;
  }
}

/** The object `usage` of an answer in any of the interfaces; undefined if it has none. */
export function usageOfAnswer(bytes: Uint8Array): JsonObject | undefined {
  return usageIn({ json: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length), from: 0, to: bytes.length }, 1);
}

/** The last usage that is told in the events of a stream, in the common form. */
export function usageOfEvents(api: ClientApi, json: Buffer): JsonObject | undefined {
  for (let at = json.lastIndexOf(QUOTED_USAGE); at >= 0;) {
    const from = json.lastIndexOf(NEWLINE, at) + 1;
    const end = json.indexOf(NEWLINE, at);
    const usage = usageIn({ json, from, to: end < 0 ? json.length : end }, api === "responses" ? 2 : 1);
    if (usage !== undefined) return commonUsage(api, usage);
    at = from === 0 ? -1 : json.lastIndexOf(QUOTED_USAGE, from - 1);
  }
  return undefined;
}

/** True for the events of a chat completion in one of which the model says why it stopped. */
export function saysFinish(events: Buffer): boolean {
  return events.includes(FINISH_REASON);
}

/** What a whole answer says that it took, in the common form. */
export function usageOf(api: ClientApi, { bytes, result }: Whole): JsonObject | undefined {
  if (result === undefined) return bytes && commonUsage(api, usageOfAnswer(bytes));
  return result["usage"] as JsonObject | undefined;
}

/** What an answer in a client's interface says that it took, in the common form. */
function commonUsage(api: ClientApi, usage: JsonObject | undefined): JsonObject | undefined {
  if (usage === undefined || tokensOf(usage) === undefined) return undefined;
  if (api === "messages") return fromMessagesUsage(usage);
  return api === "responses" ? fromResponsesUsage(usage) : usage;
}

/** Deepest place at which {@link textChars} looks. */
const MAX_TEXT_DEPTH = 6;
/** Where each interface has what a model said. */
const SAID: Readonly<Record<Exclude<ClientApi, "embeddings">, string>> = { chat: "choices", messages: "content", responses: "output" };

/** Characters of what a model said in a whole answer; vectors are none. */
export function charsOf(api: ClientApi, { bytes, result }: Whole): number {
  if (api === "embeddings") return 0;
  if (result !== undefined) return textChars(result["choices"]);
  try {
    return textChars(parseAnswer(bytes)[SAID[api]]);
  } catch {
    return bytes?.length ?? 0; // nobody can say what of it is text
  }
}

/** Characters of all texts in what a model said. */
export function textChars(value: unknown, depth = 0): number {
  if (typeof value === "string") return value.length;
  if (typeof value !== "object" || value === null || depth > MAX_TEXT_DEPTH) return 0;
  let chars = 0;
  for (const part of Object.values(value)) chars += textChars(part, depth + 1);
  return chars;
}

/** Tokens of input and output together; undefined if it does not say. */
export function tokensOf(usage: unknown): number | undefined {
  if (typeof usage !== "object" || usage === null) return undefined;
  const {
    total_tokens: total,
    prompt_tokens: prompt,
    completion_tokens: completion,
    input_tokens: input,
    output_tokens: output,
  } = usage as JsonObject;
  if (isCount(total)) return total;
  const counts = [prompt ?? input, completion ?? output].filter(isCount);
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}

/** True for a number of tokens. */
export function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
