// A loaded plugin: checks calls, hands them to an instance, and keeps count.

import type { AbiName, ExportTable, ExportedValue, PluginState } from "../abi/guest.ts";
import { isStackOverflow } from "../abi/guest-failure.ts";
import type { Caller } from "../api/caller.ts";
import { type ErrorCode, MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import type { PluginOutput } from "../api/output.ts";
import { type MayBegin, NO_OPTIONS, type StartOptions, callOf, checkCallOptions } from "./call-options.ts";
import type { CallOptions, CloseOptions, Declared, Isolation, PluginInput, PluginParts, PluginStats } from "./plugin-types.ts";
import { type InstanceGovernor, type PoolHoldings, RunnerPool, type Slot } from "./pool.ts";
import type { Runner, RunnerCall } from "./runner.ts";
import { type CallNotes, type CallSubject, areCallsWatched, noteEnd, watchCall } from "./watched-call.ts";

export type { CallOptions, CloseOptions, Declared, Isolation, PluginInput, PluginParts, PluginStats } from "./plugin-types.ts";

/** A loaded plugin; `loadPlugin` makes them. */
export class Plugin {
  readonly name: string;
  /** The interface that it speaks. */
  readonly abi: AbiName;
  /** Name of this version, as it is published. */
  readonly version: string;
  /** SHA-256 of its module, or of the native plugin's file, in hexadecimal; empty if it is not known. */
  readonly digest: string;
  /** What it says of itself; nothing of it grants anything. */
  readonly declared: Declared;
  /** Where its functions run. */
  readonly isolation: Isolation;
  /** Instances that it has at most: calls that can run at a time. */
  readonly maxInstances: number;
  readonly #state: PluginState;
  readonly #exports: ExportTable;
  readonly #pool: RunnerPool;
  readonly #release: () => void;
  #closing: Promise<void> | undefined;
  /** Calls that did not find an instance at once. */
  #queued = 0;
  #calls = 0;
  #failures = 0;
  readonly #errors: Partial<Record<ErrorCode, number>> = {};
  #lastFuel = 0;
  #totalFuel = 0;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(parts: PluginParts) {
    this.name = parts.state.name;
    this.abi = parts.abi;
    this.declared = parts.declared ?? { filters: {} };
    this.version = parts.version ?? this.declared.version ?? "1";
    this.digest = parts.digest ?? "";
    this.isolation = parts.isolation;
    this.maxInstances = parts.pool.maxInstances;
    this.#state = parts.state;
    this.#exports = parts.exports;
    this.#pool = new RunnerPool(this.name, parts.state, parts.runners, parts.pool, parts.state.clock);
    this.#release = parts.release;
  }

  /** Makes a plugin and its first instance. @throws MortiseError why the instance could not be made */
  static async create(parts: PluginParts): Promise<Plugin> {
    const plugin = new Plugin(parts);
    try {
      const slot = await plugin.#pool.make("", parts.state.limits.initTimeoutMs);
      plugin.#pool.giveBack(slot, false);
      return plugin;
    } catch (error) {
      await plugin.close({ abort: true });
      throw error;
    }
  }

  /** Milliseconds that a call may take unless it says less: limits.timeoutMs. */
  get timeoutMs(): number {
    return this.#state.limits.timeoutMs;
  }

  /** Names of the exports that can be called. */
  get exports(): string[] {
    return [...this.#exports.callable.keys()];
  }

  /** True if `fn` can be called: an export without parameters that returns nothing or an i32. */
  has(fn: string): boolean {
    return this.#exports.callable.has(fn);
  }

  /**
   * Calls an export. Calls on a plugin with one instance run one after the other; the time spent waiting counts towards
   * the deadline.
   *
   * @throws MortiseError why the call failed; docs/errors.md lists the codes
   */
  call(fn: string, input?: PluginInput, options: CallOptions = NO_OPTIONS): Promise<PluginOutput> {
    try {
      const result = this.start(fn, input, options);
      return result instanceof Promise ? result : Promise.resolve(result);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /**
   * As {@link call}, but gives the output itself where nothing had to be waited for, and throws what went wrong at once:
   * for callers to whom a promise is a cost.
   *
   * @throws MortiseError as {@link call}
   */
  start(fn: string, input?: PluginInput, options: CallOptions = NO_OPTIONS): PluginOutput | Promise<PluginOutput> {
    if (options !== NO_OPTIONS) checkCallOptions(options);
    return this.#startWatched(fn, input, options, undefined);
  }

  /**
   * As {@link start}, for who may refuse calls: one that had to wait for an instance asks again before it begins.
   *
   * @param mayBegin throws if the call must not begin any more
   * @throws MortiseError as {@link start}; what `mayBegin` throws
   */
  startGuarded(fn: string, input: PluginInput, options: CallOptions, mayBegin: MayBegin): PluginOutput | Promise<PluginOutput> {
    checkCallOptions(options);
    return this.#startWatched(fn, input, options, mayBegin);
  }

  /**
   * Calls an export for a call of another plugin: in what that has left of its time and fuel, and with its context. What
   * is used is charged to it, and when it is over, this is, too.
   *
   * @throws MortiseError as {@link startGuarded}; MORTISE_REENTRANT if every instance waits for what that call, or one that
   *   it was made by, has of another plugin
   */
  startFor(caller: Caller, fn: string, input?: PluginInput, mayBegin?: () => void): PluginOutput | Promise<PluginOutput> {
    const { context, timeLeftMs } = caller;
    const timeoutMs = Math.min(timeLeftMs, this.#state.limits.timeoutMs);
    return this.#startWatched(fn, input, { context, timeoutMs, caller }, mayBegin);
  }

  #startWatched(fn: string, input: PluginInput, options: StartOptions, mayBegin: MayBegin): PluginOutput | Promise<PluginOutput> {
    if (areCallsWatched()) return watchCall(this.#subject(fn, options), (notes) => this.#start(fn, input, options, mayBegin, notes));
    return this.#start(fn, input, options, mayBegin, undefined);
  }

  #start(
    fn: string,
    input: PluginInput,
    options: StartOptions,
    mayBegin: MayBegin,
    notes: CallNotes | undefined,
  ): PluginOutput | Promise<PluginOutput> {
    const { caller } = options;
    const timeoutMs = options.timeoutMs ?? this.#state.limits.timeoutMs;
    if (timeoutMs <= 0) throw this.#refuse(new MortiseError("MORTISE_TIMEOUT", { ...this.#who(fn), limit: timeoutMs, short: true }));
    this.#refuseAborted(fn, options.signal);
    this.#refuseUncallable(fn, input);
    const slot = this.#pool.takeIdle(fn, false);
    if (slot === undefined) return this.#startLater(fn, input, options, timeoutMs, mayBegin, notes);
    // From here to the end of the frame nothing but the guarded part can run out of stack: the slot is not lost.
    let goesOn = false;
    try {
      const result = this.#run(slot, callOf(fn, input, options.context, timeoutMs, timeoutMs, caller), options.signal, notes);
      goesOn = result instanceof Promise;
      return result;
    } finally {
      if (!goesOn) {
        slot.running = undefined;
        this.#pool.giveBack(slot);
      }
    }
  }

  async #startLater(
    fn: string,
    input: PluginInput,
    { context, caller, signal = caller?.signal, waitMs = 0 }: StartOptions,
    statedMs: number,
    mayBegin: MayBegin,
    notes: CallNotes | undefined,
  ): Promise<PluginOutput> {
    const { slot, leftMs, waited } = await this.#obtain(fn, statedMs + waitMs, signal, caller);
    const timeoutMs = Math.min(statedMs, leftMs);
    let goesOn = false;
    let called = false;
    try {
      // Who had the instance before tells first how that ended: all that follows from it without waiting happens before.
      if (waited && mayBegin !== undefined) await new Promise<void>((resolve) => process.nextTick(resolve));
      this.#refuseLate(fn, timeoutMs, statedMs, signal);
      this.#askAgain(fn, mayBegin);
      called = true;
      const result = this.#run(slot, callOf(fn, input, context, timeoutMs, statedMs, caller), signal, notes);
      goesOn = result instanceof Promise;
      return await result;
    } finally {
      if (!goesOn) {
        slot.running = undefined;
        this.#pool.giveBack(slot, called);
      }
    }
  }

  /** Runs a call; one that goes on gives its slot back by itself. */
  #run(slot: Slot, call: RunnerCall, signal: AbortSignal | undefined, notes: CallNotes | undefined): PluginOutput | Promise<PluginOutput> {
    const { runner } = slot;
    this.#calls++;
    if (notes !== undefined) notes.startedMs = this.#state.clock();
    try {
      const result = runner.call(call);
      if (!(result instanceof Promise)) return this.#succeeded(runner, result, call.caller, notes);
      // If there is no room on the stack to wait for it, nobody does.
      slot.unsettled = true;
      this.#pool.noteHeld(runner);
      const finished = this.#finish(slot, call, result, signal ?? call.caller?.signal, notes);
      slot.unsettled = false;
      return finished;
    } catch (error) {
      throw this.#failed(runner, call, error, notes);
    }
  }

  /** Waits for a call that was begun. */
  async #finish(
    slot: Slot,
    call: RunnerCall,
    result: Promise<PluginOutput>,
    signal: AbortSignal | undefined,
    notes: CallNotes | undefined,
  ): Promise<PluginOutput> {
    const { runner } = slot;
    const stop = (): void => runner.stop(new MortiseError("MORTISE_ABORTED", this.#who(call.entry), signal?.reason));
    try {
      if (signal?.aborted === true) stop();
      else signal?.addEventListener("abort", stop);
      return this.#succeeded(runner, await result, call.caller, notes);
    } catch (error) {
      throw this.#failed(runner, call, error, notes);
    } finally {
      signal?.removeEventListener("abort", stop);
      this.#pool.giveBack(slot);
    }
  }

  /**
   * Calls an export at once, on this thread, and returns its output.
   *
   * @throws MortiseError as {@link call}; MORTISE_REENTRANT if every instance is busy, as from within one of the plugin's
   *   own host functions; MORTISE_NO_SYNC if the plugin runs elsewhere
   */
  callSync(fn: string, input?: PluginInput, options: Omit<CallOptions, "signal"> = NO_OPTIONS): PluginOutput {
    if (options !== NO_OPTIONS) checkCallOptions(options);
    // Nothing of it is a promise.
    if (areCallsWatched()) return watchCall(this.#subject(fn, options), (notes) => this.#callSync(fn, input, options, notes)) as PluginOutput;
    return this.#callSync(fn, input, options, undefined);
  }

  #callSync(fn: string, input: PluginInput, options: Omit<CallOptions, "signal">, notes: CallNotes | undefined): PluginOutput {
    const statedMs = options.timeoutMs ?? this.#state.limits.timeoutMs;
    this.#refuseUncallable(fn, input);
    if (this.isolation !== "inline") throw this.#refuse(new MortiseError("MORTISE_NO_SYNC", { ...this.#who(fn), isolation: this.isolation }));
    let slot = this.#pool.takeIdle(fn, true);
    let timeoutMs = statedMs;
    let called = false;
    let isNew = false;
    if (slot === undefined) {
      if (!this.#pool.hasRoom) throw this.#refuse(new MortiseError("MORTISE_REENTRANT", { ...this.#who(fn), running: this.#pool.running }));
      const began = this.#state.clock();
      slot = this.#makeNow(fn, statedMs);
      timeoutMs -= this.#state.clock() - began;
      isNew = true;
    }
    try {
      if (isNew) this.#refuseLate(fn, timeoutMs, statedMs, undefined);
      called = true;
      return this.#runSync(slot.runner, callOf(fn, input, options.context, timeoutMs, statedMs, undefined), notes);
    } finally {
      slot.running = undefined;
      this.#pool.giveBack(slot, called);
    }
  }

  #runSync(runner: Runner, call: RunnerCall, notes: CallNotes | undefined): PluginOutput {
    this.#calls++;
    if (notes !== undefined) notes.startedMs = this.#state.clock();
    try {
      // Runners of this thread have it.
      return this.#succeeded(runner, (runner as Required<Runner>).callSync(call), undefined, notes);
    } catch (error) {
      throw this.#failed(runner, call, error, notes);
    }
  }

  /** A text with `***` in the place of each of the plugin's secrets. */
  redact(text: string): string {
    return this.#state.redactText?.(text) ?? text;
  }

  /** Forgets the plugin's variables. */
  clearVariables(): void {
    this.#state.variables.clear();
    this.#state.variableBytes = 0;
  }

  /**
   * A memory, table or global that the plugin's present instance exports; undefined for any other name, functions
   * among them, and for a plugin that runs elsewhere. What the host writes there is the host's responsibility.
   */
  exportedValue(name: string): ExportedValue | undefined {
    return this.#pool.exportedValue(name);
  }

  /** Counters since the plugin was loaded. */
  stats(): PluginStats {
    return {
      calls: this.#calls,
      failures: this.#failures,
      errors: { ...this.#errors },
      fuel: { last: this.#lastFuel, total: this.#totalFuel },
      memory: this.#pool.memory,
      instances: this.#pool.stats(),
      bytes: { input: this.#inputBytes, output: this.#outputBytes },
      variables: { count: this.#state.variables.size, bytes: this.#state.variableBytes },
      droppedLogs: this.#state.droppedLogs,
    };
  }

  /** Instances and memory that it has now. */
  get holdings(): PoolHoldings {
    return this.#pool.holdings;
  }

  /** Bytes of all memories of its instances now. */
  get memoryBytes(): number {
    return this.#pool.memoryBytes;
  }

  /** Milliseconds that it has held this thread since it was loaded; for calls only with a `limits.cpuShare` below 1. */
  get heldMs(): number {
    return this.#pool.heldMs;
  }

  /** Asks `governor` for room before every further instance: for a host that bounds what its plugins have together. */
  govern(governor: InstanceGovernor): void {
    this.#pool.govern(governor);
  }

  /** Frees instances that nobody uses, those first that were not called for longest; the state of a plugin's only one is lost. */
  freeIdle(atMost: number = Number.POSITIVE_INFINITY): number {
    return this.#pool.freeIdle(atMost);
  }

  /**
   * Frees the plugin: later calls fail with MORTISE_CLOSED. Calls that run or wait come to their end first, or are ended
   * if `abort` is set. Settled when nothing of the plugin is left; closing twice is closing once.
   */
  close({ abort = false }: CloseOptions = {}): Promise<void> {
    const drained = this.#pool.close(abort ? (fn) => new MortiseError("MORTISE_CLOSED", this.#who(fn)) : undefined);
    this.#closing ??= this.#end(drained);
    return this.#closing;
  }

  async #end(drained: Promise<void>): Promise<void> {
    await drained;
    this.#state.variables.clear();
    this.#state.variableBytes = 0;
    this.#release();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- finding an instance

  /**
   * Waits for an instance, or makes one, and says what is left of the deadline. Waiting and initialising count; starting a
   * thread or process does not, which no call can help.
   */
  async #obtain(
    fn: string,
    statedMs: number,
    signal: AbortSignal | undefined,
    caller: Caller | undefined,
  ): Promise<{ readonly slot: Slot; readonly leftMs: number; readonly waited: boolean }> {
    const { clock, limits } = this.#state;
    const place = ++this.#queued;
    const began = clock();
    const leftMs = (): number => statedMs - (clock() - began);
    try {
      for (let again = false; ; again = true) {
        const left = leftMs();
        if (left <= 0) {
          // It may have been woken for room that it has no use for.
          this.#pool.passOn();
          throw new MortiseError("MORTISE_TIMEOUT", { ...this.#who(fn), limit: statedMs });
        }
        if (again ? this.#pool.hasRoom : this.#pool.hasRoomForNewcomers) {
          const slot = await this.#pool.make(fn, Math.min(left, limits.initTimeoutMs));
          return { slot, leftMs: this.isolation === "inline" ? leftMs() : left, waited: again };
        }
        await this.#pool.wait({ place, function: fn, timeoutMs: left, statedMs, signal, caller }, again);
        const slot = this.#pool.takeWoken(fn);
        if (slot !== undefined) return { slot, leftMs: leftMs(), waited: true };
      }
    } catch (error) {
      throw this.#refuse(this.#judged({ caller, statedMs, fuel: Number.POSITIVE_INFINITY }, this.#coded(fn, error)));
    }
  }

  #makeNow(fn: string, timeoutMs: number): Slot {
    try {
      return this.#pool.make(fn, Math.min(timeoutMs, this.#state.limits.initTimeoutMs)) as Slot;
    } catch (error) {
      throw this.#refuse(this.#coded(fn, error));
    }
  }

  /** Refuses a caller who got a slot too late for it to be of use. */
  #refuseLate(fn: string, leftMs: number, statedMs: number, signal: AbortSignal | undefined): void {
    this.#refuseAborted(fn, signal);
    const ended = this.#pool.endedBy(fn);
    if (ended !== undefined) throw this.#refuse(ended);
    if (leftMs <= 0) throw this.#refuse(new MortiseError("MORTISE_TIMEOUT", { ...this.#who(fn), limit: statedMs }));
  }

  #askAgain(fn: string, mayBegin: MayBegin): void {
    try {
      mayBegin?.();
    } catch (error) {
      throw this.#refuse(this.#coded(fn, error));
    }
  }

  #refuseAborted(fn: string, signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw this.#refuse(new MortiseError("MORTISE_ABORTED", this.#who(fn), signal.reason));
  }

  #refuseUncallable(fn: string, input: unknown): void {
    if (
      this.#closing !== undefined ||
      !this.#exports.callable.has(fn) ||
      !(typeof input === "string" || input === undefined || input instanceof Uint8Array)
    ) {
      throw this.#refuse(this.#refusal(fn, input));
    }
  }

  #refusal(fn: string, input: unknown): MortiseError {
    if (typeof fn !== "string") return invalidOption("function", typeof fn, "the name of an export");
    const who = this.#who(fn);
    if (this.#closing !== undefined) return new MortiseError("MORTISE_CLOSED", who);
    if (!this.#exports.callable.has(fn)) {
      const found = this.#exports.others.get(fn);
      if (found !== undefined) return new MortiseError("MORTISE_BAD_SIGNATURE", { ...who, found });
      return new MortiseError("MORTISE_UNKNOWN_FUNCTION", { ...who, hint: didYouMean(fn, this.exports) });
    }
    return new MortiseError("MORTISE_INVALID_INPUT", { ...who, found: input === null ? "null" : typeof input });
  }

  // ---- keeping count

  #who(fn: string): { plugin: string; function: string } {
    return { plugin: this.name, function: fn };
  }

  /** What a call is called in what is published of it. */
  #subject(fn: string, { hook, context }: CallOptions): CallSubject {
    return { plugin: this.name, version: this.version, function: fn, hook, context, clock: this.#state.clock };
  }

  #succeeded(runner: Runner, output: PluginOutput, caller: Caller | undefined, notes: CallNotes | undefined): PluginOutput {
    this.#account(runner, caller);
    this.#inputBytes += runner.inputBytes;
    this.#outputBytes += output.length;
    if (notes !== undefined) noteEnd(notes, runner, output.length);
    return output;
  }

  #failed(runner: Runner, call: RunnerCall, error: unknown, notes: CallNotes | undefined): MortiseError {
    this.#account(runner, call.caller);
    if (notes !== undefined) noteEnd(notes, runner, 0);
    return this.#count(this.#judged(call, this.#coded(call.entry, error)));
  }

  /** Marks a failure of a call that another plugin left less than half of what it may have: it says nothing of this one. */
  #judged({ caller, statedMs, fuel }: Pick<RunnerCall, "caller" | "statedMs" | "fuel">, failure: MortiseError): MortiseError {
    const { limits } = this.#state;
    const { code, details, cause } = failure;
    const short = (code === "MORTISE_TIMEOUT" && statedMs < limits.timeoutMs / 2) || (code === "MORTISE_FUEL" && fuel < limits.fuel / 2);
    return caller !== undefined && short ? new MortiseError(code, { ...details, short }, cause) : failure;
  }

  /** Counts the fuel and time of a call that has ended, and charges it to the plugin that it was made for. */
  #account(runner: Runner, caller: Caller | undefined): void {
    const { fuelUsed } = runner;
    this.#pool.noteHeld(runner);
    this.#lastFuel = fuelUsed;
    this.#totalFuel += fuelUsed;
    caller?.charge(fuelUsed);
  }

  /** What came out of the host's own code: it ran out of stack, or it has a defect. */
  #coded(fn: string, error: unknown): MortiseError {
    if (isMortiseError(error)) return (this.#state.redact?.(error) ?? error) as MortiseError;
    if (isStackOverflow(error)) return new MortiseError("MORTISE_STACK_OVERFLOW", this.#who(fn), error);
    return new MortiseError("MORTISE_INTERNAL", { ...this.#who(fn), reason: printable(error) }, error);
  }

  /** Counts a call that was refused before it began. */
  #refuse(error: MortiseError): MortiseError {
    this.#calls++;
    return this.#count(error);
  }

  #count(error: MortiseError): MortiseError {
    this.#failures++;
    this.#errors[error.code] = (this.#errors[error.code] ?? 0) + 1;
    return error;
  }
}
