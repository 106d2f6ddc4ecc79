// One version of a plugin: its state, its breaker, and the calls that go through it.

import type { Caller } from "../api/caller.ts";
import { type ErrorCode, MortiseError, isMortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import { type HookCallOptions, type HookPlugin, isShort } from "../hooks/plugin-entry.ts";
import type { Seating } from "../hooks/roster.ts";
import type { CloseOptions, Plugin, PluginInput } from "../host/plugin.ts";
import { Breaker, type BreakerDescription, type ResolvedBreaker, type Ticket } from "./breaker.ts";
import { CpuShare, type Waiting } from "./cpu-share.ts";
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
type Bounds = Pick<Waiting, "timeoutMs" | "signal">;

/** One version of a plugin. Hooks and other plugins call it through this. */
export class Version implements HookPlugin {
  readonly version: string;
  readonly machine: StateMachine;
  readonly #breaker: Breaker | undefined;
  readonly #cpu: CpuShare | undefined;
  readonly #onCalled: VersionParts["onCalled"];
  readonly #likelyName: string;
  #plugin: Plugin | undefined;
  /** Milliseconds of the thread that its share was charged for. */
  #chargedMs = 0;
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
    this.#chargedMs = plugin.heldMs;
  }

  /** Closes the plugin when calls that wait for their share have come to their turn; at once if `abort` is set. */
  async close({ abort = false }: CloseOptions = {}): Promise<void> {
    if (abort) this.#cpu?.open();
    else await this.#cpu?.whenCalm;
    await this.plugin.close({ abort });
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
  start(fn: string, input: PluginInput, options: HookCallOptions, short: boolean = false): Output {
    const bounds = (): Bounds => ({ timeoutMs: options.timeoutMs ?? this.timeoutMs, signal: options.signal });
    return this.#guarded(fn, bounds, short, (leftMs) =>
      this.plugin.start(fn, input, leftMs === undefined ? options : { ...options, timeoutMs: leftMs }),
    );
  }

  /** As another plugin calls it. @throws MortiseError as `Plugin.startFor`; MORTISE_PLUGIN_SUSPENDED */
  startFor(caller: Caller, fn: string, input?: PluginInput): Output {
    // What is left of the caller's time is looked up when the call begins.
    // One that waits for its turn keeps its input: the caller's memory may change meanwhile.
    const kept = this.#cpu !== undefined && input instanceof Uint8Array ? input.slice() : input;
    // A signal and a look at the clock are a cost, and most calls do not wait.
    const bounds = (): Bounds => ({ timeoutMs: Math.min(caller.timeLeftMs, this.timeoutMs), signal: caller.signal });
    return this.#guarded(fn, bounds, false, () => this.plugin.startFor(caller, fn, kept));
  }

  #guarded(fn: string, bounds: () => Bounds, short: boolean, call: (leftMs: number | undefined) => Output): Output {
    const ticket = this.#enter(fn);
    if (this.#cpu === undefined || this.#cpu.isFree) return this.#counted(ticket, short, () => call(undefined));
    return this.#waited(this.#cpu, { plugin: this.name, function: fn, ...bounds() }, ticket, short, call);
  }

  /** A call that has to wait for its share. One that waits in vain says nothing of the plugin. */
  async #waited(cpu: CpuShare, waiting: Waiting, ticket: Ticket, short: boolean, call: (leftMs: number) => Output): Promise<PluginOutput> {
    let begun = false;
    try {
      return await cpu.wait(waiting, (leftMs) => {
        begun = true;
        return this.#counted(ticket, short || isShort(leftMs, waiting.timeoutMs), () => call(leftMs));
      });
    } finally {
      if (!begun) this.#breaker?.ended(ticket, "MORTISE_ABORTED");
    }
  }

  #enter(fn: string): Ticket {
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
  #counted(ticket: Ticket, short: boolean, call: () => Output): Output {
    let output: Output;
    try {
      output = call();
    } catch (error) {
      this.#ended(ticket, codeOf(error, short));
      throw error;
    }
    if (!(output instanceof Promise)) {
      this.#ended(ticket);
      return output;
    }
    this.#charge();
    return output.then(
      (settled) => {
        this.#ended(ticket);
        return settled;
      },
      (error: unknown) => {
        this.#ended(ticket, codeOf(error, short));
        throw error;
      },
    );
  }

  #ended(ticket: Ticket, code?: ErrorCode): void {
    this.#charge();
    this.#breaker?.ended(ticket, code);
    this.#onCalled?.(this);
  }

  /** Takes from the share what the plugin has held the thread since this was last done, whoever called it. */
  #charge(): void {
    if (this.#cpu === undefined) return;
    const { heldMs } = this.plugin;
    this.#cpu.use(heldMs - this.#chargedMs);
    this.#chargedMs = heldMs;
  }
}

/** What a call ended with. One that others left too little time for was ended from outside. */
function codeOf(error: unknown, short: boolean): ErrorCode {
  if (!isMortiseError(error)) return "MORTISE_INTERNAL";
  const { code, details } = error;
  return details["short"] === true || (short && code === "MORTISE_TIMEOUT") ? "MORTISE_ABORTED" : code;
}
