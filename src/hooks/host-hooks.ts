// The functions by which an application runs its hooks.

import { MortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { RequestContext, type RequestOptions, isRequestContext } from "../api/request.ts";
import type { Ending } from "./bracket-wire.ts";
import { type OpenedBracket, openBracket, runBracket } from "./bracket.ts";
import { checked } from "./check.ts";
import type { ChainDecision, FirstDecision } from "./decision.ts";
import type { HookDefinition, HookDefinitions, HookKind } from "./definition.ts";
import { runAll, runChain, runFirst } from "./driver.ts";
import { watchRun } from "./published.ts";
import { type HookState, type Roster, hold, holding, letGo, seatsFor } from "./roster.ts";
import { HookRun, type RunEnvironment } from "./run.ts";

/** Options of one run of a hook. */
export interface HookRunOptions {
  /** The request that it is run for: pass the same one to all its hooks. @default a new one */
  readonly request?: RequestContext;
  /** Ends the run. @default that of the request */
  readonly signal?: AbortSignal;
}

/** What all hooks offer. */
interface HookFunction {
  /** Names of the plugins that take part, in their order: without any, running the hook does nothing. */
  readonly plugins: readonly string[];
  /** True if no plugin takes part: then there is no need to make an input. Never true of a closed host. */
  readonly isIdle: boolean;
}

/** Runs a `first` hook: gives the answer, or undefined if nobody had one. */
export interface FirstFunction<I, A> extends HookFunction {
  /** @throws MortiseError MORTISE_HOOK_REJECTED, MORTISE_HOOK_FAILED, MORTISE_HOOK_INPUT */
  (input: I, options?: HookRunOptions): Promise<A | undefined>;
  /** Says who decided what; a rejection is a result, not an error. @throws MortiseError MORTISE_HOOK_FAILED, MORTISE_HOOK_INPUT */
  decide(input: I, options?: HookRunOptions): Promise<FirstDecision<A>>;
  /** {@link decide}, but gives the decision itself where nothing had to be waited for, and throws what went wrong at once. */
  start(input: I, options?: HookRunOptions): FirstDecision<A> | Promise<FirstDecision<A>>;
}

/** Runs a `chain` hook: gives what its plugins made of the value. */
export interface ChainFunction<T, A> extends HookFunction {
  /** @throws MortiseError MORTISE_HOOK_REJECTED, MORTISE_HOOK_FAILED, MORTISE_HOOK_INPUT */
  (input: T, options?: HookRunOptions): Promise<T | A>;
  /** Says who decided what; a rejection is a result, not an error. @throws MortiseError MORTISE_HOOK_FAILED, MORTISE_HOOK_INPUT */
  decide(input: T, options?: HookRunOptions): Promise<ChainDecision<T, A>>;
  /** {@link decide}, but gives the decision itself where nothing had to be waited for, and throws what went wrong at once. */
  start(input: T, options?: HookRunOptions): ChainDecision<T, A> | Promise<ChainDecision<T, A>>;
}

/** Runs an `all` hook: tells all plugins, and waits for them. */
export interface AllFunction<I> extends HookFunction {
  /** @throws MortiseError MORTISE_HOOK_FAILED of the first that failed, if the policy is closed; MORTISE_HOOK_INPUT */
  (input: I, options?: HookRunOptions): Promise<void>;
}

/** Runs a `bracket` hook around `run`, which gets the input as plugins made it; gives the result as plugins made it. */
export interface BracketFunction<I, O> extends HookFunction {
  /** @throws what `run` throws; MortiseError MORTISE_HOOK_REJECTED, MORTISE_HOOK_FAILED, MORTISE_HOOK_INPUT */
  (input: I, run: (input: I) => Promise<O> | O, options?: HookRunOptions): Promise<O>;
  /**
   * Asks plugins before some work that has several endings, such as the pieces of a stream, or none. Gives the bracket itself
   * where nothing had to be waited for. Dispose of it: until then its plugins are not closed.
   *
   * @throws MortiseError MORTISE_HOST_CLOSED, MORTISE_INVALID_OPTION, MORTISE_HOOK_INPUT if a check of the hook refuses the
   *   input; what plugins do is told by the bracket
   */
  open(input: I, options?: HookRunOptions): OpenBracket<I, O> | Promise<OpenBracket<I, O>>;
}

/** A bracket that `open` gave. */
export interface OpenBracket<I, O> extends OpenedBracket<I, O>, Disposable {}

/** The function of each kind of hook. */
interface FunctionsByKind<I, O> {
  readonly first: FirstFunction<I, O>;
  readonly chain: ChainFunction<I, O>;
  readonly all: AllFunction<I>;
  readonly bracket: BracketFunction<I, O>;
}

/** The functions of hooks, by name. */
export type HookFunctions<D extends HookDefinitions> = {
  readonly [Name in keyof D]: D[Name] extends HookDefinition<infer K, infer I, infer O> ? FunctionsByKind<I, O>[K] : never;
};

/** What the hooks of a host have in common. */
export interface HookHost extends RunEnvironment {
  /** True once the host is closed: then no hook may look as if it had no plugins. */
  readonly closed: () => boolean;
}

/** Makes the functions of all hooks. */
export function hookFunctions<D extends HookDefinitions>(definitions: D, roster: Roster, host: HookHost): HookFunctions<D> {
  const functions = Object.entries(definitions).map(([name, { kind }]) => [name, BIND[kind](roster.hook(name), host)]);
  return Object.freeze(Object.fromEntries(functions)) as HookFunctions<D>;
}

const BIND: { readonly [K in HookKind]: (hook: HookState, host: HookHost) => FunctionsByKind<unknown, unknown>[K] } = {
  first(hook, host) {
    const start = (input: unknown, options?: HookRunOptions): FirstDecision<unknown> | Promise<FirstDecision<unknown>> => {
      const { lineUp } = hook;
      if (isIdle(hook, host)) return NOTHING;
      const run = begin(hook, host, options);
      const value = checkInput(hook, input);
      return watchRun(hook.name, run.request, host.clock, () => holding(lineUp, () => runFirst(run, seatsFor(lineUp, run.request), value)));
    };
    const answerOf = (decision: FirstDecision<unknown>): unknown => {
      if (decision.action === "reject") throw rejected(hook, decision);
      return decision.action === "answer" ? decision.value : undefined;
    };
    return withPlugins(hook, host, (input: unknown, options?: HookRunOptions) => promise(() => after(start(input, options), answerOf)), {
      decide: (input: unknown, options?: HookRunOptions) => promise(() => start(input, options)),
      start,
    });
  },
  chain(hook, host) {
    const start = (input: unknown, options?: HookRunOptions): ChainDecision<unknown, unknown> | Promise<ChainDecision<unknown, unknown>> => {
      const { lineUp } = hook;
      if (isIdle(hook, host)) return { action: "continue", value: input };
      const run = begin(hook, host, options);
      const value = checkInput(hook, input);
      return watchRun(hook.name, run.request, host.clock, () => holding(lineUp, () => runChain(run, seatsFor(lineUp, run.request), value)));
    };
    const valueOf = (decision: ChainDecision<unknown, unknown>): unknown => {
      if (decision.action === "reject") throw rejected(hook, decision);
      return decision.value;
    };
    return withPlugins(hook, host, (input: unknown, options?: HookRunOptions) => promise(() => after(start(input, options), valueOf)), {
      decide: (input: unknown, options?: HookRunOptions) => promise(() => start(input, options)),
      start,
    });
  },
  all(hook, host) {
    const start = (input: unknown, options: HookRunOptions | undefined): undefined | Promise<undefined> => {
      const { lineUp } = hook;
      if (isIdle(hook, host)) return undefined;
      const run = begin(hook, host, options);
      const value = checkInput(hook, input);
      return watchRun(hook.name, run.request, host.clock, () => holding(lineUp, () => runAll(run, seatsFor(lineUp, run.request), value)));
    };
    return withPlugins(hook, host, (input: unknown, options?: HookRunOptions): Promise<void> => promise(() => start(input, options)), {});
  },
  bracket(hook, host) {
    const start = (input: unknown, work: (input: unknown) => unknown, options: HookRunOptions | undefined): unknown => {
      const { lineUp } = hook;
      if (isIdle(hook, host)) return work(input);
      const run = begin(hook, host, options);
      const value = checkInput(hook, input);
      return watchRun(hook.name, run.request, host.clock, () => holding(lineUp, () => runBracket(run, seatsFor(lineUp, run.request), value, work)));
    };
    const call = (input: unknown, work: (input: unknown) => unknown, options?: HookRunOptions): Promise<unknown> =>
      promise(() => start(input, work, options));
    const open = (input: unknown, options?: HookRunOptions): OpenBracket<unknown, unknown> | Promise<OpenBracket<unknown, unknown>> => {
      const { lineUp } = hook;
      if (isIdle(hook, host)) return new HeldBracket(untouched(input), undefined, undefined);
      const run = begin(hook, host, options);
      const value = checkInput(hook, input);
      const watch = <R>(work: () => R | Promise<R>): R | Promise<R> => watchRun(hook.name, run.request, host.clock, work);
      hold(lineUp);
      return after(
        watch(() => openBracket(run, seatsFor(lineUp, run.request), value)),
        (bracket) => new HeldBracket(bracket, () => letGo(lineUp), watch),
      );
    };
    return withPlugins(hook, host, call, { open });
  },
};

/** An opened bracket whose plugins are held until it is disposed of. */
class HeldBracket implements OpenBracket<unknown, unknown> {
  readonly input: unknown;
  readonly early: Ending<unknown> | undefined;
  readonly asksAfter: boolean;
  readonly #bracket: OpenedBracket<unknown, unknown>;
  readonly #watch: Watch | undefined;
  #release: (() => void) | undefined;

  constructor(bracket: OpenedBracket<unknown, unknown>, release: (() => void) | undefined, watch: Watch | undefined) {
    this.input = bracket.input;
    this.early = bracket.early;
    this.asksAfter = bracket.asksAfter;
    this.#bracket = bracket;
    this.#release = release;
    this.#watch = watch;
  }

  end(ending: Ending<unknown>): Ending<unknown> | Promise<Ending<unknown>> {
    if (!this.asksAfter || this.#watch === undefined) return ending;
    return this.#watch(() => this.#bracket.end(ending));
  }

  [Symbol.dispose](): void {
    this.#release?.();
    this.#release = undefined;
  }
}

type Watch = (work: () => Ending<unknown> | Promise<Ending<unknown>>) => Ending<unknown> | Promise<Ending<unknown>>;

function untouched(input: unknown): OpenedBracket<unknown, unknown> {
  return { input, early: undefined, asksAfter: false, end: (ending) => ending };
}

const NOTHING: { readonly action: "continue" } = Object.freeze({ action: "continue" });

/** True if there is nobody to ask. @throws MortiseError MORTISE_HOST_CLOSED */
function isIdle({ name, lineUp }: HookState, host: HookHost): boolean {
  if (host.closed()) throw new MortiseError("MORTISE_HOST_CLOSED", { what: `run hook "${name}"` });
  return lineUp.seats.length === 0;
}

function begin(hook: HookState, host: HookHost, options: HookRunOptions = {}): HookRun {
  const { request = newRequest(host), signal = request.signal } = options;
  if (!isRequestContext(request)) throw invalidOption("request", typeof request, "what host.request() gives");
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption("signal", typeof signal, "an AbortSignal");
  const both = signal !== request.signal && request.signal !== undefined && signal !== undefined;
  return new HookRun(hook, request, both ? AbortSignal.any([signal, request.signal]) : signal, host);
}

/** A request for whoever has none. */
export function newRequest({ clock }: Pick<RunEnvironment, "clock">, options: RequestOptions = {}): RequestContext {
  return new RequestContext({ clock, ...options });
}

function checkInput({ name, definition: { checks } }: HookState, input: unknown): unknown {
  if (checks.input === undefined) return input;
  try {
    return checked(checks.input, input);
  } catch (error) {
    throw new MortiseError("MORTISE_HOOK_INPUT", { hook: name, reason: printable(error instanceof Error ? error.message : error) }, error);
  }
}

function rejected({ name }: HookState, { reason, plugin }: { readonly reason: string; readonly plugin: string }): MortiseError {
  return new MortiseError("MORTISE_HOOK_REJECTED", { hook: name, plugin, reason });
}

function after<T, R>(result: T | Promise<T>, then: (result: T) => R): R | Promise<R> {
  return result instanceof Promise ? result.then(then) : then(result);
}

/** A promise of what some work gives or throws. */
function promise<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    const result = work();
    return result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    return Promise.reject(error);
  }
}

function withPlugins<F extends (...values: never[]) => unknown, M extends object>(
  hook: HookState,
  host: HookHost,
  call: F,
  methods: M,
): F & M & HookFunction {
  Object.defineProperty(call, "name", { value: hook.name });
  Object.defineProperty(call, "plugins", { get: () => [...new Set(hook.lineUp.seats.map(({ plugin }) => plugin.name))] });
  Object.defineProperty(call, "isIdle", { get: () => hook.lineUp.seats.length === 0 && !host.closed() });
  return Object.assign(call as F & HookFunction, methods);
}
