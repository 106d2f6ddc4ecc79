// Streams of Anthropic's messages as chunks of the common form. What that has no place for is handed on as it is.

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "../../types.ts";
import type { StreamReader } from "../client-wire.ts";
import { nowSeconds } from "../common/answer-id.ts";
import { type ChunkIds, deltaChunk } from "../common/chunks.ts";
import { ANSWER, type Path, at, isAbsent, isObject } from "../common/fields.ts";
import { parseEvent } from "../common/parse-event.ts";
import { fromMessagesUsage } from "../common/usage.ts";
import { stopFields } from "./message-response.ts";

/** What a block is: a call has its number among the calls. A text with citations is a block of its own: they may come before it. */
type BlockKind = "text" | "cited" | "thinking" | "native" | number;

/** Reads one stream. */
export class MessageStreamReader implements StreamReader {
  #ids: ChunkIds = { id: "", created: nowSeconds(), model: "" };
  readonly #blocks = new Map<unknown, BlockKind>();
  #calls = 0;
  #usage: JsonObject = {};

  push({ data }: { readonly data: string }): readonly CompletionChunk[] {
    const event = parseEvent(data);
    switch (event["type"]) {
      case "message_start":
        return this.#start(ANSWER.object(event["message"], at(undefined, "message")));
      case "content_block_start":
        return this.#startBlock(event, at(undefined, "content_block"));
      case "content_block_delta":
        return this.#delta(event, at(undefined, "delta"));
      case "content_block_stop":
        return this.#isOwn(event["index"]) ? [this.#native(event)] : [];
      case "message_delta": {
        this.#addUsage(event["usage"]);
        const delta = ANSWER.object(event["delta"], at(undefined, "delta"));
        return [{ ...deltaChunk(this.#ids, {}, stopFields(delta)), usage: fromMessagesUsage(this.#usage) }];
      }
      case "error":
        throw ANSWER.toldError(isObject(event["error"]) ? event["error"] : {});
      default:
        // Pings, the end, and what may be added to the interface.
        return [];
    }
  }

  #start(message: JsonObject): CompletionChunk[] {
    const id = ANSWER.text(message["id"], at(at(undefined, "message"), "id"));
    const model = ANSWER.text(message["model"], at(at(undefined, "message"), "model"));
    this.#ids = { ...this.#ids, id, model };
    this.#addUsage(message["usage"]);
    return [{ ...deltaChunk(this.#ids, { role: "assistant", content: "" }), usage: fromMessagesUsage(this.#usage) }];
  }

  /** Counts are of all that came so far. */
  #addUsage(usage: unknown): void {
    if (!isObject(usage)) return;
    this.#usage = { ...this.#usage, ...Object.fromEntries(Object.entries(usage).filter(([, value]) => !isAbsent(value))) };
  }

  /** True for a block that keeps its bounds. */
  #isOwn(index: unknown): boolean {
    const kind = this.#blocks.get(index);
    return kind === "native" || kind === "cited";
  }

  #native(event: JsonObject): CompletionChunk {
    return deltaChunk(this.#ids, { anthropic_event: event });
  }

  #startBlock(event: JsonObject, path: Path): CompletionChunk[] {
    const { index, content_block: given } = event;
    const block = ANSWER.object(given, path);
    const { type } = block;
    if (type === "text" || type === "thinking") {
      const isCited = type === "text" && Array.isArray(block["citations"]);
      this.#blocks.set(index, isCited ? "cited" : type);
      const said = block[type];
      // What it says is told as text alone.
      const begun = isCited ? [this.#native({ ...event, content_block: { ...block, text: "" } })] : [];
      if (typeof said !== "string" || said === "") return begun;
      return [...begun, deltaChunk(this.#ids, type === "text" ? { content: said } : { reasoning: said })];
    }
    if (type === "redacted_thinking") {
      const data = ANSWER.text(block["data"], at(path, "data"));
      return [deltaChunk(this.#ids, { reasoning_details: [{ type: "reasoning.encrypted", data }] })];
    }
    if (type !== "tool_use") {
      this.#blocks.set(index, "native");
      return [this.#native(event)];
    }
    const call = this.#calls++;
    this.#blocks.set(index, call);
    const { input } = block;
    const whole = isObject(input) && Object.keys(input).length > 0 ? JSON.stringify(input) : "";
    const called = { name: ANSWER.name(block["name"], at(path, "name")), arguments: whole };
    const id = ANSWER.name(block["id"], at(path, "id"));
    return [deltaChunk(this.#ids, { tool_calls: [{ index: call, id, type: "function", function: called }] })];
  }

  #delta(event: JsonObject, path: Path): CompletionChunk[] {
    const delta = ANSWER.object(event["delta"], path);
    const kind = this.#blocks.get(event["index"]);
    const { type } = delta;
    if (kind === undefined) throw ANSWER.fault(at(undefined, "index"), "must be that of a block that was begun");
    if (type === "text_delta" && (kind === "text" || kind === "cited"))
      return [deltaChunk(this.#ids, { content: ANSWER.text(delta["text"], at(path, "text")) })];
    if (type === "thinking_delta" && kind === "thinking")
      return [deltaChunk(this.#ids, { reasoning: ANSWER.text(delta["thinking"], at(path, "thinking")) })];
    if (type === "signature_delta" && kind === "thinking") {
      const signature = ANSWER.text(delta["signature"], at(path, "signature"));
      return [deltaChunk(this.#ids, { reasoning_details: [{ type: "reasoning.text", text: "", signature }] })];
    }
    if (type === "input_json_delta" && typeof kind === "number") {
      const text = ANSWER.text(delta["partial_json"], at(path, "partial_json"));
      return text === "" ? [] : [deltaChunk(this.#ids, { tool_calls: [{ index: kind, function: { arguments: text } }] })];
    }
    return [this.#native(event)];
  }
}
