// Tokens that a request took, as each interface counts them. In the common form and in OpenAI's interfaces the prompt's
// count includes what was read from and written to a cache; Anthropic's does not.

import type { JsonObject, Usage } from "mortise";

import { isObject } from "./fields.ts";

const countOf = (value: unknown): number => (typeof value === "number" && value > 0 ? value : 0);
const recordOf = (value: unknown): JsonObject => (isObject(value) ? value : {});

/** The counts that every interface has. */
interface Counts {
  /** With those of the cache. */
  readonly prompt: number;
  readonly completion: number;
  readonly cacheRead: number;
  readonly cacheWrite: number;
  readonly reasoning: number;
}

/** A count is left out of the details where it is nothing. */
function commonUsage({ prompt, completion, cacheRead, cacheWrite, reasoning }: Counts, extra: JsonObject = {}): JsonObject {
  const cache = { ...(cacheRead === 0 ? {} : { cached_tokens: cacheRead }), ...(cacheWrite === 0 ? {} : { cache_write_tokens: cacheWrite }) };
  return {
    prompt_tokens: prompt,
    completion_tokens: completion,
    total_tokens: prompt + completion,
    ...(cacheRead + cacheWrite === 0 ? {} : { prompt_tokens_details: cache }),
    ...(reasoning === 0 ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
    ...extra,
  };
}

function readCommon(usage: JsonObject): Counts {
  const prompt = recordOf(usage["prompt_tokens_details"]);
  const completion = recordOf(usage["completion_tokens_details"]);
  return {
    prompt: countOf(usage["prompt_tokens"]),
    completion: countOf(usage["completion_tokens"]),
    cacheRead: countOf(prompt["cached_tokens"] ?? prompt["cached_read_tokens"]),
    cacheWrite: countOf(prompt["cache_write_tokens"] ?? prompt["cached_write_tokens"]),
    reasoning: countOf(completion["reasoning_tokens"]),
  };
}

/** Fields of Anthropic's counts that have no place in the common form, and are kept there under their names. */
const MESSAGES_ONLY = ["cache_creation", "inference_geo", "server_tool_use", "service_tier", "speed"] as const;

const picked = (from: JsonObject, names: readonly string[]): JsonObject =>
  Object.fromEntries(names.flatMap((name) => (from[name] === undefined || from[name] === null ? [] : [[name, from[name]]])));

/** For the counts of Anthropic's messages. */
export function fromMessagesUsage(usage: JsonObject): JsonObject {
  const cacheRead = countOf(usage["cache_read_input_tokens"]);
  const cacheWrite = countOf(usage["cache_creation_input_tokens"]);
  return commonUsage(
    {
      prompt: countOf(usage["input_tokens"]) + cacheRead + cacheWrite,
      completion: countOf(usage["output_tokens"]),
      cacheRead,
      cacheWrite,
      reasoning: countOf(recordOf(usage["output_tokens_details"])["thinking_tokens"]),
    },
    picked(usage, MESSAGES_ONLY),
  );
}

/** Anthropic's counts; zeros where nothing is known. */
export function toMessagesUsage(usage: unknown): JsonObject {
  const given = recordOf(usage);
  const { prompt, completion, cacheRead, cacheWrite, reasoning } = readCommon(given);
  return {
    input_tokens: Math.max(0, prompt - cacheRead - cacheWrite),
    cache_creation_input_tokens: cacheWrite,
    cache_read_input_tokens: cacheRead,
    output_tokens: completion,
    ...(reasoning === 0 ? {} : { output_tokens_details: { thinking_tokens: reasoning } }),
    ...picked(given, MESSAGES_ONLY),
  };
}

/** For the counts of OpenAI's responses. */
export function fromResponsesUsage(usage: JsonObject): JsonObject {
  const input = recordOf(usage["input_tokens_details"]);
  return commonUsage({
    prompt: countOf(usage["input_tokens"]),
    completion: countOf(usage["output_tokens"]),
    cacheRead: countOf(input["cached_tokens"]),
    cacheWrite: countOf(input["cache_write_tokens"]),
    reasoning: countOf(recordOf(usage["output_tokens_details"])["reasoning_tokens"]),
  });
}

/** The counts of OpenAI's responses. */
export function toResponsesUsage(usage: unknown): JsonObject {
  const { prompt, completion, cacheRead, cacheWrite, reasoning } = readCommon(recordOf(usage));
  return {
    input_tokens: prompt,
    input_tokens_details: { cached_tokens: cacheRead, cache_write_tokens: cacheWrite },
    output_tokens: completion,
    output_tokens_details: { reasoning_tokens: reasoning },
    total_tokens: prompt + completion,
  };
}

/**
 * For the counts of a provider. QueryMT leaves open whether `input_tokens` includes the cache: it counts as included, unless
 * the cache alone has more.
 */
export function fromProviderUsage(usage: Usage): JsonObject {
  const { input_tokens: input, output_tokens: completion, reasoning_tokens: reasoning, cache_read: cacheRead, cache_write: cacheWrite } = usage;
  const cached = cacheRead + cacheWrite;
  return commonUsage({ prompt: cached > input ? input + cached : input, completion, cacheRead, cacheWrite, reasoning });
}
