// Puts the chunks of a stream together to the whole answer, and takes a whole answer apart.

import type { JsonObject } from "mortise";

import type { Completion, CompletionChunk } from "../../types.ts";
import { isAbsent, isObject } from "./fields.ts";
import { field } from "./omit-absent.ts";

interface CallSoFar {
  id: string | undefined;
  type: string;
  name: string;
  arguments: string;
}

/** An entry of `reasoning_details`; one that is signed is over. */
interface ThoughtSoFar {
  text: string;
  signature: string | undefined;
  id: string | undefined;
  data: string | undefined;
}

interface ChoiceSoFar {
  content: string | undefined;
  refusal: string | undefined;
  readonly thoughts: ThoughtSoFar[];
  readonly calls: Map<number, CallSoFar>;
  readonly logprobs: unknown[];
  /** Fields of deltas that are not known: lists are joined, of others the last counts. */
  readonly others: Map<string, unknown>;
  finish: JsonObject;
}

/** Builds one answer. */
export interface ChunkAssembler {
  push(chunk: CompletionChunk): void;
  /** What came so far. `finish_reason` is null where none came. */
  completion(): Completion;
}

/** Names of fields that are not known; more are left out. */
const MAX_FIELDS = 64;

const text = (value: unknown): string => (typeof value === "string" ? value : "");
const known = (value: unknown): string | undefined => (typeof value === "string" && value !== "" ? value : undefined);

/** For the chunks of one stream, of any number of choices. What is malformed is left out. */
export function assembleChunks(): ChunkAssembler {
  const choices = new Map<number, ChoiceSoFar>();
  let first: CompletionChunk | undefined;
  let usage: JsonObject | undefined;
  const more = new Map<string, unknown>();
  return {
    push(chunk) {
      first ??= chunk;
      const { id: _id, object: _object, created: _created, model: _model, choices: given, usage: counted, ...rest } = chunk;
      for (const name of Object.keys(rest)) setField(more, name, rest[name]);
      if (isObject(counted)) usage = counted;
      for (const choice of given) {
        const index = typeof choice["index"] === "number" ? choice["index"] : 0;
        let soFar = choices.get(index);
        if (soFar === undefined) choices.set(index, (soFar = emptyChoice()));
        addChoice(soFar, choice);
      }
    },
    completion() {
      const { id = "", created = 0, model = "" } = first ?? {};
      const whole = [...choices].toSorted(([a], [b]) => a - b).map(([index, choice]) => wholeChoice(index, choice));
      return {
        id,
        object: "chat.completion",
        created,
        model,
        choices: whole,
        ...Object.fromEntries(more),
        ...(usage === undefined ? {} : { usage }),
      };
    },
  };
}

function emptyChoice(): ChoiceSoFar {
  return { content: undefined, refusal: undefined, thoughts: [], calls: new Map(), logprobs: [], others: new Map(), finish: { finish_reason: null } };
}

function addChoice(soFar: ChoiceSoFar, choice: JsonObject): void {
  const { index: _index, delta, finish_reason: reason, logprobs, ...rest } = choice;
  if (isObject(delta)) addDelta(soFar, delta);
  if (isObject(logprobs) && Array.isArray(logprobs["content"])) for (const each of logprobs["content"] as unknown[]) soFar.logprobs.push(each);
  if (!isAbsent(reason)) soFar.finish = { finish_reason: reason, ...rest };
}

function addDelta(soFar: ChoiceSoFar, delta: JsonObject): void {
  const { role: _role, content, refusal, tool_calls: calls, reasoning, reasoning_content: alias, reasoning_details: details, ...others } = delta;
  if (typeof content === "string") soFar.content = (soFar.content ?? "") + content;
  if (typeof refusal === "string") soFar.refusal = (soFar.refusal ?? "") + refusal;
  if (Array.isArray(details)) for (const detail of details) addThought(soFar.thoughts, detail);
  else addThought(soFar.thoughts, { text: reasoning ?? alias });
  if (Array.isArray(calls)) for (const [position, call] of calls.entries()) addCall(soFar.calls, call, position);
  for (const [name, value] of Object.entries(others)) {
    // Events of another wire are for its own clients.
    if (name === "anthropic_event" || isAbsent(value)) continue;
    const before = soFar.others.get(name);
    if (!Array.isArray(value)) setField(soFar.others, name, value);
    // The list is a copy, and nobody else's.
    else if (Array.isArray(before)) for (const item of value as unknown[]) before.push(item);
    else setField(soFar.others, name, [...(value as unknown[])]);
  }
}

function setField(fields: Map<string, unknown>, name: string, value: unknown): void {
  if (fields.size < MAX_FIELDS || fields.has(name)) fields.set(name, value);
}

function addThought(thoughts: ThoughtSoFar[], detail: unknown): void {
  if (!isObject(detail)) return;
  const { type, id, data, signature } = detail;
  const said = text(type === "reasoning.summary" ? detail["summary"] : detail["text"]);
  const named = known(id);
  const last = thoughts.at(-1);
  const goesOn = last !== undefined && last.data === undefined && (named === undefined || named === last.id);
  if (type === "reasoning.encrypted") {
    // An entry that was only named is the one that the data is of.
    if (goesOn && last.text === "" && last.signature === undefined) last.data = text(data);
    else thoughts.push({ text: "", signature: undefined, id: named, data: text(data) });
    return;
  }
  if (said === "" && typeof signature !== "string" && named === undefined) return;
  if (goesOn && (last.signature === undefined || (said === "" && typeof signature === "string"))) {
    last.text += said;
    if (typeof signature === "string") last.signature = (last.signature ?? "") + signature;
  } else thoughts.push({ text: said, signature: typeof signature === "string" ? signature : undefined, id: named, data: undefined });
}

function addCall(calls: Map<number, CallSoFar>, value: unknown, position: number): void {
  if (!isObject(value)) return;
  const { index, id, type, function: called } = value;
  const number = typeof index === "number" ? index : position;
  let soFar = calls.get(number);
  if (soFar === undefined) calls.set(number, (soFar = { id: undefined, type: "function", name: "", arguments: "" }));
  soFar.id ??= known(id);
  soFar.type = known(type) ?? soFar.type;
  if (!isObject(called)) return;
  soFar.name ||= text(called["name"]);
  soFar.arguments += text(called["arguments"]);
}

function wholeChoice(index: number, { content, refusal, thoughts, calls, logprobs, others, finish }: ChoiceSoFar): JsonObject {
  const isPlain = thoughts.length === 1 && thoughts[0]?.signature === undefined && thoughts[0]?.id === undefined && thoughts[0]?.data === undefined;
  const reasoning = thoughts.map((thought) => thought.text).join("");
  const tools = [...calls].toSorted(([a], [b]) => a - b);
  const message = {
    role: "assistant",
    content: content === undefined || (content === "" && calls.size > 0) ? null : content,
    refusal: refusal ?? null,
    ...(reasoning === "" ? {} : { reasoning }),
    ...(thoughts.length === 0 || isPlain ? {} : { reasoning_details: thoughts.map(wholeThought) }),
    ...(calls.size === 0 ? {} : { tool_calls: tools.map(([number, call]) => wholeCall(number, call)) }),
    ...Object.fromEntries(others),
  };
  return { index, message, logprobs: logprobs.length === 0 ? null : { content: logprobs, refusal: null }, ...finish };
}

function wholeThought({ text: said, signature, id, data }: ThoughtSoFar): JsonObject {
  if (data !== undefined) return { type: "reasoning.encrypted", data, ...field("id", id) };
  return { type: "reasoning.text", text: said, ...field("signature", signature), ...field("id", id) };
}

function wholeCall(number: number, { id, type, name, arguments: given }: CallSoFar): JsonObject {
  return { id: id ?? `call_${number}`, type, function: { name, arguments: given } };
}

/** A whole answer as the chunks of a stream, for a client that wanted one. */
export function completionToChunks(completion: Completion): CompletionChunk[] {
  const { id, object: _object, created, model, choices, usage, ...more } = completion;
  const chunk = (one: JsonObject): CompletionChunk => ({ id, object: "chat.completion.chunk", created, model, choices: [one], ...more });
  const chunks: CompletionChunk[] = [];
  for (const [position, choice] of choices.entries()) {
    const { index = position, message, logprobs = null, finish_reason: reason, ...rest } = choice;
    const { role: _role, tool_calls: calls, reasoning, reasoning_details: details, ...said }: JsonObject = isObject(message) ? message : {};
    const thoughts = Array.isArray(details) ? { reasoning_details: details as unknown[] } : field("reasoning", reasoning);
    const delta = { role: "assistant", ...said, ...thoughts, ...(Array.isArray(calls) ? { tool_calls: calls.map(numbered) } : {}) };
    chunks.push(
      chunk({ index, delta, logprobs, finish_reason: null }),
      chunk({ index, delta: {}, logprobs: null, finish_reason: reason ?? "stop", ...rest }),
    );
  }
  if (isObject(usage)) chunks.push({ id, object: "chat.completion.chunk", created, model, choices: [], usage });
  return chunks;
}

const numbered = (call: unknown, index: number): JsonObject => ({ index, ...(isObject(call) ? call : {}) });
