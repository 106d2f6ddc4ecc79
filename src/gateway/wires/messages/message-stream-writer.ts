// Streams of Anthropic's messages, from chunks of the common form. Blocks follow each other there, while pieces of calls may
// come interleaved here: what cannot go into the open block waits, at the latest until the end.

import type { JsonObject } from "mortise";

import type { ClientRequest, CompletionChunk, Failure } from "../../types.ts";
import type { AnswerIds, StreamWriter } from "../client-wire.ts";
import { withPrefix } from "../common/answer-id.ts";
import { isObject } from "../common/fields.ts";
import { ObjectProgress } from "../common/object-progress.ts";
import { type CallPiece, type DeltaSink, readDelta } from "../common/read-delta.ts";
import { typedEvent } from "../common/server-sent-events.ts";
import { toMessagesUsage } from "../common/usage.ts";
import { anthropicError } from "../common/wire-errors.ts";
import { stopReasonOf } from "./message-response.ts";

/** A call of a tool; `text` are its arguments so far. */
interface Call {
  readonly index: number;
  id: string | undefined;
  name: string | undefined;
  text: string;
  readonly progress: ObjectProgress;
  /** One that is "held" waits in a line with others; one that is "nameless" cannot be told yet. */
  state: "nameless" | "held" | "open" | "closed";
}

/** The block that is being written. */
type Block =
  | { readonly kind: "text" }
  | { readonly kind: "native" }
  | { readonly kind: "thinking"; signature: string }
  | { readonly kind: "call"; readonly call: Call };

/** What waits for a block of its own. */
type Held =
  | { readonly kind: "text" | "thinking" | "signature" | "redacted"; text: string }
  | { readonly kind: "call"; readonly call: Call }
  | { readonly kind: "native"; readonly event: JsonObject };

/** Writes one stream. */
export class MessageStreamWriter implements StreamWriter, DeltaSink {
  readonly #request: ClientRequest;
  readonly #ids: AnswerIds;
  readonly #calls = new Map<number, Call>();
  #out = "";
  #hasStarted = false;
  /** Of the block that was begun last. */
  #index = -1;
  #block: Block | undefined;
  #held: Held[] = [];
  #stop: JsonObject = stopReasonOf({});
  #usage: unknown;

  constructor(request: ClientRequest, ids: AnswerIds) {
    this.#request = request;
    this.#ids = ids;
  }

  push(chunk: CompletionChunk): string {
    if (!this.#hasStarted) this.#start(chunk.model, chunk.usage);
    readDelta(chunk, this);
    return this.#take();
  }

  end(): string {
    if (!this.#hasStarted) this.#start(this.#request.llm.model, undefined);
    this.#close();
    const held = this.#held;
    this.#held = [];
    for (const one of held) this.#release(one);
    this.#close();
    for (const call of this.#calls.values()) if (call.state === "nameless") this.#openCall(call);
    this.#close();
    this.#emit({ type: "message_delta", delta: this.#stop, usage: toMessagesUsage(this.#usage) });
    this.#emit({ type: "message_stop" });
    return this.#take();
  }

  fail(failure: Failure): string {
    return typedEvent({ type: "error", error: anthropicError(failure, "")["error"] });
  }

  text(text: string): void {
    if (!this.#enter("text", text)) return;
    if (this.#block?.kind !== "text") this.#open({ kind: "text" }, { type: "text", text: "" });
    this.#out += `event: content_block_delta\ndata: {"type":"content_block_delta","index":${this.#index},"delta":{"type":"text_delta","text":${JSON.stringify(text)}}}\n\n`;
  }

  refusal(text: string): void {
    this.text(text);
  }

  thinking(thinking: string): void {
    if (thinking === "" || !this.#enter("thinking", thinking)) return;
    // A signature is the end of what it signs.
    if (this.#block?.kind !== "thinking" || this.#block.signature !== "") this.#openThinking();
    this.#delta({ type: "thinking_delta", thinking });
  }

  /** Clients take the last piece of a signature for all of it: it is told in one, when the block ends. */
  signature(signature: string): void {
    if (!this.#enter("signature", signature)) return;
    if (this.#block?.kind !== "thinking") this.#openThinking();
    if (this.#block?.kind === "thinking") this.#block.signature += signature;
  }

  redacted(data: string): void {
    if (!this.#enter("redacted", data)) return;
    this.#open({ kind: "native" }, { type: "redacted_thinking", data });
    this.#close();
  }

  call({ index, id, name, arguments: text }: CallPiece): void {
    let call = this.#calls.get(index);
    if (call === undefined) this.#calls.set(index, (call = { index, id, name, text: "", progress: new ObjectProgress(), state: "nameless" }));
    call.id ??= id;
    call.name ??= name;
    // Arguments after the closing brace would be none.
    if (call.state === "closed") return;
    call.text += text;
    call.progress.push(text);
    if (call.state === "open") {
      if (text !== "") this.#delta({ type: "input_json_delta", partial_json: text });
      return;
    }
    if (call.name === undefined || call.state === "held") return;
    if (!this.#mustWait()) return this.#openCall(call);
    call.state = "held";
    this.#held.push({ kind: "call", call });
  }

  native(event: JsonObject): void {
    if (this.#mustWait()) {
      this.#held.push({ kind: "native", event });
      return;
    }
    const { type, content_block: block, delta } = event;
    if (type === "content_block_start" && isObject(block)) this.#open({ kind: block["type"] === "text" ? "text" : "native" }, block);
    else if (type === "content_block_delta" && isObject(delta)) {
      // A citation may come before the text that it is of.
      if (delta["type"] === "citations_delta" && this.#block?.kind !== "text")
        this.#open({ kind: "text" }, { type: "text", text: "", citations: [] });
      if (this.#block !== undefined) this.#delta(delta);
    } else if (type === "content_block_stop" && (this.#block?.kind === "native" || this.#block?.kind === "text")) this.#close();
  }

  finish(_reason: string, choice: JsonObject): void {
    this.#stop = stopReasonOf(choice);
  }

  usage(usage: JsonObject): void {
    this.#usage = usage;
  }

  #take(): string {
    const out = this.#out;
    this.#out = "";
    return out;
  }

  #emit(event: JsonObject & { readonly type: string }): void {
    this.#out += typedEvent(event);
  }

  #delta(delta: JsonObject): void {
    this.#emit({ type: "content_block_delta", index: this.#index, delta });
  }

  #start(model: string, usage: unknown): void {
    this.#hasStarted = true;
    const message = { id: withPrefix("msg_", this.#ids.id), type: "message", role: "assistant", model, content: [] };
    this.#emit({
      type: "message_start",
      message: { ...message, stop_reason: null, stop_sequence: null, stop_details: null, usage: toMessagesUsage(usage) },
    });
  }

  /** True while the open block is a call that lacks arguments, or others wait already. */
  #mustWait(): boolean {
    if (this.#held.length > 0) return true;
    return this.#block?.kind === "call" && !this.#block.call.progress.isWhole;
  }

  /** True if a piece can be told now; else it is kept, with the one before if that is of its kind. */
  #enter(kind: "text" | "thinking" | "signature" | "redacted", text: string): boolean {
    if (!this.#mustWait()) return true;
    const last = this.#held.at(-1);
    if (last !== undefined && last.kind === kind && kind !== "redacted") last.text += text;
    else this.#held.push({ kind, text });
    return false;
  }

  #release(held: Held): void {
    // What comes after a call that never got whole is told all the same.
    if (this.#block?.kind === "call") this.#close();
    if (held.kind === "native") this.native(held.event);
    else if (held.kind !== "call") this[held.kind](held.text);
    else this.#openCall(held.call);
  }

  #open(block: Block, content: JsonObject): void {
    this.#close();
    this.#index++;
    this.#block = block;
    this.#emit({ type: "content_block_start", index: this.#index, content_block: content });
  }

  #openThinking(): void {
    this.#open({ kind: "thinking", signature: "" }, { type: "thinking", thinking: "", signature: "" });
  }

  #openCall(call: Call): void {
    this.#open({ kind: "call", call }, { type: "tool_use", id: call.id ?? `call_${call.index}`, name: call.name ?? "", input: {} });
    call.state = "open";
    if (call.text !== "") this.#delta({ type: "input_json_delta", partial_json: call.text });
  }

  #close(): void {
    const block = this.#block;
    if (block === undefined) return;
    if (block.kind === "thinking" && block.signature !== "") this.#delta({ type: "signature_delta", signature: block.signature });
    if (block.kind === "call") block.call.state = "closed";
    this.#block = undefined;
    this.#emit({ type: "content_block_stop", index: this.#index });
  }
}
