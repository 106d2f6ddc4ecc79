// How a hook speaks with plugins: which JSON they get, and how their answers are read.

import type { MortiseError } from "../api/errors.ts";
import type { RequestContext } from "../api/request.ts";
import type { Decision } from "./decision.ts";
import type { GuestJson } from "./guest-json.ts";

/** What a plugin may know of the request. */
export interface ShownContext {
  readonly request: RequestContext;
  /** The attributes that it may read. */
  readonly attributes: ReadonlyMap<string, string>;
}

/** What a plugin answered, and what it was asked. */
export interface GuestAnswer<T> extends ShownContext {
  /** The value that the plugin was given. */
  readonly given: T;
  /** The plugin's output. @throws MortiseError MORTISE_HOOK_OUTPUT if it is not JSON, or JSON that could mean two things */
  json(): GuestJson;
  /** The error for an answer of the wrong shape, MORTISE_HOOK_OUTPUT; `reason` goes on after "its output". */
  fault(reason: string): MortiseError;
  /** The error for a plugin that says that it failed, MORTISE_GUEST_ERROR. */
  failure(reason: string): MortiseError;
}

/**
 * The codec of a hook: what plugins see of a value, and what their answers mean. It is the same for plugins of every
 * interface. The message is `before`, the context, `after`: what all plugins share is written once.
 */
export interface Wire<T, A> {
  /** The two parts of the message around the context. What it throws is the application's mistake. */
  encode(value: T, json?: string): readonly [before: string, after: string];
  /** The part that depends on the plugin. */
  context(shown: ShownContext): string;
  /** Outputs besides the empty one that change nothing, so that they are not parsed. */
  readonly unchanged: readonly string[];
  /** Another wire for one plugin, by what that exports. @default this one for all */
  readonly forPlugin?: (plugin: { has(fn: string): boolean }) => Wire<T, A> | undefined;
  /** Reads an output that is not among {@link unchanged}. @throws what the answer offers for faults */
  decode(answer: GuestAnswer<T>): Decision<T, A>;
}

/** A wire without its types. */
export type AnyWire = Wire<unknown, unknown>;

/** Attributes as a JSON object. */
export function attributesJson(attributes: ReadonlyMap<string, string>): string {
  return attributes.size === 0 ? "{}" : JSON.stringify(Object.fromEntries(attributes));
}

/** A value as JSON. @throws TypeError if it has none */
export function toJson(value: unknown): string {
  const json: string | undefined = JSON.stringify(value);
  if (json === undefined) throw new TypeError(`${typeof value} has no JSON`);
  return json;
}
