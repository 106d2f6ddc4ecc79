// One run of a hook: its request, its deadline, and the calls of its plugins.

import { MortiseError, printable } from "../api/errors.ts";
import type { RequestContext } from "../api/request.ts";
import { areCallsWatched } from "../host/watched-call.ts";
import { writeAttributes } from "./attributes.ts";
import { type Check, checked } from "./check.ts";
import { CONTINUE, type Decision } from "./decision.ts";
import { type HookFailure, coded, hookFailed, publish } from "./failure.ts";
import { type GuestJson, readGuestJson } from "./guest-json.ts";
import { type Message, Shown, changesNothing } from "./message.ts";
import { type HookCallOptions, type HookOutput, isShort } from "./plugin-entry.ts";
import { publishDecision } from "./published.ts";
import type { HookState, Seat } from "./roster.ts";
import type { AnyWire, GuestAnswer, ShownContext, Wire } from "./wire.ts";

/** What all runs of a host share. */
export interface RunEnvironment {
  /** Monotonic clock in milliseconds. */
  readonly clock: () => number;
  /** Told of every failure, besides the channel. */
  readonly onFailure: ((failure: HookFailure) => void) | undefined;
}

/** One run of one hook for one request. */
export class HookRun {
  readonly hook: HookState;
  readonly request: RequestContext;
  readonly #environment: RunEnvironment;
  /** Ends the calls, as long as the request is not over anyway. */
  #signal: AbortSignal | undefined;
  /** When the time of the hook itself is over. */
  #endsAt: number;
  /** What the plugin before was shown of the request. */
  #shown: Shown | undefined;
  /** The request's own deadline no longer counts. */
  #overtime = false;

  constructor(hook: HookState, request: RequestContext, signal: AbortSignal | undefined, environment: RunEnvironment) {
    this.hook = hook;
    this.request = request;
    this.#environment = environment;
    this.#signal = signal;
    this.#endsAt = this.#deadline();
  }

  /**
   * From here on plugins clean up after what is done: they have the hook's time once more, whether the request is over
   * or not.
   */
  cleanUp(): void {
    this.#overtime = true;
    this.#signal = undefined;
    this.#endsAt = this.#deadline();
  }

  #deadline(): number {
    const { timeoutMs } = this.hook.definition;
    return timeoutMs === Number.POSITIVE_INFINITY ? timeoutMs : this.#environment.clock() + timeoutMs;
  }

  /**
   * Calls a plugin, and gives what it decides: checked, and with its attributes written.
   *
   * @throws MortiseError why the plugin failed, or MORTISE_HOOK_INPUT if there is nothing that it could be sent
   */
  call<T>(seat: Seat, fn: string, wire: AnyWire, message: Message<T>): Decision<T, unknown> | Promise<Decision<T, unknown>> {
    const shown = this.#shownTo(seat);
    const input = message.input(wire, shown, this.hook.name);
    seat.counts.calls++;
    const options = this.#callOptions(seat, fn);
    const { timeoutMs = Number.POSITIVE_INFINITY } = options;
    const short = isShort(timeoutMs, Math.min(seat.timeoutMs, this.hook.definition.timeoutMs));
    const output = seat.plugin.start(fn, input, areCallsWatched() ? { ...options, hook: this.hook.name } : options, short);
    const given = message.value;
    if (output instanceof Promise) return output.then((settled) => this.#read(seat, fn, wire, given, shown, settled));
    return this.#read(seat, fn, wire, given, shown, output);
  }

  /** What a plugin may know of the request now; the same object for all to whom it is the same, so that it is written once. */
  #shownTo({ access }: Seat): Shown {
    if (this.#shown === undefined || !access.sees(this.request, this.#shown.attributes))
      this.#shown = new Shown(this.request, access.shown(this.request));
    return this.#shown;
  }

  /**
   * What a call may take: what is left to the request, to the hook and to the plugin. Waiting until the plugin has done with other
   * requests counts towards the first two alone: one that takes long must not make those fail that come after it.
   */
  #callOptions(seat: Seat, fn: string): HookCallOptions {
    const { plugin } = seat;
    const signal = this.#signal;
    if (signal?.aborted === true) throw new MortiseError("MORTISE_ABORTED", { plugin: plugin.name, function: fn }, signal.reason);
    const context = this.request;
    const hookLeft = this.#endsAt === Number.POSITIVE_INFINITY ? this.#endsAt : this.#endsAt - this.#environment.clock();
    const left = this.#overtime ? hookLeft : Math.min(hookLeft, context.timeLeftMs);
    if (left === Number.POSITIVE_INFINITY) return signal === undefined ? { context, waitMs: left } : { context, waitMs: left, signal };
    if (left <= 0) {
      const limit = hookLeft <= 0 ? this.hook.definition.timeoutMs : context.timeoutMs;
      throw new MortiseError("MORTISE_TIMEOUT", { plugin: plugin.name, function: fn, limit });
    }
    const timeoutMs = Math.min(left, seat.timeoutMs);
    const waitMs = left - timeoutMs;
    return signal === undefined ? { context, timeoutMs, waitMs } : { context, timeoutMs, waitMs, signal };
  }

  #read<T>(seat: Seat, fn: string, wire: AnyWire, given: T, shown: ShownContext, output: HookOutput): Decision<T, unknown> {
    const bytes = output.bytes();
    if (changesNothing(wire, bytes)) return CONTINUE;
    const { name, definition } = this.hook;
    const who = { plugin: seat.plugin.name, function: fn };
    const fault = (reason: string): MortiseError => new MortiseError("MORTISE_HOOK_OUTPUT", { hook: name, plugin: who.plugin, function: fn, reason });
    let parsed: GuestJson | undefined;
    const answer: GuestAnswer<T> = {
      request: shown.request,
      attributes: shown.attributes,
      given,
      json: () => (parsed ??= readGuestJson(bytes, definition.maxOutputBytes, fault)),
      fault,
      failure: (reason) => new MortiseError("MORTISE_GUEST_ERROR", { plugin: who.plugin, function: fn, reason }),
    };
    const decision = this.#checked((wire as Wire<T, unknown>).decode(answer), fault);
    if (definition.kind === "all" && decision.action !== "continue") throw fault(`decides with "${decision.action}", which observers cannot`);
    if (decision.attributes !== undefined) writeAttributes(this.request, seat.access, decision.attributes, who, fault);
    return decision;
  }

  /** Publishes what a plugin has decided of a value, now that it takes effect. */
  taken(seat: Seat, fn: string | undefined, given: unknown, decision: Decision<unknown, unknown>): void {
    publishDecision({ hook: this.hook, plugin: seat.plugin, function: fn ?? "", request: this.request, given, decision });
  }

  #checked<T, A>(decision: Decision<T, A>, fault: (reason: string) => MortiseError): Decision<T, A> {
    const { checks } = this.hook.definition;
    if (decision.action === "replace" && checks.replace !== undefined) {
      // A check may change the value, also in its place: then what the plugin wrote is no longer its text.
      const { json: _json, ...rest } = decision;
      return { ...rest, value: accept(checks.replace as Check<T>, decision.value, fault) };
    }
    if (decision.action === "answer" && checks.answer !== undefined)
      return { ...decision, value: accept(checks.answer as Check<A>, decision.value, fault) };
    return decision;
  }

  /**
   * Deals with a plugin's failure: returns if the hook goes on without it.
   *
   * @throws MortiseError MORTISE_HOOK_FAILED if the policy is closed; the error itself if the plugin is not to blame
   */
  failed(seat: Seat, fn: string, thrown: unknown): void {
    const error = coded(thrown);
    if (error.code === "MORTISE_HOOK_INPUT" || (error.code === "MORTISE_ABORTED" && this.#signal?.aborted === true)) throw error;
    seat.counts.failures++;
    const failure: HookFailure = {
      hook: this.hook.name,
      plugin: seat.plugin.name,
      function: fn,
      request: this.request.id,
      policy: seat.policy,
      error,
    };
    publish(failure);
    this.#environment.onFailure?.(failure);
    if (seat.policy === "closed") throw hookFailed(failure);
  }

  /** The error of a hook that a plugin rejected. */
  rejected({ reason, plugin }: { readonly reason: string; readonly plugin: string }): MortiseError {
    return new MortiseError("MORTISE_HOOK_REJECTED", { hook: this.hook.name, plugin, reason });
  }
}

function accept<V>(check: Check<V>, value: unknown, fault: (reason: string) => MortiseError): V {
  try {
    return checked(check, value);
  } catch (error) {
    throw fault(`has a value that is refused: ${printable(error instanceof Error ? error.message : error)}`);
  }
}
