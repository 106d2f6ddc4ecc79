// The context of an LLM gateway's hooks: a free object that plugins get, add to, and give back whole.

import type { AttributeChanges } from "../decision.ts";
import { isJsonObject } from "../guest-json.ts";
import type { GuestAnswer, ShownContext } from "../wire.ts";

/** Keys that belong to the gateway, in any case: what plugins write there is dropped, as in Bifrost itself. */
const RESERVED: ReadonlySet<string> = new Set([
  "request_id",
  "request-id",
  "fallback-request-id",
  "x-bf-vk",
  "x-bf-api-key",
  "x-bf-api-key-id",
  "x-bf-direct-key",
]);
const RESERVED_PREFIX = "bifrost-";

/** Texts that are the same in JSON. */
const PLAIN = /^[\w .:/-]*$/;

function quoted(text: string): string {
  return PLAIN.test(text) ? `"${text}"` : JSON.stringify(text);
}

/** `{"request_id", …}` with the attributes that the plugin may see. */
export function contextJson({ request, attributes }: ShownContext): string {
  let json = `{"request_id":${quoted(request.id)}`;
  for (const [name, value] of attributes) if (name !== "request_id") json += `,${quoted(name)}:${quoted(value)}`;
  return `${json}}`;
}

/**
 * What a plugin changed of the context that it gives back. A key that it leaves out stays; null takes it away; what is
 * not text is kept as JSON.
 */
export function contextChanges(context: unknown, answer: GuestAnswer<unknown>): AttributeChanges | undefined {
  if (context === undefined || context === null) return undefined;
  if (!isJsonObject(context)) throw answer.fault('has a "context" that is not an object');
  const changes: Record<string, string | null> = Object.create(null);
  let some = false;
  for (const [name, value] of Object.entries(context)) {
    const lower = name.toLowerCase();
    if (RESERVED.has(lower) || lower.startsWith(RESERVED_PREFIX)) continue;
    const text = value === null || typeof value === "string" ? value : JSON.stringify(value);
    if (text === (answer.attributes.get(name) ?? null)) continue;
    changes[name] = text;
    some = true;
  }
  return some ? changes : undefined;
}

/** Fields of answers to other hooks, which a plugin that decides by them would not be understood to mean. */
const FOREIGN: readonly string[] = ["action", "kind"];

/**
 * An answer's object by the names of its fields, which are the same in any case, as to Bifrost's own decoder. Other fields
 * are left out, but for those that look as if they decided: an answer that would be overlooked is none that lets pass.
 */
export function readEnvelope(answer: GuestAnswer<unknown>, fields: readonly string[]): Readonly<Record<string, unknown>> {
  const { value } = answer.json();
  if (value === null) return {};
  if (!isJsonObject(value)) throw answer.fault("is not a JSON object");
  const envelope: Record<string, unknown> = Object.create(null);
  const keys = Object.keys(value);
  for (const key of keys) {
    const name = key.toLowerCase();
    if (fields.includes(name)) {
      if (Object.hasOwn(envelope, name)) throw answer.fault(`has the field "${name}" in two spellings`);
      envelope[name] = value[key];
    } else if ([...fields, ...FOREIGN].some((each) => bare(each) === bare(name)))
      throw answer.fault(`has the field "${key}", which means nothing here; its fields are ${fields.join(", ")}`);
  }
  if (keys.length > 0 && Object.keys(envelope).length === 0) throw answer.fault(`has none of the fields ${fields.join(", ")}`);
  return envelope;
}

/** A name without what joins its parts. */
function bare(name: string): string {
  return name.replaceAll(/[-_ ]/g, "");
}

/** An object that says something: null, absent and `{}` are the same, "unchanged" or "none". */
export function present(value: unknown, name: string, answer: GuestAnswer<unknown>): Readonly<Record<string, unknown>> | undefined {
  if (value === undefined || value === null) return undefined;
  if (!isJsonObject(value)) throw answer.fault(`has a "${name}" that is not an object`);
  return Object.keys(value).length === 0 ? undefined : value;
}

/** A flag, if it is given. */
export function flag(value: unknown, name: string, answer: GuestAnswer<unknown>): boolean | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== "boolean") throw answer.fault(`has a "${name}" that is neither true nor false`);
  return value;
}

/** Throws if a plugin says that it failed. */
export function refuseError(value: unknown, name: string, answer: GuestAnswer<unknown>): void {
  const text = errorText(value, name, answer);
  if (text !== "") throw answer.failure(text);
}

/** What a plugin says of its failure; empty if it did not fail. */
export function errorText(value: unknown, name: string, answer: GuestAnswer<unknown>): string {
  if (value === undefined || value === null) return "";
  if (typeof value !== "string") throw answer.fault(`has an "${name}" that is not text`);
  return value;
}
