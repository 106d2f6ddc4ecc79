// What the plugins of a run are sent: written once, and again only after one of them has replaced the value.

import { MortiseError, printable } from "../api/errors.ts";
import type { RequestContext } from "../api/request.ts";
import type { AnyWire, ShownContext } from "./wire.ts";

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
  #by: AnyWire["context"] | undefined;

  constructor(request: RequestContext, attributes: ReadonlyMap<string, string>) {
    this.request = request;
    this.attributes = attributes;
  }

  /** The part of a message that depends on the plugin. */
  json({ context }: Pick<AnyWire, "context">): string {
    if (this.#by !== context) {
      this.#json = context(this);
      this.#by = context;
    }
    return this.#json;
  }
}

/** A value as one wire writes it. */
interface Written {
  readonly wire: AnyWire;
  readonly parts: readonly [before: string, after: string];
  /** What was written last, and for which context: most plugins of a hook see the same. */
  context: ShownContext | undefined;
  message: string | Uint8Array;
}

/** A value on its way through the plugins of a hook. */
export class Message<T> {
  #value: T;
  #json: string | undefined;
  /** By wire: usually there is one. */
  #written: Written[] = [];

  constructor(value: T) {
    this.#value = value;
  }

  get value(): T {
    return this.#value;
  }

  /** Puts another value in the place of the present one; `json` is its text, where that is known. */
  replace(value: T, json?: string): void {
    this.#value = value;
    this.#json = json;
    this.#written = [];
  }

  /**
   * The message to one plugin: text, or its bytes, which plugins with the same context share and nobody may change.
   *
   * @throws MortiseError MORTISE_HOOK_INPUT if the value cannot be written
   */
  input(wire: AnyWire, shown: ShownContext, hook: string): string | Uint8Array {
    const written = this.#writtenBy(wire, hook);
    if (written.context === shown) return written.message;
    const text = textOf(written, shown);
    written.message = text.length <= SHORT_TEXT ? text : Buffer.from(text);
    written.context = shown;
    return written.message;
  }

  /** The message to one plugin as text. @throws MortiseError MORTISE_HOOK_INPUT if the value cannot be written */
  text(wire: AnyWire, shown: ShownContext, hook: string): string {
    return textOf(this.#writtenBy(wire, hook), shown);
  }

  #writtenBy(wire: AnyWire, hook: string): Written {
    for (const known of this.#written) if (known.wire === wire) return known;
    const written = { wire, parts: this.#encode(wire, hook), context: undefined, message: "" };
    this.#written.push(written);
    return written;
  }

  #encode(wire: AnyWire, hook: string): readonly [string, string] {
    try {
      return wire.encode(this.#value, this.#json);
    } catch (error) {
      throw new MortiseError("MORTISE_HOOK_INPUT", { hook, reason: printable(error instanceof Error ? error.message : error) }, error);
    }
  }
}

function textOf({ wire, parts: [before, after] }: Written, shown: ShownContext): string {
  const context = shown instanceof Shown ? shown.json(wire) : wire.context(shown);
  // Unlike a sum, this is one text without parts, which is encoded in half of the time.
  return [before, context, after].join("");
}

/** True for an output that is empty, or one of those of which the wire says that they change nothing. */
export function changesNothing(wire: Pick<AnyWire, "unchanged">, output: Uint8Array): boolean {
  if (output.length === 0) return true;
  for (const known of unchangedBytes(wire)) if (sameBytes(known, output)) return true;
  return false;
}

function unchangedBytes({ unchanged }: Pick<AnyWire, "unchanged">): readonly Uint8Array[] {
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
