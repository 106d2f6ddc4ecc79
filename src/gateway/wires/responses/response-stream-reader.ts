// Streams of OpenAI's responses as chunks of the common form.

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "../../types.ts";
import type { StreamReader } from "../client-wire.ts";
import { nowSeconds } from "../common/answer-id.ts";
import { type ChunkIds, deltaChunk, usageChunk } from "../common/chunks.ts";
import { ANSWER, at, isObject } from "../common/fields.ts";
import { parseEvent } from "../common/parse-event.ts";
import { fromResponsesUsage } from "../common/usage.ts";
import { finishOf, refuseFailed } from "./response-answer.ts";

/** What is known of a call that comes. */
interface Call {
  readonly number: number;
  hasArguments: boolean;
}

/** Reads one stream. */
export class ResponseStreamReader implements StreamReader {
  #ids: ChunkIds = { id: "", created: nowSeconds(), model: "" };
  /** By place in the output. */
  readonly #calls = new Map<unknown, Call>();
  /** Whether a thought is told in full or in short: the first that comes counts, so that nothing is told twice. */
  readonly #thoughts = new Map<unknown, "summary" | "full">();

  push({ data }: { readonly data: string }): readonly CompletionChunk[] {
    const event = parseEvent(data);
    const { output_index: place } = event;
    switch (event["type"]) {
      case "response.created":
        return [this.#start(event)];
      case "response.output_item.added":
        return this.#startItem(event);
      case "response.output_text.delta":
        return [deltaChunk(this.#ids, { content: this.#deltaOf(event) })];
      case "response.refusal.delta":
        return [deltaChunk(this.#ids, { refusal: this.#deltaOf(event) })];
      case "response.reasoning_summary_part.added":
        return event["summary_index"] === 0 ? [] : this.#think(place, "summary", "\n\n");
      case "response.reasoning_summary_text.delta":
        return this.#think(place, "summary", this.#deltaOf(event));
      case "response.reasoning_text.delta":
        return this.#think(place, "full", this.#deltaOf(event));
      case "response.function_call_arguments.delta":
        return this.#callArguments(place, this.#deltaOf(event));
      case "response.function_call_arguments.done":
        return this.#callEnd(event);
      case "response.output_item.done":
        return this.#endItem(event);
      case "response.completed":
      case "response.incomplete":
      case "response.failed":
        return this.#end(event);
      case "error":
        throw ANSWER.toldError(isObject(event["error"]) ? event["error"] : event);
      default:
        return [];
    }
  }

  #deltaOf(event: JsonObject): string {
    return ANSWER.text(event["delta"], at(undefined, "delta"));
  }

  #responseOf(event: JsonObject): JsonObject {
    return ANSWER.object(event["response"], at(undefined, "response"));
  }

  #start(event: JsonObject): CompletionChunk {
    const { id, model, created_at: created } = this.#responseOf(event);
    const path = at(undefined, "response");
    this.#ids = {
      id: ANSWER.text(id, at(path, "id")),
      model: ANSWER.text(model, at(path, "model")),
      created: typeof created === "number" ? created : this.#ids.created,
    };
    return deltaChunk(this.#ids, { role: "assistant", content: "" });
  }

  #startItem(event: JsonObject): CompletionChunk[] {
    const path = at(undefined, "item");
    const { type, id, call_id: callId, name, arguments: given } = ANSWER.object(event["item"], path);
    if (type === "reasoning")
      return typeof id === "string" ? [deltaChunk(this.#ids, { reasoning_details: [{ type: "reasoning.text", text: "", id }] })] : [];
    if (type !== "function_call") return [];
    const text = typeof given === "string" ? given : "";
    const call: Call = { number: this.#calls.size, hasArguments: text !== "" };
    this.#calls.set(event["output_index"], call);
    const called = { name: ANSWER.name(name, at(path, "name")), arguments: text };
    return [
      deltaChunk(this.#ids, {
        tool_calls: [{ index: call.number, id: ANSWER.name(callId, at(path, "call_id")), type: "function", function: called }],
      }),
    ];
  }

  #think(place: unknown, told: "summary" | "full", text: string): CompletionChunk[] {
    const first = this.#thoughts.get(place) ?? told;
    this.#thoughts.set(place, first);
    return first === told ? [deltaChunk(this.#ids, { reasoning: text })] : [];
  }

  #callArguments(place: unknown, text: string): CompletionChunk[] {
    const call = this.#calls.get(place);
    if (call === undefined) throw ANSWER.fault(at(undefined, "output_index"), "must be that of a call that was begun");
    if (text === "") return [];
    call.hasArguments = true;
    return [deltaChunk(this.#ids, { tool_calls: [{ index: call.number, function: { arguments: text } }] })];
  }

  /** Servers may tell arguments only when they are whole. */
  #callEnd({ output_index: place, arguments: given }: JsonObject): CompletionChunk[] {
    return this.#calls.get(place)?.hasArguments === false && typeof given === "string" ? this.#callArguments(place, given) : [];
  }

  #endItem({ output_index: place, item }: JsonObject): CompletionChunk[] {
    if (!isObject(item) || item["type"] !== "reasoning") return [];
    const { encrypted_content: secret } = item;
    if (typeof secret !== "string" || secret === "") return [];
    const detail = this.#thoughts.has(place)
      ? { type: "reasoning.text", text: "", signature: secret }
      : { type: "reasoning.encrypted", data: secret };
    return [deltaChunk(this.#ids, { reasoning_details: [detail] })];
  }

  #end(event: JsonObject): CompletionChunk[] {
    const response = this.#responseOf(event);
    refuseFailed(response);
    const finish = deltaChunk(this.#ids, {}, { finish_reason: finishOf(response, this.#calls.size > 0) });
    return isObject(response["usage"]) ? [finish, usageChunk(this.#ids, fromResponsesUsage(response["usage"]))] : [finish];
  }
}
