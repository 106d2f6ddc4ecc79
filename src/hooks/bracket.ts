// Brackets: plugins are asked before something is done, in order, and those that were asked then after it, in reverse.

import { MortiseError } from "../api/errors.ts";
import type { Ending } from "./bracket-wire.ts";
import { CONTINUE, withAttributes } from "./decision.ts";
import { Chain, type Decided, ask, inTurn } from "./driver.ts";
import { Message } from "./message.ts";
import type { Seat } from "./roster.ts";
import type { HookRun } from "./run.ts";

/** A bracket whose plugins have been asked before. What they are asked after may happen once, never, or many times. */
export interface OpenedBracket<I, O> {
  /** The input as plugins made it. */
  readonly input: I;
  /** How it ended before anything was done: by an answer, a rejection or a failure. Undefined if the work is to be done. */
  readonly early: Ending<O> | undefined;
  /** False if there is no plugin to be asked afterwards: then an ending stays as it is. */
  readonly asksAfter: boolean;
  /**
   * Asks plugins what they make of an ending, as often as there is one: each piece of a stream is one. A promise only where
   * one of them has to be waited for. It does not throw: what goes wrong is the ending that it gives.
   */
  end(ending: Ending<O>): Ending<O> | Promise<Ending<O>>;
}

/** Asks plugins before some work, and after it. */
export async function runBracket(run: HookRun, seats: readonly Seat[], input: unknown, work: (input: unknown) => unknown): Promise<unknown> {
  const bracket = await openBracket(run, seats, input);
  const ending = await bracket.end(bracket.early ?? (await attempt(work, bracket.input)));
  if (ending.ok) return ending.output;
  throw ending.error;
}

async function attempt(work: (input: unknown) => unknown, input: unknown): Promise<Ending<unknown>> {
  try {
    return { ok: true, output: await work(input) };
  } catch (error) {
    return { ok: false, error, final: false };
  }
}

/** Asks plugins before some work. It does not throw: what goes wrong is how the bracket ended early. */
export function openBracket(
  run: HookRun,
  seats: readonly Seat[],
  input: unknown,
): OpenedBracket<unknown, unknown> | Promise<OpenedBracket<unknown, unknown>> {
  const chain = new Chain(new Message(input));
  const passed: Seat[] = [];
  const opened = (): OpenedBracket<unknown, unknown> => new Bracket(run, chain, passed, earlyEnding(run, chain));
  const failed = (error: unknown): OpenedBracket<unknown, unknown> => new Bracket(run, chain, passed, { ok: false, error, final: true });
  try {
    const pending = askBefore(run, seats, chain, passed);
    return pending === undefined ? opened() : pending.then(opened).catch(failed);
  } catch (error) {
    return failed(error);
  }
}

/** Notes in `passed` whose function ran, or would have had there been one. */
function askBefore(run: HookRun, seats: readonly Seat[], chain: Chain, passed: Seat[]): undefined | Promise<void> {
  const { message } = chain;
  return inTurn(
    run,
    seats,
    (seat) => {
      if (seat.fn === undefined && seat.accepts?.(message.value) !== false) passed.push(seat);
      return ask(run, seat, seat.fn, message);
    },
    (seat, decision) => {
      passed.push(seat);
      run.taken(seat, seat.fn, message.value, decision);
      return chain.take(seat, decision);
    },
  );
}

function earlyEnding(run: HookRun, chain: Chain): Ending<unknown> | undefined {
  const result = chain.result();
  if (result.action === "answer") return { ok: true, output: result.value };
  if (result.action === "reject") return { ok: false, error: run.rejected(result), final: true };
  return undefined;
}

class Bracket implements OpenedBracket<unknown, unknown> {
  readonly input: unknown;
  readonly early: Ending<unknown> | undefined;
  readonly #run: HookRun;
  /** Those that are asked afterwards, in that order. */
  readonly #seats: readonly Seat[];

  constructor(run: HookRun, chain: Chain, passed: readonly Seat[], early: Ending<unknown> | undefined) {
    this.input = chain.message.value;
    this.early = early;
    this.#run = run;
    this.#seats = passed.filter(({ postFn }) => postFn !== undefined).toReversed();
  }

  get asksAfter(): boolean {
    return this.#seats.length > 0;
  }

  end(ending: Ending<unknown>): Ending<unknown> | Promise<Ending<unknown>> {
    if (this.#seats.length === 0) return ending;
    this.#run.cleanUp();
    return this.#endFrom(0, this.#messageOf(ending), ending);
  }

  #messageOf(ending: Ending<unknown>): Message<unknown> {
    return new Message({ input: this.input, ending });
  }

  /** A plugin sees what the one before made of the ending; the message is written anew only if that is another. */
  #endFrom(from: number, message: Message<unknown>, ending: Ending<unknown>): Ending<unknown> | Promise<Ending<unknown>> {
    let now = ending;
    let shown = message;
    for (let at = from; at < this.#seats.length; at++) {
      const seat = this.#seats[at] as Seat;
      const before = now;
      try {
        const decision = this.#run.call(seat, seat.postFn ?? "", seat.postWire, shown);
        if (decision instanceof Promise) return this.#endLater(at, shown, now, decision);
        now = afterwards(this.#run, seat, now, decision);
      } catch (error) {
        now = failedAfterwards(this.#run, seat, now, error);
      }
      if (now !== before) shown = this.#messageOf(now);
    }
    return now;
  }

  async #endLater(at: number, message: Message<unknown>, ending: Ending<unknown>, pending: Promise<Decided>): Promise<Ending<unknown>> {
    const seat = this.#seats[at] as Seat;
    let now: Ending<unknown>;
    try {
      now = afterwards(this.#run, seat, ending, await pending);
    } catch (error) {
      now = failedAfterwards(this.#run, seat, ending, error);
    }
    return this.#endFrom(at + 1, now === ending ? message : this.#messageOf(now), now);
  }
}

/** What an ending becomes by a plugin's decision. */
function afterwards(run: HookRun, seat: Seat, ending: Ending<unknown>, decision: Decided): Ending<unknown> {
  const final = !ending.ok && ending.final;
  const isTaken = decision.action !== "replace" && !final;
  // Attributes were written in any case.
  run.taken(seat, seat.postFn, ending, isTaken ? decision : withAttributes(CONTINUE, decision.attributes));
  if (decision.action === "replace") {
    const reason = "replaces what is over; only an answer can stand for a result";
    throw new MortiseError("MORTISE_HOOK_OUTPUT", { hook: run.hook.name, plugin: seat.plugin.name, function: seat.postFn, reason });
  }
  if (decision.action === "answer" && isTaken) return { ok: true, output: decision.value };
  if (decision.action !== "reject") return ending;
  seat.counts.rejections++;
  return final ? ending : { ok: false, error: run.rejected({ reason: decision.reason, plugin: seat.plugin.name }), final: true };
}

/** What an ending becomes when a plugin fails: the first error stays, an output does not get past a closed hook. */
function failedAfterwards(run: HookRun, seat: Seat, ending: Ending<unknown>, thrown: unknown): Ending<unknown> {
  try {
    run.failed(seat, seat.postFn ?? "", thrown);
    return ending;
  } catch (error) {
    return ending.ok ? { ok: false, error, final: true } : { ...ending, final: true };
  }
}
