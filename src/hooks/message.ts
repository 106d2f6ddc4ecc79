// What the plugins of a run are sent: written once, and again only after one of them has replaced the value.

import { MortiseError, printable } from "../api/errors.ts";
import type { ShownContext, Wire } from "./wire.ts";

const encoder = new TextEncoder();
/** The outputs of each wire that change nothing, as bytes. */
const unchangedOf = new WeakMap<object, readonly Uint8Array[]>();

/** A value on its way through the plugins of a hook. */
export class Message<T, A> {
  readonly wire: Wire<T, A>;
  readonly #unchanged: readonly Uint8Array[];
  #value: T;
  #json: string | undefined;
  #parts: readonly [before: string, after: string] | undefined;
  /** The context of a plugin that sees no attributes, which is the same for all of them. */
  #plainContext: string | undefined;

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
  }

  /** The message to one plugin. @throws MortiseError MORTISE_HOOK_INPUT if the value cannot be written */
  text(shown: ShownContext, hook: string): string {
    const [before, after] = (this.#parts ??= this.#encode(hook));
    if (shown.attributes.size > 0) return before + this.wire.context(shown) + after;
    return before + (this.#plainContext ??= this.wire.context(shown)) + after;
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
