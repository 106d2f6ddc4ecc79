// A call of a plugin, as those plugins see it that it calls.

/** The call of a plugin that calls another one: what it has left bounds the other, and what the other uses is charged to it. */
export interface Caller {
  /** Name of the plugin, and the function that runs. */
  readonly plugin: string;
  readonly function: string;
  /** What all instances of the plugin share, by which it is told from others. */
  readonly owner: object;
  /** The call of another plugin that this one was made by; undefined if the embedding program made it. */
  readonly caller: Caller | undefined;
  /** Value that the embedding program passed along; the same for all that are called on the way. */
  readonly context: unknown;
  /** Aborted when the call is over or was stopped. */
  readonly signal: AbortSignal;
  /** Milliseconds until the call's deadline; not positive once it has passed. */
  readonly timeLeftMs: number;
  /** Cost units that the call may still use. */
  readonly fuelLeft: number;
  /** Takes cost units from what the call may use. Nothing happens once the call is over. */
  charge(units: number): void;
}
