// The wire of hooks that an application defines: {"input", "context"} out, {"action", …} back.

import type { RequestContext } from "../api/request.ts";
import { type AttributeChanges, CONTINUE, type Decision, withAttributes } from "./decision.ts";
import { isJsonObject } from "./guest-json.ts";
import { type GuestAnswer, type ShownContext, type Wire, attributesJson, toJson } from "./wire.ts";

/** Longest reason of a rejection that is kept, in UTF-16 units. */
export const MAX_REASON = 1000;
/** How an answer begins that a value and nothing else follows. */
const REPLACE = '{"action":"replace","value":';

/** Answers that every wire of ours takes for "nothing changes". */
export const PLAIN_CONTINUE: readonly string[] = ['{"action":"continue"}', '{"kind":"continue"}'];

/** The wire of hooks that name no other. */
export function genericWire<T, A>(): Wire<T, A> {
  return GENERIC as Wire<T, A>;
}

const GENERIC: Wire<unknown, unknown> = {
  encode: (value, json = toJson(value)) => [`{"input":${json},"context":`, "}"],
  context: genericContext,
  unchanged: PLAIN_CONTINUE,
  decode: (answer) => decodeGeneric(answer),
};

/** `{"request_id", "traceparent"?, "attributes"}`. */
export function genericContext({ request, attributes }: ShownContext): string {
  return `{"request_id":${quotedId(request)}${traceOf(request)},"attributes":${attributesJson(attributes)}}`;
}

function quotedId({ id }: RequestContext): string {
  return JSON.stringify(id);
}

function traceOf({ traceparent }: RequestContext): string {
  return traceparent === undefined ? "" : `,"traceparent":${JSON.stringify(traceparent)}`;
}

/** Reads {@link genericWire}'s answers. */
function decodeGeneric<T, A>(answer: GuestAnswer<T>): Decision<T, A> {
  const body = readBody(answer);
  const { attributes } = body;
  switch (body.action) {
    case "continue":
      return withAttributes(CONTINUE, attributes);
    case "replace":
    case "rewrite": {
      const value = body.required("value") as T;
      // Whoever comes next is given the text that this one wrote: it need not be made again.
      const { text } = answer.json();
      if (body.count === 2 && text.startsWith(REPLACE) && text.endsWith("}"))
        return { action: "replace", value, json: text.slice(REPLACE.length, -1) };
      return withAttributes({ action: "replace", value }, attributes);
    }
    case "answer":
      return withAttributes({ action: "answer", value: body.required("value") as A }, attributes);
    case "reject":
    case "block":
    case "deny":
    case "denied":
      return withAttributes({ action: "reject", reason: body.reason("reason", "message") }, attributes);
    default:
      throw body.unknownAction();
  }
}

/** An answer that is an object with an action. */
export interface AnswerBody {
  /** The field `action`, or `kind` in its place. */
  readonly action: string;
  /** Number of its fields. */
  readonly count: number;
  readonly attributes: AttributeChanges | undefined;
  /** A field that must be there, in any of its spellings. @throws MortiseError MORTISE_HOOK_OUTPUT */
  required(...names: readonly string[]): unknown;
  /** A field that must be text. @throws MortiseError MORTISE_HOOK_OUTPUT */
  text(...names: readonly string[]): string;
  /** A reason, if one is given. @throws MortiseError MORTISE_HOOK_OUTPUT if it is not text */
  reason(...names: readonly string[]): string;
  unknownAction(): Error;
}

/** Reads what all answers with an action have in common. @throws MortiseError MORTISE_HOOK_OUTPUT */
export function readBody(answer: GuestAnswer<unknown>): AnswerBody {
  const { value: body } = answer.json();
  if (!isJsonObject(body)) throw answer.fault("is not a JSON object");
  const spelled = ["action", "kind"].filter((name) => Object.hasOwn(body, name));
  const [name] = spelled;
  if (name === undefined) throw answer.fault('has no "action"');
  if (spelled.length > 1) throw answer.fault('has both "action" and "kind"');
  const action = body[name];
  if (typeof action !== "string") throw answer.fault(`has a "${name}" that is not text`);
  const field = (...names: readonly string[]): unknown => own(body, names.find((each) => Object.hasOwn(body, each)) ?? "");
  const text = (...names: readonly string[]): string => {
    const value = field(...names);
    if (typeof value !== "string") throw answer.fault(`has the action "${action}", but no text "${names.join('" or "')}"`);
    return value;
  };
  return {
    action,
    count: Object.keys(body).length,
    attributes: Object.hasOwn(body, "attributes") ? readAttributes(answer, body["attributes"]) : undefined,
    required(...names) {
      if (!names.some((each) => Object.hasOwn(body, each))) throw answer.fault(`has the action "${action}", but no "${names.join('" or "')}"`);
      return field(...names);
    },
    text,
    reason(...names) {
      const given = names.filter((each) => (own(body, each) ?? "") !== "");
      return given.length === 0 ? "it gave no reason" : text(...given).slice(0, MAX_REASON);
    },
    unknownAction: () => answer.fault(`has the unknown action "${action}"`),
  };
}

function own(body: Readonly<Record<string, unknown>>, name: string): unknown {
  return Object.hasOwn(body, name) ? body[name] : undefined;
}

function readAttributes(answer: GuestAnswer<unknown>, attributes: unknown): AttributeChanges | undefined {
  if (attributes === null) return undefined;
  if (!isJsonObject(attributes)) throw answer.fault('has "attributes" that are not an object');
  for (const [name, value] of Object.entries(attributes))
    if (typeof value !== "string" && value !== null) throw answer.fault(`has an attribute "${name}" that is neither text nor null`);
  return attributes as AttributeChanges;
}
