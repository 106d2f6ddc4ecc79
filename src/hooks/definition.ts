// Hooks as an application defines them: of which kind, with which types, and what happens when a plugin fails.

import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { type BracketEnd, bracketEndWire } from "./bracket-wire.ts";
import type { Check } from "./check.ts";
import { genericWire } from "./generic-wire.ts";
import type { Wire } from "./wire.ts";

/**
 * How the plugins of a hook work together. `first`: asked in order until one answers. `chain`: each sees what the one
 * before made of the value. `all`: everyone is told. `bracket`: asked before something is done, in order, and after it,
 * in reverse.
 */
export type HookKind = "first" | "chain" | "all" | "bracket";

/** What a plugin's failure does: `closed` fails the hook, `open` goes on without the plugin. */
export type FailurePolicy = "closed" | "open";

/** Options that all hooks have. */
export interface HookOptions<I> {
  /** What a plugin's failure does. A rejection is no failure: it holds in any case. @default "closed", for `all` "open" */
  readonly onFailure?: FailurePolicy;
  /** Milliseconds for all plugins of one run together; for a bracket, before and after each. @default unlimited */
  readonly timeoutMs?: number;
  /** Bytes of a plugin's answer: what is longer is not read, and a failure. @default 1 MiB */
  readonly maxOutputBytes?: number;
  /** Checks the application's value before it goes out; what the check gives back is what goes out. @default none */
  readonly input?: Check<I>;
}

/** Options of {@link hook}.first and {@link hook}.chain. */
export interface DecidingHookOptions<I, O> extends HookOptions<I> {
  /** The plugins' function, or several names of it, of which the first that a plugin has is called. @default the hook's name in snake_case, or as it is */
  readonly name?: string | readonly string[];
  /** Checks every value that a plugin gives, before it is used. @default `input` for a chain, else none */
  readonly output?: Check<O>;
  /** What plugins are sent, and how they answer. @default the generic wire of docs/hooks.md */
  readonly wire?: Wire<I, O>;
}

/** Options of {@link hook}.all. */
export interface ObservingHookOptions<I> extends HookOptions<I> {
  /** The plugins' function, or several names of it. @default the hook's name in snake_case, or as it is */
  readonly name?: string | readonly string[];
  /** What plugins are sent. @default the generic wire of docs/hooks.md */
  readonly wire?: Wire<I, never>;
}

/** Options of {@link hook}.bracket. */
export interface BracketHookOptions<I, O> extends HookOptions<I> {
  /** The plugins' functions before and after. @default the hook's name in snake_case with `pre_` and `post_` in front, or both in camelCase */
  readonly preName?: string | readonly string[];
  readonly postName?: string | readonly string[];
  /** Checks every result that a plugin gives. What takes the place of the input is checked by `input`. @default none */
  readonly output?: Check<O>;
  /** What plugins are sent before and after, and how they answer. @default the generic wire of docs/hooks.md */
  readonly preWire?: Wire<I, O>;
  readonly postWire?: Wire<BracketEnd<I, O>, O>;
}

/** What does not depend on the types of a hook. */
export interface UntypedHook {
  readonly kind: HookKind;
  /** Names of the plugins' function; undefined for those that the hook's name gives. */
  readonly names: readonly string[] | undefined;
  readonly postNames: readonly string[] | undefined;
  readonly onFailure: FailurePolicy;
  readonly timeoutMs: number;
  readonly maxOutputBytes: number;
  /** Plugins are asked in the opposite order. */
  readonly reverse: boolean;
}

/** A hook, ready to be given to createHost. `I` is what plugins are given, `O` what they may answer. */
export interface HookDefinition<K extends HookKind, I, O> extends UntypedHook {
  readonly kind: K;
  readonly wire: Wire<I, O>;
  readonly postWire: Wire<BracketEnd<I, O>, O>;
  readonly checks: { readonly input?: Check<I>; readonly replace?: Check<I>; readonly answer?: Check<O> };
}

/** Any hook. */
export type AnyHook = HookDefinition<HookKind, unknown, unknown>;

/** Hooks by name, as createHost takes them. It says nothing of their types, so that each has those of its own definition. */
export type HookDefinitions = Readonly<Record<string, UntypedHook>>;

/** Defines hooks. */
export const hook: {
  /** The first plugin that answers decides. */
  readonly first: <I, A>(options?: DecidingHookOptions<I, A>) => HookDefinition<"first", I, A>;
  /** Each plugin may replace the value for those behind it. An answer ends the chain. */
  readonly chain: <T, A = T>(options?: DecidingHookOptions<T, A>) => HookDefinition<"chain", T, A>;
  /** All plugins are told; none decides. */
  readonly all: <I>(options?: ObservingHookOptions<I>) => HookDefinition<"all", I, never>;
  /** Plugins are asked before and after something that the application does. */
  readonly bracket: <I, O>(options?: BracketHookOptions<I, O>) => HookDefinition<"bracket", I, O>;
} = {
  first: <I, A>(options: DecidingHookOptions<I, A> = {}) =>
    define<"first", I, A>("first", options, DECIDING, {
      names: options.name,
      wire: options.wire,
      // A value in the place of the input is an answer here.
      checks: checksOf(options, options.output as Check<I> | undefined, options.output),
    }),
  chain: <T, A = T>(options: DecidingHookOptions<T, A> = {}) =>
    define<"chain", T, A>("chain", options, DECIDING, { names: options.name, wire: options.wire, checks: checksOfChain(options) }),
  all: <I>(options: ObservingHookOptions<I> = {}) =>
    define<"all", I, never>("all", options, OBSERVING, { names: options.name, wire: options.wire, checks: checksOf(options, undefined, undefined) }),
  bracket: <I, O>(options: BracketHookOptions<I, O> = {}) =>
    define<"bracket", I, O>("bracket", options, BRACKET, {
      names: options.preName,
      postNames: options.postName,
      wire: options.preWire,
      postWire: options.postWire,
      checks: checksOf(options, options.input, options.output),
    }),
};

const COMMON: readonly string[] = ["onFailure", "timeoutMs", "maxOutputBytes", "input"];
const DECIDING: readonly string[] = [...COMMON, "name", "output", "wire"];
const OBSERVING: readonly string[] = [...COMMON, "name", "wire"];
const BRACKET: readonly string[] = [...COMMON, "preName", "postName", "output", "preWire", "postWire"];

type Names = string | readonly string[] | undefined;

interface Parts<I, O> {
  readonly names: Names;
  readonly postNames?: Names;
  readonly wire: Wire<I, O> | undefined;
  readonly postWire?: Wire<BracketEnd<I, O>, O> | undefined;
  readonly checks: HookDefinition<HookKind, I, O>["checks"];
}

function define<K extends HookKind, I, O>(kind: K, options: HookOptions<I>, known: readonly string[], parts: Parts<I, O>): HookDefinition<K, I, O> {
  for (const key of Object.keys(options))
    if (!known.includes(key)) throw invalidOption(`hook.${kind}.${key}`, "unknown", `one of ${known.join(", ")}`);
  const { onFailure = kind === "all" ? "open" : "closed", timeoutMs = Number.POSITIVE_INFINITY, maxOutputBytes = 1 << 20 } = options;
  checkPolicy(`hook.${kind}.onFailure`, onFailure);
  if (!(typeof timeoutMs === "number" && timeoutMs > 0))
    throw invalidOption(`hook.${kind}.timeoutMs`, printable(timeoutMs), "more than 0 milliseconds");
  if (!(typeof maxOutputBytes === "number" && maxOutputBytes >= 0))
    throw invalidOption(`hook.${kind}.maxOutputBytes`, printable(maxOutputBytes), "a number of bytes");
  return Object.freeze({
    kind,
    names: namesOf(kind, parts.names),
    postNames: namesOf(kind, parts.postNames),
    onFailure,
    timeoutMs,
    maxOutputBytes,
    reverse: false,
    wire: parts.wire ?? genericWire<I, O>(),
    postWire: parts.postWire ?? bracketEndWire<I, O>(),
    checks: parts.checks,
  });
}

/** Refuses what is no policy. @throws MortiseError MORTISE_INVALID_OPTION */
export function checkPolicy(option: string, policy: unknown): void {
  if (policy !== "closed" && policy !== "open") throw invalidOption(option, printable(policy), '"closed" or "open"');
}

function namesOf(kind: HookKind, names: Names): readonly string[] | undefined {
  if (names === undefined) return undefined;
  const list = typeof names === "string" ? [names] : names;
  if (list.length === 0 || list.some((name) => typeof name !== "string" || name === ""))
    throw invalidOption(`hook.${kind}.name`, printable(names), "the name of a function, or several");
  return list;
}

function checksOf<I, O>(
  { input }: HookOptions<I>,
  replace: Check<I> | undefined,
  answer: Check<O> | undefined,
): HookDefinition<HookKind, I, O>["checks"] {
  return { ...(input && { input }), ...(replace && { replace }), ...(answer && { answer }) };
}

/** Whatever a plugin gives takes the place of the value, whether it ends the chain or not. */
function checksOfChain<T, A>(options: DecidingHookOptions<T, A>): HookDefinition<HookKind, T, A>["checks"] {
  const check = options.output ?? options.input;
  return checksOf(options, check as Check<T> | undefined, check as Check<A> | undefined);
}
