// Streams of OpenAI's responses, from chunks of the common form. Each item has its place in the output; calls of tools stay
// open side by side until their arguments are whole.

import type { JsonObject } from "mortise";

import type { ClientRequest, CompletionChunk, Failure } from "../../types.ts";
import type { AnswerIds, StreamWriter } from "../client-wire.ts";
import { withoutPrefix } from "../common/answer-id.ts";
import { ObjectProgress } from "../common/object-progress.ts";
import { field } from "../common/omit-absent.ts";
import { type CallPiece, type DeltaSink, readDelta } from "../common/read-delta.ts";
import { typedEvent } from "../common/server-sent-events.ts";
import { openaiErrorObject } from "../common/wire-errors.ts";
import { type ResponseStatus, incompleteReason, responseObject } from "./response-object.ts";

/** An item under way; each knows how it begins and ends. */
interface Item {
  readonly id: string;
  readonly index: number;
  isOpen: boolean;
  readonly state:
    | { readonly kind: "message"; readonly content: JsonObject[]; part: "output_text" | "refusal" | undefined; text: string }
    | { readonly kind: "thought"; text: string; secret: string }
    | { readonly kind: "call"; readonly callId: string; readonly name: string; arguments: string; readonly progress: ObjectProgress };
}

/** Pieces of a call that came before its name. */
interface Nameless {
  id: string | undefined;
  text: string;
}

/** Writes one stream. */
export class ResponseStreamWriter implements StreamWriter, DeltaSink {
  readonly #request: ClientRequest;
  readonly #ids: AnswerIds;
  readonly #items: Item[] = [];
  /** What ends when the next item begins. */
  readonly #ending = new Set<Item>();
  readonly #calls = new Map<number, Item>();
  readonly #nameless = new Map<number, Nameless>();
  #out = "";
  #sequence = 0;
  #model: string;
  #hasStarted = false;
  #finish: unknown;
  #usage: unknown;

  constructor(request: ClientRequest, ids: AnswerIds) {
    this.#request = request;
    this.#ids = ids;
    this.#model = request.llm.model;
  }

  push(chunk: CompletionChunk): string {
    if (!this.#hasStarted) this.#start(chunk.model);
    readDelta(chunk, this);
    return this.#take();
  }

  end(): string {
    if (!this.#hasStarted) this.#start(this.#model);
    for (const item of this.#items) this.#close(item);
    const incomplete = incompleteReason(this.#finish);
    const status = incomplete === undefined ? "completed" : "incomplete";
    this.#emit({ type: `response.${status}`, response: this.#response(status, field("incomplete", incomplete)) });
    return this.#take();
  }

  fail(failure: Failure): string {
    const { code, message } = openaiErrorObject(failure);
    this.#emit({ type: "error", code, message, param: failure.param ?? null });
    return this.#take();
  }

  text(text: string): void {
    this.#say("output_text", text);
  }

  refusal(text: string): void {
    this.#say("refusal", text);
  }

  thinking(text: string, id?: string): void {
    const last = this.#last();
    const item = last?.state.kind === "thought" && last.state.secret === "" && (id === undefined || id === last.id) ? last : this.#openThought(id);
    if (item.state.kind !== "thought" || text === "") return;
    if (item.state.text === "")
      this.#emit({ type: "response.reasoning_summary_part.added", ...placeOf(item), summary_index: 0, part: { type: "summary_text", text: "" } });
    item.state.text += text;
    this.#emit({ type: "response.reasoning_summary_text.delta", ...placeOf(item), summary_index: 0, delta: text });
  }

  signature(signature: string): void {
    const last = this.#last();
    const item = last?.state.kind === "thought" ? last : this.#openThought();
    if (item.state.kind === "thought") item.state.secret += signature;
  }

  redacted(data: string): void {
    const last = this.#last();
    const item = last?.state.kind === "thought" && last.state.text === "" && last.state.secret === "" ? last : this.#openThought();
    if (item.state.kind === "thought") item.state.secret = data;
    this.#close(item);
  }

  call({ index, id, name, arguments: text }: CallPiece): void {
    const known = this.#calls.get(index) ?? this.#startCall(index, id, name, text);
    if (known === undefined || text === "" || !known.isOpen || known.state.kind !== "call") return;
    known.state.arguments += text;
    known.state.progress.push(text);
    if (known.state.progress.isWhole) this.#ending.add(known);
    else this.#ending.delete(known);
    this.#emit({ type: "response.function_call_arguments.delta", ...placeOf(known), delta: text });
  }

  /** Such events are of servers that speak another wire. */
  native(): void {}

  finish(reason: string): void {
    this.#finish = reason;
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
    this.#out += typedEvent({ ...event, sequence_number: this.#sequence++ });
  }

  #start(model: string): void {
    this.#hasStarted = true;
    this.#model = model;
    for (const type of ["response.created", "response.in_progress"]) this.#emit({ type, response: this.#response("in_progress") });
  }

  #response(status: ResponseStatus, outcome: JsonObject = {}): JsonObject {
    const output = status === "in_progress" ? [] : this.#items.map((item) => itemObject(item));
    return responseObject(this.#request, this.#ids, { model: this.#model, status, output, usage: this.#usage, ...outcome });
  }

  /** The item that was begun last, unless it has ended. */
  #last(): Item | undefined {
    const last = this.#items.at(-1);
    return last?.isOpen ? last : undefined;
  }

  #open(prefix: string, state: Item["state"], id?: string): Item {
    // Of what is open, calls that lack arguments stay so.
    for (const item of [...this.#ending].toSorted((a, b) => a.index - b.index)) this.#close(item);
    this.#ending.clear();
    const index = this.#items.length;
    const item: Item = { id: id ?? `${prefix}${withoutPrefix(this.#ids.id)}_${index}`, index, isOpen: true, state };
    this.#items.push(item);
    if (state.kind !== "call") this.#ending.add(item);
    this.#emit({ type: "response.output_item.added", output_index: index, item: itemObject(item, "in_progress") });
    return item;
  }

  #openThought(id?: string): Item {
    return this.#open("rs_", { kind: "thought", text: "", secret: "" }, id);
  }

  /** A call is told of when its name is known. */
  #startCall(index: number, id: string | undefined, name: string | undefined, text: string): Item | undefined {
    const before = this.#nameless.get(index) ?? { id, text: "" };
    before.id ??= id;
    if (name === undefined) {
      before.text += text;
      this.#nameless.set(index, before);
      return undefined;
    }
    const item = this.#open("fc_", { kind: "call", callId: before.id ?? `call_${index}`, name, arguments: "", progress: new ObjectProgress() });
    this.#calls.set(index, item);
    if (before.text !== "") this.call({ index, id, name, arguments: before.text });
    return item;
  }

  #say(part: "output_text" | "refusal", text: string): void {
    const last = this.#last();
    const item = last?.state.kind === "message" ? last : this.#open("msg_", { kind: "message", content: [], part: undefined, text: "" });
    const { state } = item;
    if (state.kind !== "message") return;
    if (state.part !== part) {
      this.#closePart(item);
      state.part = part;
      this.#emit({ type: "response.content_part.added", ...placeOf(item), content_index: state.content.length, part: partObject(part, "") });
    }
    state.text += text;
    const event = { type: `response.${part}.delta`, ...placeOf(item), content_index: state.content.length, delta: text };
    this.#emit(part === "output_text" ? { ...event, logprobs: [] } : event);
  }

  #closePart(item: Item): void {
    const { state } = item;
    if (state.kind !== "message" || state.part === undefined) return;
    const place = { ...placeOf(item), content_index: state.content.length };
    const part = partObject(state.part, state.text);
    if (state.part === "refusal") this.#emit({ type: "response.refusal.done", ...place, refusal: state.text });
    else this.#emit({ type: "response.output_text.done", ...place, text: state.text, logprobs: [] });
    this.#emit({ type: "response.content_part.done", ...place, part });
    state.content.push(part);
    state.part = undefined;
    state.text = "";
  }

  #close(item: Item): void {
    if (!item.isOpen) return;
    item.isOpen = false;
    const { state } = item;
    if (state.kind === "message") this.#closePart(item);
    else if (state.kind === "call")
      this.#emit({ type: "response.function_call_arguments.done", ...placeOf(item), name: state.name, arguments: state.arguments });
    else if (state.text !== "") {
      const { text } = state;
      this.#emit({ type: "response.reasoning_summary_text.done", ...placeOf(item), summary_index: 0, text });
      this.#emit({ type: "response.reasoning_summary_part.done", ...placeOf(item), summary_index: 0, part: { type: "summary_text", text } });
    }
    this.#emit({ type: "response.output_item.done", output_index: item.index, item: itemObject(item) });
  }
}

const placeOf = ({ id, index }: Item): JsonObject => ({ item_id: id, output_index: index });

function partObject(type: "output_text" | "refusal", text: string): JsonObject {
  return type === "refusal" ? { type, refusal: text } : { type, text, annotations: [], logprobs: [] };
}

function itemObject({ id, state }: Item, status: "in_progress" | "completed" = "completed"): JsonObject {
  if (state.kind === "message") return { id, type: "message", role: "assistant", status, content: [...state.content] };
  if (state.kind === "call") return { id, type: "function_call", call_id: state.callId, name: state.name, arguments: state.arguments, status };
  const summary = state.text === "" ? [] : [{ type: "summary_text", text: state.text }];
  return { id, type: "reasoning", summary, ...(state.secret === "" ? {} : { encrypted_content: state.secret }) };
}
