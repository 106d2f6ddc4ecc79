// One version of a plugin: its state, its breaker, and the calls that go through it.

import type { Caller } from "../api/caller.ts";
import { type ErrorCode, MortiseError, isMortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import type { HookCallOptions, HookPlugin } from "../hooks/plugin-entry.ts";
import type { Seating } from "../hooks/roster.ts";
import type { Plugin, PluginInput } from "../host/plugin.ts";
import { Breaker, type BreakerDescription, type ResolvedBreaker } from "./breaker.ts";
import { CpuShare } from "./cpu-share.ts";
import { StateMachine, type StateChange, type VersionState } from "./state.ts";

/** What a version is made of. */
export interface VersionParts {
  /** Name of the plugin, if what is loaded has no other. */
  readonly plugin: string;
  readonly version: string;
  readonly reason: string;
  readonly breaker: ResolvedBreaker | undefined;
  /** Part of the thread's time that it may have; 1 is all of it. */
  readonly cpuShare: number;
  readonly clock: () => number;
  /** Told after each call that the version's memory may have changed; undefined if nobody counts it. */
  readonly onCalled: ((version: Version) => void) | undefined;
}

/** Calls of all versions of this process. */
let calls = 0;

type Output = PluginOutput | Promise<PluginOutput>;

/** What a call that waits for its turn is bound by. */
interface Bounds {
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** One version of a plugin. Hooks and other plugins call it through this. */
export class Version implements HookPlugin {
  readonly version: string;
  readonly machine: StateMachine;
  readonly #breaker: Breaker | undefined;
  readonly #cpu: CpuShare | undefined;
  readonly #clock: () => number;
  readonly #onCalled: VersionParts["onCalled"];
  readonly #likelyName: string;
  #plugin: Plugin | undefined;
  /** Its seats in the hooks, once it is ready. */
  seating: Seating | undefined;
  lastCall = 0;
  countedBytes = 0;

  constructor({ plugin, version, reason, breaker, cpuShare, clock, onCalled }: VersionParts) {
    this.#likelyName = plugin;
    this.version = version;
    this.machine = new StateMachine(() => ({ plugin: this.name, version, digest: this.digest }), reason);
    this.#breaker = breaker && new Breaker(breaker, this.machine, clock);
    this.#cpu = cpuShare < 1 ? new CpuShare(cpuShare, clock) : undefined;
    this.#clock = clock;
    this.#onCalled = onCalled;
  }

  get name(): string {
    return this.#plugin?.name ?? this.#likelyName;
  }

  /** The plugin. @throws RangeError while it is being loaded */
  get plugin(): Plugin {
    if (this.#plugin === undefined) throw new RangeError(`version ${this.version} of ${this.name} is not loaded`);
    return this.#plugin;
  }

  /** Takes what was loaded; it is not ready by that. */
  loaded(plugin: Plugin): void {
    this.#plugin = plugin;
  }

  get digest(): string {
    return this.#plugin?.digest ?? "";
  }

  get timeoutMs(): number {
    return this.plugin.timeoutMs;
  }

  redact(text: string): string {
    return this.plugin.redact(text);
  }

  has(fn: string): boolean {
    return this.plugin.has(fn);
  }

  /** State as it is now, the passing of time considered. */
  get state(): VersionState {
    this.#breaker?.settle();
    return this.machine.state;
  }

  get history(): readonly StateChange[] {
    return this.machine.history;
  }

  describeBreaker(): BreakerDescription | undefined {
    return this.#breaker?.describe();
  }

  /** As a hook calls it. @throws MortiseError as `Plugin.start`; MORTISE_PLUGIN_SUSPENDED */
  start(fn: string, input: PluginInput, options: HookCallOptions): Output {
    const bounds = (): Bounds => ({ timeoutMs: options.timeoutMs ?? this.timeoutMs, signal: options.signal });
    return this.#guarded(fn, bounds, (leftMs) => this.plugin.start(fn, input, leftMs === undefined ? options : { ...options, timeoutMs: leftMs }));
  }

  /** As another plugin calls it. @throws MortiseError as `Plugin.startFor`; MORTISE_PLUGIN_SUSPENDED */
  startFor(caller: Caller, fn: string, input?: PluginInput): Output {
    // What is left of the caller's time is looked up when the call begins.
    // One that waits for its turn keeps its input: the caller's memory may change meanwhile.
    const kept = this.#cpu !== undefined && input instanceof Uint8Array ? input.slice() : input;
    // A signal and a look at the clock are a cost, and most calls do not wait.
    const bounds = (): Bounds => ({ timeoutMs: Math.min(caller.timeLeftMs, this.timeoutMs), signal: caller.signal });
    return this.#guarded(fn, bounds, () => this.plugin.startFor(caller, fn, kept));
  }

  #guarded(fn: string, bounds: () => Bounds, call: (leftMs: number | undefined) => Output): Output {
    const ticket = this.#enter(fn);
    if (this.#cpu === undefined || this.#cpu.isFree) return this.#counted(ticket, () => call(undefined));
    const waiting = this.#cpu.wait({ plugin: this.name, function: fn, ...bounds() });
    return waiting.then(
      (leftMs) => this.#counted(ticket, () => call(leftMs)),
      (error: unknown) => {
        this.#breaker?.ended(ticket, codeOf(error));
        throw error;
      },
    );
  }

  #enter(fn: string): number {
    this.lastCall = ++calls;
    if (this.#breaker === undefined) return 0;
    const ticket = this.#breaker.enter();
    if (ticket !== undefined) return ticket;
    const { retryInMs, lastFailure } = this.#breaker.describe();
    throw new MortiseError("MORTISE_PLUGIN_SUSPENDED", {
      plugin: this.name,
      function: fn,
      version: this.version,
      state: this.machine.state,
      lastFailure,
      retryInMs,
    });
  }

  /** Makes a call, and counts how it ends and what it uses. */
  #counted(ticket: number, call: () => Output): Output {
    const began = this.#cpu === undefined ? 0 : this.#clock();
    let output: Output;
    try {
      output = call();
    } catch (error) {
      this.#ended(ticket, codeOf(error));
      throw error;
    } finally {
      this.#cpu?.use(this.plugin.isolation === "inline" ? this.#clock() - began : 0);
    }
    if (!(output instanceof Promise)) {
      this.#ended(ticket);
      return output;
    }
    return output.then(
      (settled) => {
        this.#ended(ticket);
        return settled;
      },
      (error: unknown) => {
        this.#ended(ticket, codeOf(error));
        throw error;
      },
    );
  }

  #ended(ticket: number, code?: ErrorCode): void {
    this.#breaker?.ended(ticket, code);
    this.#onCalled?.(this);
  }
}

/** What a call ended with. One that another plugin left too little for was ended from outside. */
function codeOf(error: unknown): ErrorCode {
  if (!isMortiseError(error)) return "MORTISE_INTERNAL";
  return error.details["short"] === true ? "MORTISE_ABORTED" : error.code;
}
