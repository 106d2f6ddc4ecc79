// What one version of a plugin can be in, how it gets from one to the next, and what is remembered of it.

import { type VersionState, lifecycles } from "../api/channels.ts";
import { printable } from "../api/errors.ts";

export type { VersionState };

/** Where each state may lead. Nothing leads out of `failed` and `unloaded`. */
export const TRANSITIONS: Readonly<Record<VersionState, readonly VersionState[]>> = {
  /** Is read, checked, compiled, instantiated and probed. */
  loading: ["ready", "failed"],
  /** Answers. */
  ready: ["degraded", "open", "draining"],
  /** Answers, but fails often. */
  degraded: ["ready", "open", "draining"],
  /** Fails too often: calls are refused for a while. */
  open: ["half-open", "draining"],
  /** Some calls are let through to see whether it answers again. */
  "half-open": ["ready", "open", "draining"],
  /** Serves no new run; those under way come to their end. */
  draining: ["unloaded"],
  /** Could not be loaded, or did not pass its probe. */
  failed: [],
  /** Nothing of it is left. */
  unloaded: [],
};

/** One change of state. */
export interface StateChange {
  readonly from: VersionState | undefined;
  readonly to: VersionState;
  /** Safe to print, without the plugin's secrets, and cut at 300 characters. */
  readonly reason: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** Changes that are remembered of one version. */
const MAX_HISTORY = 50;

/** Whom a state belongs to. */
interface Subject {
  readonly plugin: string;
  readonly version: string;
  /** Empty as long as the module was not read. */
  readonly digest: string;
}

/** The state of one version. */
export class StateMachine {
  readonly #subject: () => Subject;
  #state: VersionState = "loading";
  #history: StateChange[] = [];

  /** A version that is being loaded. */
  constructor(subject: () => Subject, reason: string) {
    this.#subject = subject;
    this.#note(undefined, "loading", reason);
  }

  get state(): VersionState {
    return this.#state;
  }

  /** Why it is in this state. */
  get reason(): string {
    return this.#history.at(-1)?.reason ?? "";
  }

  /** The last changes, the oldest first. */
  get history(): readonly StateChange[] {
    return this.#history.slice();
  }

  /**
   * Goes on to another state, and publishes it.
   *
   * @param reason without secrets; what a plugin has said may be in it
   * @throws RangeError if {@link TRANSITIONS} has no such way: a defect of the host's
   */
  enter(to: VersionState, reason: string): void {
    const from = this.#state;
    if (!TRANSITIONS[from].includes(to)) throw new RangeError(`no way from ${from} to ${to}: ${reason}`);
    this.#state = to;
    this.#note(from, to, reason);
  }

  #note(from: VersionState | undefined, to: VersionState, why: string): void {
    const reason = printable(why);
    this.#history = [...this.#history, { from, to, reason, at: Date.now() }].slice(-MAX_HISTORY);
    if (lifecycles.hasSubscribers) lifecycles.publish({ ...this.#subject(), from, to, reason });
  }
}
