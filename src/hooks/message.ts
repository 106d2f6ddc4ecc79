// What the plugins of a run are sent: written once, and again only after one of them has replaced the value.

import { MortiseError, printable } from "../api/errors.ts";
import type { RequestContext } from "../api/request.ts";
import type { ShownContext, Wire } from "./wire.ts";

const encoder = new TextEncoder();
/** Longest message that is handed on as text, in UTF-16 units: a longer one is made bytes once, for all plugins. */
const SHORT_TEXT = 96;
/** The outputs of each wire that change nothing, as bytes. */
const unchangedOf = new WeakMap<object, readonly Uint8Array[]>();

/** What a plugin may know of the request, and its JSON, which is the same as long as nobody changes attributes. */
export class Shown implements ShownContext {
  readonly request: RequestContext;
  readonly attributes: ReadonlyMap<string, string>;
  #json = "";
  #by: Wire<never, unknown>["context"] | undefined;

  constructor(request: RequestContext, attributes: ReadonlyMap<string, string>) {
    this.request = request;
    this.attributes = attributes;
  }

  /** The part of a message that depends on the plugin. */
  json({ context }: Pick<Wire<never, unknown>, "context">): string {
    if (this.#by !== context) {
      this.#json = context(this);
      this.#by = context;
    }
    return this.#json;
  }

  /** True if these are the same attributes. */
  shows(attributes: ReadonlyMap<string, string>): boolean {
    if (attributes.size !== this.attributes.size) return false;
    for (const [name, value] of attributes) if (this.attributes.get(name) !== value) return false;
    return true;
  }
}

/** A value on its way through the plugins of a hook. */
export class Message<T, A> {
  readonly wire: Wire<T, A>;
  readonly #unchanged: readonly Uint8Array[];
  #value: T;
  #json: string | undefined;
  #parts: readonly [before: string, after: string] | undefined;
  /** What was written last, and for which context: most plugins of a hook see the same. */
  #context: ShownContext | undefined;
  #written: string | Uint8Array = "";

  constructor(wire: Wire<T, A>, value: T) {
    this.wire = wire;
    this.#value = value;
    this.#unchanged = unchangedBytes(wire);
  }

  get value(): T {
    return this.#value;
  }

  /** Puts another value in the place of the present one; `json` is its text, where that is known. */
  replace(value: T, json?: string): void {
    this.#value = value;
    this.#json = json;
    this.#parts = undefined;
    this.#context = undefined;
  }

  /**
   * The message to one plugin: text, or its bytes, which plugins with the same context share and nobody may change.
   *
   * @throws MortiseError MORTISE_HOOK_INPUT if the value cannot be written
   */
  input(shown: ShownContext, hook: string): string | Uint8Array {
    if (this.#context === shown) return this.#written;
    const text = this.text(shown, hook);
    this.#written = text.length <= SHORT_TEXT ? text : Buffer.from(text);
    this.#context = shown;
    return this.#written;
  }

  /** The message to one plugin as text. @throws MortiseError MORTISE_HOOK_INPUT if the value cannot be written */
  text(shown: ShownContext, hook: string): string {
    const [before, after] = (this.#parts ??= this.#encode(hook));
    const context = shown instanceof Shown ? shown.json(this.wire) : this.wire.context(shown);
    // Unlike a sum, this is one text without parts, which is encoded in half of the time.
    return [before, context, after].join("");
  }

  #encode(hook: string): readonly [string, string] {
    try {
      return this.wire.encode(this.#value, this.#json);
    } catch (error) {
      throw new MortiseError("MORTISE_HOOK_INPUT", { hook, reason: printable(error instanceof Error ? error.message : error) }, error);
    }
  }

  /** True for an output that is empty, or one of those of which the wire says that they change nothing. */
  changesNothing(output: Uint8Array): boolean {
    if (output.length === 0) return true;
    for (const known of this.#unchanged) if (sameBytes(known, output)) return true;
    return false;
  }
}

function unchangedBytes({ unchanged }: Pick<Wire<never, unknown>, "unchanged">): readonly Uint8Array[] {
  let bytes = unchangedOf.get(unchanged);
  if (bytes === undefined) {
    bytes = unchanged.map((text) => encoder.encode(text));
    unchangedOf.set(unchanged, bytes);
  }
  return bytes;
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
  return true;
}
