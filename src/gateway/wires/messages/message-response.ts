// Answers of Anthropic's messages, both ways.

import type { JsonObject } from "mortise";

import type { Completion } from "../../types.ts";
import { nowSeconds, withPrefix } from "../common/answer-id.ts";
import { ANSWER, at, isAbsent, isObject } from "../common/fields.ts";
import { fromStopReason, isNativeStopReason, toStopReason } from "../common/finish-reasons.ts";
import { field } from "../common/omit-absent.ts";
import { messageOf, partsOf } from "../common/parts.ts";
import { fromMessagesUsage, toMessagesUsage } from "../common/usage.ts";
import { readAssistantBlock, writeAssistantBlock } from "./assistant-blocks.ts";

/** Fields of Anthropic's answers that the common form keeps under their names. */
const OWN_FIELDS = ["container", "context_management", "diagnostics"] as const;

/** Why the model stopped, for a choice of the common form: with Anthropic's own words where they say more. */
export function stopFields(delta: JsonObject): JsonObject {
  const { stop_reason: reason, stop_sequence: sequence, stop_details: details } = delta;
  return {
    finish_reason: fromStopReason(reason),
    ...(typeof reason === "string" && isNativeStopReason(reason) ? { stop_reason: reason } : {}),
    ...field("stop_sequence", sequence),
    ...field("stop_details", details),
  };
}

/** The other way round. */
export function stopReasonOf(choice: JsonObject): JsonObject {
  const { stop_reason: native, stop_sequence: sequence, stop_details: details, finish_reason: finish } = choice;
  const reason = typeof native === "string" ? native : toStopReason(finish);
  return { stop_reason: reason, stop_sequence: sequence ?? null, stop_details: details ?? null };
}

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function writeMessageResponse(completion: Completion): JsonObject {
  const { id, model, choices, usage } = completion;
  const path = at(at(undefined, "choices"), 0);
  const choice = ANSWER.object(choices[0], path);
  const message = ANSWER.object(choice["message"], at(path, "message"));
  return {
    id: withPrefix("msg_", id),
    type: "message",
    role: "assistant",
    model,
    content: partsOf(message, ANSWER, at(path, "message")).map((part) => writeAssistantBlock(part, ANSWER)),
    ...stopReasonOf(choice),
    usage: toMessagesUsage(usage),
    ...ownFields(completion),
  };
}

function ownFields(from: JsonObject): JsonObject {
  return Object.fromEntries(OWN_FIELDS.flatMap((name) => (isAbsent(from[name]) ? [] : [[name, from[name]]])));
}

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
export function readMessageResponse(body: JsonObject): Completion {
  const path = at(undefined, "content");
  const parts = ANSWER.list(body["content"], path).map((block, index) => readAssistantBlock(block, ANSWER, at(path, index)));
  return {
    id: ANSWER.text(body["id"], at(undefined, "id")),
    object: "chat.completion",
    created: nowSeconds(),
    model: ANSWER.text(body["model"], at(undefined, "model")),
    choices: [{ index: 0, message: { refusal: null, ...messageOf(parts) }, logprobs: null, ...stopFields(body) }],
    ...(isObject(body["usage"]) ? { usage: fromMessagesUsage(body["usage"]) } : {}),
    ...ownFields(body),
  };
}
