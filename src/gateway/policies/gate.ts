// Lets so many in at a time, and a bounded number wait: in turn among those who send them, and not for longer than they may.

import { MortiseError } from "mortise";

import { checkKeys, checkMs, checkWhole, withDefaults } from "./check-options.ts";
import { REAL_TIME, type Timing } from "./timing.ts";

export interface GateOptions {
  /** Requests under way at a time. @default 1000 */
  readonly limit?: number | undefined;
  /** Requests that wait at most; 0 for none. @default 1000 */
  readonly queue?: number | undefined;
  /** Milliseconds that one waits at most. @default 10,000 */
  readonly queueMs?: number | undefined;
}

/** Options with every default filled in. */
export type ResolvedGate = { readonly [Name in keyof GateOptions]-?: NonNullable<GateOptions[Name]> };

const DEFAULTS: ResolvedGate = { limit: 1000, queue: 1000, queueMs: 10_000 };

/** Fills in defaults. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveGate(options: GateOptions = {}, option = "concurrency"): ResolvedGate {
  checkKeys(options, option, Object.keys(DEFAULTS));
  const resolved = withDefaults(DEFAULTS, options as Partial<ResolvedGate>);
  checkWhole(resolved.limit, `${option}.limit`, 1, 1_000_000);
  checkWhole(resolved.queue, `${option}.queue`, 0, 1_000_000);
  checkMs(resolved.queueMs, `${option}.queueMs`);
  return Object.freeze(resolved);
}

/** How one waits. */
export interface Waiting {
  /** Who sends it: those who wait get in in turn. @default "" */
  readonly client?: string | undefined;
  /** Milliseconds that it may wait, where that is less than `queueMs`. */
  readonly waitMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One who was let in. Leaving again is as good as leaving once. */
export class Pass {
  #gate: { leave(): void } | undefined;

  constructor(gate: { leave(): void }) {
    this.#gate = gate;
  }

  leave(): void {
    const gate = this.#gate;
    this.#gate = undefined;
    gate?.leave();
  }
}

interface Waiter {
  readonly client: string;
  readonly enter: () => void;
  readonly refuse: (error: unknown) => void;
}

/** What a gate says of itself. */
export interface GateDescription {
  readonly inside: number;
  readonly waiting: number;
}

/** A gate. */
export class Gate {
  readonly #what: string;
  readonly #options: ResolvedGate;
  readonly #timing: Pick<Timing, "after">;
  readonly #emptied: (() => void) | undefined;
  readonly #exit = { leave: (): void => this.#leave() };
  #inside = 0;
  #waiting = 0;
  /** Who waits, by client; the client whose turn it is comes first. Sets, since waiters leave from the middle. */
  readonly #queues = new Map<string, Set<Waiter>>();

  /** @param what is named in errors, as in `provider "openai"`; `emptied` runs when nobody is inside or waits any more */
  constructor(what: string, options: ResolvedGate, timing: Pick<Timing, "after"> = REAL_TIME, emptied?: () => void) {
    this.#what = what;
    this.#options = options;
    this.#timing = timing;
    this.#emptied = emptied;
  }

  describe(): GateDescription {
    return { inside: this.#inside, waiting: this.#waiting };
  }

  /** Lets somebody in if nobody has to wait. */
  enterNow(): Pass | undefined {
    // Nobody waits before an open gate: whoever leaves lets the next one in.
    if (this.#inside >= this.#options.limit) return undefined;
    this.#inside++;
    return new Pass(this.#exit);
  }

  /**
   * Lets somebody in, at once or later.
   *
   * @throws MortiseError MORTISE_GATEWAY_BUSY if the queue is full, or after the time of waiting; the signal's reason if it is aborted
   */
  enter({ client = "", waitMs = Number.POSITIVE_INFINITY, signal }: Waiting = {}): Promise<Pass> {
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    const free = this.enterNow();
    if (free !== undefined) return Promise.resolve(free);
    const { queue, queueMs } = this.#options;
    const most = Math.min(queueMs, waitMs);
    if (most <= 0) return Promise.reject(this.#busy("there is no time to wait"));
    if (this.#waiting >= queue && !this.#makeRoom(client))
      return Promise.reject(this.#busy(queue === 0 ? "nobody may wait" : `${queue} wait already`));
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        cancel();
        signal?.removeEventListener("abort", aborted);
        this.#forget(waiter);
      };
      const waiter: Waiter = {
        client,
        enter: () => {
          settle();
          this.#inside++;
          resolve(new Pass(this.#exit));
        },
        refuse: (error) => {
          settle();
          reject(error);
          this.#tellIfEmpty();
        },
      };
      const aborted = (): void => waiter.refuse(signal?.reason);
      const cancel = this.#timing.after(most, () => waiter.refuse(this.#busy(`after ${Math.round(most)} ms it was still not this one's turn`)));
      signal?.addEventListener("abort", aborted);
      this.#remember(waiter);
    });
  }

  #busy(reason: string): MortiseError {
    return new MortiseError("MORTISE_GATEWAY_BUSY", { what: this.#what, limit: this.#options.limit, reason });
  }

  #remember(waiter: Waiter): void {
    const queue = this.#queues.get(waiter.client);
    if (queue === undefined) this.#queues.set(waiter.client, new Set([waiter]));
    else queue.add(waiter);
    this.#waiting++;
  }

  #forget(waiter: Waiter): void {
    const queue = this.#queues.get(waiter.client);
    if (queue?.delete(waiter) !== true) return;
    this.#waiting--;
    if (queue.size === 0) this.#queues.delete(waiter.client);
  }

  /** In a full queue, the last of whoever has most goes, if that one has more than the newcomer would have: nobody fills it alone. */
  #makeRoom(client: string): boolean {
    let longest: Set<Waiter> | undefined;
    for (const queue of this.#queues.values()) if (queue.size > (longest?.size ?? 0)) longest = queue;
    if (longest === undefined || longest.size <= (this.#queues.get(client)?.size ?? 0) + 1) return false;
    const last = [...longest].at(-1);
    last?.refuse(this.#busy(`others wait who sent less`));
    return last !== undefined;
  }

  #leave(): void {
    this.#inside--;
    while (this.#inside < this.#options.limit) {
      const next = this.#queues.entries().next();
      if (next.done === true) break;
      const [client, queue] = next.value;
      const [waiter] = queue;
      // To the end of the line of clients; `enter` takes the waiter out, and the client with its last one.
      this.#queues.delete(client);
      this.#queues.set(client, queue);
      waiter?.enter();
    }
    this.#tellIfEmpty();
  }

  #tellIfEmpty(): void {
    if (this.#inside === 0 && this.#waiting === 0) this.#emptied?.();
  }
}

/** Gates of one kind by name, such as one for each client; those that nobody uses are forgotten. */
export class Gates {
  readonly #kind: string;
  readonly #options: ResolvedGate;
  readonly #timing: Pick<Timing, "after">;
  readonly #gates = new Map<string, Gate>();

  /** @param kind is named in errors, as in `client` */
  constructor(kind: string, options: ResolvedGate, timing: Pick<Timing, "after"> = REAL_TIME) {
    this.#kind = kind;
    this.#options = options;
    this.#timing = timing;
  }

  /** The gate of a name, to be entered at once: later it may be another one. */
  of(name: string): Gate {
    const known = this.#gates.get(name);
    if (known !== undefined) return known;
    const gate: Gate = new Gate(`${this.#kind} "${name}"`, this.#options, this.#timing, () => {
      if (this.#gates.get(name) === gate) this.#gates.delete(name);
    });
    this.#gates.set(name, gate);
    return gate;
  }

  /** Gates that somebody uses. */
  get size(): number {
    return this.#gates.size;
  }
}
