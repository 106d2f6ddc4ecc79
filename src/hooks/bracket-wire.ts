// What plugins of a bracket are told when what they stand around is done.

import { isMortiseError } from "../api/errors.ts";
import { type Decision, withAttributes } from "./decision.ts";
import { genericContext, genericWire } from "./generic-wire.ts";
import { type GuestAnswer, type Wire, toJson } from "./wire.ts";

/** How it ended: with an output, or with an error. */
export type Ending<O> =
  | { readonly ok: true; readonly output: O }
  | {
      readonly ok: false;
      readonly error: unknown;
      /** A plugin rejected, or failed in a closed hook: no other plugin can make that undone. */
      readonly final: boolean;
    };

/** What `post_` functions are given: the input as it was done with, and the ending. */
export interface BracketEnd<I, O> {
  readonly input: I;
  readonly ending: Ending<O>;
}

/**
 * `{"input", "output", "context"}` or `{"input", "error": {"code"?, "message", "final"}, "context"}`; answered like any
 * other hook, where `replace` and `answer` are a new output, which also takes the place of an error that is not final. Work
 * without a result has the output null.
 */
export function bracketEndWire<I, O>(): Wire<BracketEnd<I, O>, O> {
  return END as Wire<BracketEnd<I, O>, O>;
}

const generic = genericWire<BracketEnd<unknown, unknown>, unknown>();

const END: Wire<BracketEnd<unknown, unknown>, unknown> = {
  encode({ input, ending }) {
    const end = ending.ok ? `"output":${toJson(ending.output ?? null)}` : `"error":${toJson(errorView(ending))}`;
    return [`{"input":${toJson(input)},${end},"context":`, "}"];
  },
  context: genericContext,
  unchanged: generic.unchanged,
  decode(answer: GuestAnswer<BracketEnd<unknown, unknown>>): Decision<BracketEnd<unknown, unknown>, unknown> {
    const decision = generic.decode(answer);
    if (decision.action !== "replace") return decision;
    return withAttributes({ action: "answer", value: decision.value }, decision.attributes);
  },
};

const MAX_MESSAGE = 1000;

/** What a plugin may know of an error: never its stack or its cause. */
export interface ErrorView {
  readonly code?: string;
  readonly message: string;
  readonly final: boolean;
}

/** An ending's error, as plugins see it. */
export function errorView({ error, final }: { readonly error: unknown; readonly final: boolean }): ErrorView {
  const message = (error instanceof Error || isMortiseError(error) ? error.message : String(error)).slice(0, MAX_MESSAGE);
  return { ...(isMortiseError(error) && { code: error.code }), message: message.toWellFormed(), final };
}
