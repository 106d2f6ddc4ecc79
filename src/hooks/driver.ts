// Runs hooks: one function for each kind but brackets, which bracket.ts has. Nothing here waits as long as plugins answer at once.
// Types of values end here: what comes in and goes out is typed where hooks are defined.

import type { ChainDecision, Decision, FirstDecision } from "./decision.ts";
import { Message } from "./message.ts";
import type { Seat } from "./roster.ts";
import type { HookRun } from "./run.ts";

/** What plugins decide, without its types. */
export type Decided = Decision<unknown, unknown>;
/** Asks a plugin; undefined if it is not asked at all. */
type Ask = (seat: Seat) => Decided | Promise<Decided> | undefined;
/** Takes what a plugin decided; true if that ends the hook. */
type Take = (seat: Seat, decision: Decided) => boolean;

/** Asks plugins in order until one answers, with a value of its own or in the place of the input. */
export function runFirst(run: HookRun, seats: readonly Seat[], input: unknown): FirstDecision<unknown> | Promise<FirstDecision<unknown>> {
  const message = new Message(input);
  let result: FirstDecision<unknown> = { action: "continue" };
  const ended = inTurn(
    run,
    seats,
    (seat) => ask(run, seat, seat.fn, message),
    (seat, decision) => {
      run.taken(seat, seat.fn, input, decision);
      if (decision.action === "continue") return false;
      const plugin = seat.plugin.name;
      if (decision.action === "reject") result = { action: "reject", reason: decision.reason, plugin };
      else result = { action: "answer", value: decision.value, plugin };
      return true;
    },
  );
  return ended === undefined ? result : ended.then(() => result);
}

/** Hands a value from plugin to plugin. */
export function runChain(
  run: HookRun,
  seats: readonly Seat[],
  input: unknown,
): ChainDecision<unknown, unknown> | Promise<ChainDecision<unknown, unknown>> {
  const chain = new Chain(new Message(input));
  const ended = inTurn(
    run,
    seats,
    (seat) => ask(run, seat, seat.fn, chain.message),
    (seat, decision) => {
      run.taken(seat, seat.fn, chain.message.value, decision);
      return chain.take(seat, decision);
    },
  );
  return ended === undefined ? chain.result() : ended.then(() => chain.result());
}

/** Tells all plugins, those that wait at the same time. */
export function runAll(run: HookRun, seats: readonly Seat[], input: unknown): undefined | Promise<undefined> {
  const message = new Message(input);
  const pending: Promise<unknown>[] = [];
  const failures: unknown[] = [];
  const taken = (seat: Seat, decision: Decided): void => run.taken(seat, seat.fn, input, decision);
  const failed = (seat: Seat, error: unknown): void => {
    try {
      run.failed(seat, seat.fn ?? "", error);
    } catch (failure) {
      failures.push(failure);
    }
  };
  for (const seat of seats) {
    try {
      const decision = ask(run, seat, seat.fn, message);
      if (decision instanceof Promise) pending.push(decision.then((settled) => taken(seat, settled)).catch((error: unknown) => failed(seat, error)));
      else if (decision !== undefined) taken(seat, decision);
    } catch (error) {
      failed(seat, error);
    }
  }
  const finish = (): undefined => {
    if (failures.length > 0) throw failures[0];
  };
  return pending.length === 0 ? finish() : Promise.all(pending).then(finish);
}

/** What becomes of a value in a chain. */
export class Chain {
  readonly message: Message<unknown>;
  readonly #plugins: string[] = [];
  #end: ChainDecision<unknown, unknown> | undefined;

  constructor(message: Message<unknown>) {
    this.message = message;
  }

  take({ plugin: { name } }: Seat, decision: Decided): boolean {
    if (decision.action === "continue") return false;
    if (decision.action === "replace") {
      this.message.replace(decision.value, decision.json);
      this.#plugins.push(name);
      return false;
    }
    if (decision.action === "reject") this.#end = { action: "reject", reason: decision.reason, plugin: name };
    else this.#end = { action: "answer", value: decision.value, plugin: name };
    return true;
  }

  result(): ChainDecision<unknown, unknown> {
    if (this.#end !== undefined) return this.#end;
    const { value } = this.message;
    return this.#plugins.length === 0 ? { action: "continue", value } : { action: "replace", value, plugins: this.#plugins };
  }
}

/** Calls a plugin, unless a filter keeps it out or it has no such function. */
export function ask(run: HookRun, seat: Seat, fn: string | undefined, message: Message<unknown>): ReturnType<Ask> {
  if (seat.accepts?.(message.value) === false) {
    seat.counts.filtered++;
    return undefined;
  }
  return fn === undefined ? undefined : run.call(seat, fn, seat.wire, message);
}

/** Asks one plugin after the other until one ends the hook. A promise only if one of them has to be waited for. */
export function inTurn(run: HookRun, seats: readonly Seat[], asks: Ask, take: Take, from: number = 0): undefined | Promise<void> {
  for (let at = from; at < seats.length; at++) {
    const seat = seats[at] as Seat;
    let decision: ReturnType<Ask>;
    try {
      decision = asks(seat);
    } catch (error) {
      run.failed(seat, seat.fn ?? "", error);
      continue;
    }
    if (decision instanceof Promise) return later(run, seats, asks, take, at, decision);
    if (decision !== undefined && counted(seat, decision, take)) return undefined;
  }
  return undefined;
}

async function later(run: HookRun, seats: readonly Seat[], asks: Ask, take: Take, at: number, pending: Promise<Decided>): Promise<void> {
  const seat = seats[at] as Seat;
  let decision: Decided | undefined;
  try {
    decision = await pending;
  } catch (error) {
    run.failed(seat, seat.fn ?? "", error);
  }
  if (decision !== undefined && counted(seat, decision, take)) return;
  await inTurn(run, seats, asks, take, at + 1);
}

function counted(seat: Seat, decision: Decided, take: Take): boolean {
  if (decision.action === "reject") seat.counts.rejections++;
  return take(seat, decision);
}
