// The object `response` of OpenAI's responses: what was asked for, and what came of it.

import type { JsonObject } from "mortise";

import type { ClientRequest } from "../../types.ts";
import type { AnswerIds } from "../client-wire.ts";
import { withPrefix } from "../common/answer-id.ts";
import { toResponsesUsage } from "../common/usage.ts";

/** How far an answer is. */
export type ResponseStatus = "in_progress" | "completed" | "incomplete" | "failed";

/** What came of a request. */
export interface ResponseOutcome {
  readonly model: string;
  readonly status: ResponseStatus;
  readonly output: readonly JsonObject[];
  readonly usage?: unknown;
  readonly error?: JsonObject;
  /** Why it is incomplete. */
  readonly incomplete?: string;
}

/** For the words of chat completions; undefined for an answer that is whole. */
export function incompleteReason(finish: unknown): string | undefined {
  if (finish === "length") return "max_output_tokens";
  return finish === "content_filter" ? "content_filter" : undefined;
}

/** The object, with the request's parameters as clients expect to find them. */
export function responseObject({ body }: ClientRequest, { id, created }: AnswerIds, outcome: ResponseOutcome): JsonObject {
  const { model, status, output, usage, error, incomplete } = outcome;
  return {
    id: withPrefix("resp_", id),
    object: "response",
    created_at: created,
    status,
    background: false,
    error: error ?? null,
    incomplete_details: incomplete === undefined ? null : { reason: incomplete },
    instructions: body["instructions"] ?? null,
    max_output_tokens: body["max_output_tokens"] ?? null,
    metadata: body["metadata"] ?? {},
    model,
    output,
    parallel_tool_calls: body["parallel_tool_calls"] ?? true,
    previous_response_id: null,
    reasoning: body["reasoning"] ?? { effort: null, summary: null },
    store: false,
    temperature: body["temperature"] ?? null,
    text: body["text"] ?? { format: { type: "text" } },
    tool_choice: body["tool_choice"] ?? "auto",
    tools: body["tools"] ?? [],
    top_p: body["top_p"] ?? null,
    truncation: body["truncation"] ?? "disabled",
    usage: usage === undefined || usage === null ? null : toResponsesUsage(usage),
    user: body["user"] ?? null,
  };
}
