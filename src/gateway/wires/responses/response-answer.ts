// Answers of OpenAI's responses, both ways.

import type { JsonObject } from "mortise";

import type { ClientRequest, Completion } from "../../types.ts";
import { nowSeconds, withoutPrefix } from "../common/answer-id.ts";
import { ANSWER, at, isObject } from "../common/fields.ts";
import { type Part, messageOf, partsOf } from "../common/parts.ts";
import { fromResponsesUsage } from "../common/usage.ts";
import { isModelItem, readModelItem, writeModelItems } from "./output-items.ts";
import { incompleteReason, responseObject } from "./response-object.ts";

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function writeResponseAnswer(completion: Completion, request: ClientRequest): JsonObject {
  const { id, created, model, choices, usage } = completion;
  const path = at(at(undefined, "choices"), 0);
  const choice = ANSWER.object(choices[0], path);
  const parts = partsOf(ANSWER.object(choice["message"], at(path, "message")), ANSWER, at(path, "message"));
  const stem = withoutPrefix(id);
  let count = 0;
  const output = writeModelItems(parts, (prefix) => `${prefix}${stem}_${count++}`);
  const incomplete = incompleteReason(choice["finish_reason"]);
  const outcome = { model, output, usage, status: incomplete === undefined ? "completed" : "incomplete" } as const;
  return responseObject(request, { id, created }, incomplete === undefined ? outcome : { ...outcome, incomplete });
}

/** Why a response ended, for a choice of the common form. */
export function finishOf(response: JsonObject, hasCalls: boolean): string {
  if (response["status"] === "incomplete") {
    const details = response["incomplete_details"];
    return isObject(details) && details["reason"] === "content_filter" ? "content_filter" : "length";
  }
  return hasCalls ? "tool_calls" : "stop";
}

/** The error of a response that failed. @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function refuseFailed(response: JsonObject): void {
  const { status, error } = response;
  if (status === "failed" || status === "cancelled") throw ANSWER.toldError(isObject(error) ? error : {});
}

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function readResponseAnswer(body: JsonObject): Completion {
  refuseFailed(body);
  const path = at(undefined, "output");
  const parts: Part[] = [];
  for (const [index, value] of ANSWER.list(body["output"], path).entries()) {
    const item = ANSWER.object(value, at(path, index));
    if (isModelItem(item)) parts.push(...readModelItem(item, ANSWER, at(path, index)));
  }
  const created = body["created_at"];
  const hasCalls = parts.some(({ kind }) => kind === "call");
  return {
    id: ANSWER.text(body["id"], at(undefined, "id")),
    object: "chat.completion",
    created: typeof created === "number" ? created : nowSeconds(),
    model: ANSWER.text(body["model"], at(undefined, "model")),
    choices: [{ index: 0, message: { refusal: null, ...messageOf(parts) }, logprobs: null, finish_reason: finishOf(body, hasCalls) }],
    ...(isObject(body["usage"]) ? { usage: fromResponsesUsage(body["usage"]) } : {}),
  };
}
