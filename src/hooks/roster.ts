// Which plugins take part in which hook, and in which order: settled when a plugin comes or goes, not when a hook runs.

import { MortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import { type AttributeAccess, compileAccess } from "./attributes.ts";
import { type AnyHook, type FailurePolicy, type HookDefinitions, checkPolicy } from "./definition.ts";
import { type CompiledFilter, compileFilters } from "./filters.ts";
import { functionNames } from "./function-names.ts";
import type { HookPlugin, PluginEntry } from "./plugin-entry.ts";

/** What happened to a plugin in one hook. */
export interface SeatCounts {
  /** Calls that were made, or would have been made had there been time. */
  calls: number;
  /** Of these, how many failed. */
  failures: number;
  /** Of these, how many ended the hook by rejecting. */
  rejections: number;
  /** Runs in which a filter kept the plugin out. */
  filtered: number;
}

/** One plugin in one hook. */
export interface Seat {
  readonly plugin: HookPlugin;
  /** The function that is called; undefined if a bracket's plugin has only one of the two. */
  readonly fn: string | undefined;
  readonly postFn: string | undefined;
  readonly policy: FailurePolicy;
  readonly accepts: CompiledFilter | undefined;
  readonly access: AttributeAccess;
  readonly timeoutMs: number;
  readonly counts: SeatCounts;
}

/** The plugins of one hook in their order, as they are until a plugin comes or goes; and how many runs use them. */
export interface LineUp {
  readonly seats: readonly Seat[];
  running: number;
  /** Called when the last run has ended. */
  drained: (() => void) | undefined;
}

/** A hook and who takes part in it now. */
export interface HookState {
  readonly name: string;
  readonly definition: AnyHook;
  lineUp: LineUp;
}

interface Member {
  readonly name: string;
  readonly order: number;
  readonly seats: ReadonlyMap<string, Seat>;
}

/** All hooks of a host and all plugins in them. */
export class Roster {
  readonly #hooks = new Map<string, HookState>();
  readonly #members = new Map<string, Member>();
  /** Line-ups that are no longer the present one, but that runs still use. */
  #past: LineUp[] = [];

  constructor(definitions: HookDefinitions) {
    for (const [name, definition] of Object.entries(definitions))
      this.#hooks.set(name, { name, definition: definition as AnyHook, lineUp: lineUpOf([]) });
  }

  /** A hook's present state, which changes as plugins come and go. */
  hook(name: string): HookState {
    const found = this.#hooks.get(name);
    if (found === undefined) throw new RangeError(`no hook ${name}`); // callers take names from the definitions
    return found;
  }

  /**
   * Gives a plugin its seats.
   *
   * @returns names of the hooks that it takes part in
   * @throws MortiseError MORTISE_PLUGIN_EXISTS for a name that another one has; MORTISE_INVALID_OPTION
   */
  add(entry: PluginEntry): readonly string[] {
    const { name } = entry.plugin;
    if (this.#members.has(name)) throw new MortiseError("MORTISE_PLUGIN_EXISTS", { plugin: name });
    return this.#admit(entry);
  }

  /** {@link add}, but a plugin of the same name loses its seats in the same moment. */
  replace(entry: PluginEntry): { readonly hooks: readonly string[]; readonly drained: Promise<void> } {
    const before = this.#members.get(entry.plugin.name);
    const hooks = this.#admit(entry);
    return { hooks, drained: whenDrained(this.#using(before)) };
  }

  /** Takes a plugin's seats away. Settled when no run uses it any more. */
  remove(name: string): Promise<void> {
    const member = this.#members.get(name);
    this.#members.delete(name);
    this.#settle();
    return whenDrained(this.#using(member));
  }

  /** What happened to a plugin, by hook. */
  counts(name: string): Readonly<Record<string, Readonly<SeatCounts>>> {
    const seats = this.#members.get(name)?.seats ?? new Map<string, Seat>();
    return Object.fromEntries(Array.from(seats, ([hook, { counts }]) => [hook, { ...counts }]));
  }

  /** Line-ups of runs under way in which a plugin has a seat that it no longer has. */
  #using(member: Member | undefined): LineUp[] {
    const seats = new Set(member?.seats.values());
    return this.#past.filter((lineUp) => lineUp.seats.some((seat) => seats.has(seat)));
  }

  #admit(entry: PluginEntry): readonly string[] {
    const { order = 0, plugin } = entry;
    if (!Number.isFinite(order)) throw invalidOption("order", printable(order), "a number");
    const seats = this.#seats(entry);
    this.#members.set(plugin.name, { name: plugin.name, order, seats });
    this.#settle();
    return [...seats.keys()];
  }

  #seats(entry: PluginEntry): Map<string, Seat> {
    const { plugin, onFailure, filters = {}, ownFilters = {}, attributes } = entry;
    this.#checkNames("filters", filters);
    if (typeof onFailure === "object") this.#checkNames("onFailure", onFailure);
    const access = compileAccess(attributes);
    const seats = new Map<string, Seat>();
    for (const [name, { definition }] of this.#hooks) {
      const policy = (typeof onFailure === "object" ? own(onFailure, name) : onFailure) ?? definition.onFailure;
      checkPolicy("onFailure", policy);
      const { names, postNames } = functionNames(name, definition);
      const fn = names.find((each) => plugin.has(each));
      const postFn = postNames.find((each) => plugin.has(each));
      if (fn === undefined && postFn === undefined) continue;
      const ownNames = new Set([name, fn ?? name, postFn ?? name]);
      const accepts = compileFilters(
        [own<unknown>(filters, name), ...Array.from(ownNames, (each) => own(ownFilters, each))].filter((filter) => filter !== undefined),
        (reason) => new MortiseError("MORTISE_FILTER_INVALID", { plugin: plugin.name, hook: name, reason }),
      );
      const timeoutMs = plugin.timeoutMs ?? entry.timeoutMs ?? Number.POSITIVE_INFINITY;
      const counts = { calls: 0, failures: 0, rejections: 0, filtered: 0 };
      seats.set(name, { plugin, fn, postFn, policy, accepts, access, timeoutMs, counts });
    }
    return seats;
  }

  #checkNames(option: string, byHook: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(byHook)) {
      if (!this.#hooks.has(name)) throw invalidOption(`${option}.${name}`, "unknown", `a hook of the host${didYouMean(name, this.#hooks.keys())}`);
    }
  }

  #settle(): void {
    this.#past = this.#past.filter(({ running }) => running > 0);
    const inOrder = Array.from(this.#members.values()).toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
    for (const [name, hook] of this.#hooks) {
      const forward = inOrder.flatMap((member) => member.seats.get(name) ?? []);
      const seats = hook.definition.reverse ? forward.toReversed() : forward;
      const { lineUp } = hook;
      if (seats.length === lineUp.seats.length && seats.every((seat, index) => seat === lineUp.seats[index])) continue;
      if (lineUp.running > 0) this.#past.push(lineUp);
      hook.lineUp = lineUpOf(seats);
    }
  }
}

function lineUpOf(seats: readonly Seat[]): LineUp {
  return { seats, running: 0, drained: undefined };
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Settled when all runs of these have ended. */
async function whenDrained(lineUps: readonly LineUp[]): Promise<void> {
  const pending = lineUps.map(
    (lineUp) =>
      new Promise<void>((resolve) => {
        const before = lineUp.drained;
        lineUp.drained = () => {
          before?.();
          resolve();
        };
      }),
  );
  await Promise.all(pending);
}

/** Runs something with the plugins that a hook has now: none of them is closed before it has ended. */
export function holding<R>(lineUp: LineUp, work: () => R | Promise<R>): R | Promise<R> {
  lineUp.running++;
  let waits = false;
  try {
    const result = work();
    if (!(result instanceof Promise)) return result;
    waits = true;
    return result.finally(() => letGo(lineUp));
  } finally {
    if (!waits) letGo(lineUp);
  }
}

function letGo(lineUp: LineUp): void {
  if (--lineUp.running > 0) return;
  const { drained } = lineUp;
  lineUp.drained = undefined;
  drained?.();
}
