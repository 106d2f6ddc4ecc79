// What a plugin decides in a hook, and what comes of a hook when all have been asked.

/** Attributes of the request that a plugin sets, or with null removes. */
export type AttributeChanges = Readonly<Record<string, string | null>>;

/**
 * What one plugin says. `continue` leaves everything as it is; `replace` puts another value in the place of the input;
 * `answer` ends the hook with a value; `reject` ends it, whatever the failure policy is: it is a decision, not a failure.
 */
export type Decision<T, A> = (
  | { readonly action: "continue" }
  | { readonly action: "replace"; readonly value: T; readonly json?: string }
  | { readonly action: "answer"; readonly value: A }
  | { readonly action: "reject"; readonly reason: string }
) & { readonly attributes?: AttributeChanges };

/** Nothing changes. */
export const CONTINUE: { readonly action: "continue" } = Object.freeze({ action: "continue" });

/** A decision, and the attributes that go with it if there are any. */
export function withAttributes<const D extends object>(
  decision: D,
  attributes: AttributeChanges | undefined,
): D & { readonly attributes?: AttributeChanges } {
  return attributes === undefined ? decision : { ...decision, attributes };
}

/** A plugin that ended a hook by rejecting. */
export interface Rejection {
  readonly action: "reject";
  readonly reason: string;
  readonly plugin: string;
}

/** What comes of a `first` hook: the first answer, a rejection, or nothing. */
export type FirstDecision<A> =
  | { readonly action: "continue" }
  | { readonly action: "answer"; readonly value: A; readonly plugin: string }
  | Rejection;

/** What comes of a `chain` hook: the value as it was, as plugins made it, an answer that ended the chain, or a rejection. */
export type ChainDecision<T, A> =
  | { readonly action: "continue"; readonly value: T }
  | { readonly action: "replace"; readonly value: T; readonly plugins: readonly string[] }
  | { readonly action: "answer"; readonly value: A; readonly plugin: string }
  | Rejection;
