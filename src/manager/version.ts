// One version of a plugin: its state, its breaker, and the calls that go through it.

import type { Caller } from "../api/caller.ts";
import { type ErrorCode, MortiseError, isMortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import { type HookCallOptions, type HookPlugin, isShort } from "../hooks/plugin-entry.ts";
import type { Seating } from "../hooks/roster.ts";
import type { CloseOptions, Plugin, PluginInput } from "../host/plugin.ts";
import { Breaker, type BreakerDescription, type ResolvedBreaker, type Ticket } from "./breaker.ts";
import { CpuShare, type Waiting } from "./cpu-share.ts";
import { publishRefusal } from "./refused-call.ts";
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

/** A call that is about to be made, and what is published of it if it is refused. */
interface Asked {
  readonly function: string;
  readonly hook: string | undefined;
  readonly context: unknown;
  readonly short: boolean;
  /** A signal and a look at the clock are a cost, and most calls do not wait. */
  readonly bounds: () => Bounds;
  /** Makes it, in what is left of its time if it had to wait. */
  readonly make: (mayBegin: (() => void) | undefined, leftMs: number | undefined) => Output;
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
  /** Milliseconds of the thread that its share was charged for. */
  #chargedMs = 0;
  /** Its seats in the hooks, once it is ready. */
  seating: Seating | undefined;
  /** It is kept for a rollback: calls that end now leave no instance behind. */
  resting = false;
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
    const { hook, context } = options;
    return this.#guarded({
      function: fn,
      hook,
      context,
      short,
      bounds: () => ({ timeoutMs: options.timeoutMs ?? this.timeoutMs, signal: options.signal }),
      make: (mayBegin, leftMs) => this.plugin.startGuarded(fn, input, leftMs === undefined ? options : { ...options, timeoutMs: leftMs }, mayBegin),
    });
  }

  /** As another plugin calls it. @throws MortiseError as `Plugin.startFor`; MORTISE_PLUGIN_SUSPENDED */
  startFor(caller: Caller, fn: string, input?: PluginInput): Output {
    // One that waits for its turn keeps its input: the caller's memory may change meanwhile.
    const kept = this.#cpu !== undefined && input instanceof Uint8Array ? input.slice() : input;
    return this.#guarded({
      function: fn,
      hook: undefined,
      context: caller.context,
      short: false,
      bounds: () => ({ timeoutMs: Math.min(caller.timeLeftMs, this.timeoutMs), signal: caller.signal }),
      // What is left of the caller's time is looked up when the call begins.
      make: (mayBegin) => this.plugin.startFor(caller, fn, kept, mayBegin),
    });
  }

  #guarded(asked: Asked): Output {
    let ticket: Ticket;
    try {
      ticket = this.#enter(asked);
    } catch (error) {
      this.#publish(asked, error, this.#clock());
      throw error;
    }
    if (this.#cpu === undefined || this.#cpu.isFree) return this.#counted(asked, ticket, asked.short, undefined);
    return this.#waited(this.#cpu, asked, ticket);
  }

  /** A call that has to wait for its share. One that waits in vain says nothing of the plugin. */
  async #waited(cpu: CpuShare, asked: Asked, ticket: Ticket): Promise<PluginOutput> {
    const beganMs = this.#clock();
    const waiting = { plugin: this.name, function: asked.function, ...asked.bounds() };
    let begun = false;
    try {
      return await cpu.wait(waiting, (leftMs) => {
        const present = this.#enterAgain(asked, ticket);
        begun = true;
        return this.#counted(asked, present, asked.short || isShort(leftMs, waiting.timeoutMs), leftMs);
      });
    } catch (error) {
      if (!begun) {
        this.#breaker?.ended(ticket, "MORTISE_ABORTED");
        this.#publish(asked, error, beganMs);
      }
      throw error;
    }
  }

  /** Publishes a call that the plugin never heard of. */
  #publish({ function: fn, hook, context }: Asked, error: unknown, beganMs: number): void {
    publishRefusal({ plugin: this.name, version: this.version, function: fn, hook, context }, error, beganMs, this.#clock());
  }

  /** A call that has waited begins, unless the breaker has opened meanwhile. */
  #enterAgain(asked: Asked, ticket: Ticket): Ticket {
    return this.#breaker?.isCurrent(ticket) === false ? this.#enter(asked) : ticket;
  }

  #enter({ function: fn, bounds }: Asked): Ticket {
    this.lastCall = ++calls;
    if (this.#breaker === undefined) return 0;
    const ticket = this.#breaker.enter(bounds);
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
  #counted(asked: Asked, entered: Ticket, short: boolean, leftMs: number | undefined): Output {
    let ticket = entered;
    // Also one that waits for an instance may meet an open breaker.
    const mayBegin = (): void => void (ticket = this.#enterAgain(asked, ticket));
    let output: Output;
    try {
      output = asked.make(this.#breaker && mayBegin, leftMs);
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
    if (this.resting) this.plugin.freeIdle();
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
