// Writes the stream of an answer, and reads its events.

import assert from "node:assert/strict";

import type { JsonObject } from "mortise";

import type { CompletionChunk, Failure } from "../../../src/gateway/types.ts";
import { CLIENT_WIRES } from "../../../src/gateway/wires/index.ts";
import { readEvents } from "./read-events.ts";

/** An interface with streams. */
export type Api = keyof typeof CLIENT_WIRES;

/** What the answer is known by. */
export const IDS = { id: "chatcmpl-1", created: 1_700_000_000 };
/** Requests for streams. */
export const REQUESTS = {
  chat: CLIENT_WIRES.chat.read({ model: "m", messages: [{ role: "user", content: "Hi" }], stream: true }),
  counted: CLIENT_WIRES.chat.read({ model: "m", messages: [{ role: "user", content: "Hi" }], stream: true, stream_options: { include_usage: true } }),
  messages: CLIENT_WIRES.messages.read({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "Hi" }], stream: true }),
  responses: CLIENT_WIRES.responses.read({ model: "m", input: "Hi", stream: true, instructions: "Be brief.", temperature: 0.5 }),
};
const FAILURE: Failure = { kind: "overloaded", status: 503, message: "Too much to do", retryable: true, allowFallbacks: true };

/** The data of the events of a stream. */
export async function write(api: Api, chunks: readonly CompletionChunk[], end: "end" | "fail" = "end"): Promise<readonly JsonObject[]> {
  const writer = CLIENT_WIRES[api].stream(REQUESTS[api], IDS);
  const text = chunks.map((one) => writer.push(one)).join("") + (end === "end" ? writer.end() : writer.fail(FAILURE));
  const events = await readEvents([Buffer.from(text)]);
  return events.map(({ event, data }) => {
    const value = data === "[DONE]" ? { done: true } : (JSON.parse(data) as JsonObject);
    if (api !== "chat") assert.equal(event, value["type"], "events are named after their type");
    return value;
  });
}
