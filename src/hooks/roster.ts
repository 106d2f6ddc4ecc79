// Which plugins take part in which hook, and in which order: settled when a plugin comes or goes, not when a hook runs.

import { MortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import { type AttributeAccess, compileAccess } from "./attributes.ts";
import { type AnyHook, type FailurePolicy, type HookDefinitions, checkPolicy } from "./definition.ts";
import { type CompiledFilter, compileFilters } from "./filters.ts";
import { functionNames } from "./function-names.ts";
import type { HookPlugin, PluginEntry } from "./plugin-entry.ts";
import type { AnyWire } from "./wire.ts";

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
  /** How it is spoken with, by the one function and by the other. */
  readonly wire: AnyWire;
  readonly postWire: AnyWire;
  readonly policy: FailurePolicy;
  readonly accepts: CompiledFilter | undefined;
  readonly access: AttributeAccess;
  readonly timeoutMs: number;
  readonly counts: SeatCounts;
}

/** The plugins of one hook in their order, as they are until a plugin comes or goes; and how many runs use them. */
export interface LineUp {
  /** All seats; of several versions of a plugin, each has its own. */
  readonly seats: readonly Seat[];
  /** Those of one request, by its name; undefined where no plugin has several versions. */
  readonly choose: ((request: string) => readonly Seat[]) | undefined;
  running: number;
  /** Called once each when the last run has ended. */
  readonly drained: (() => void)[];
}

/** A hook and who takes part in it now. */
export interface HookState {
  readonly name: string;
  readonly definition: AnyHook;
  lineUp: LineUp;
}

/** The seats of one version of a plugin, by hook. */
export interface Seating {
  readonly name: string;
  readonly order: number;
  readonly seats: ReadonlyMap<string, Seat>;
}

/** A version of a plugin, and which part of the requests it serves. */
export interface Share {
  readonly seating: Seating;
  /** All shares of a plugin together are 100. */
  readonly percent: number;
}

/** A plugin with its versions. */
type Member = readonly [Share, ...Share[]];

/** All hooks of a host and all plugins in them. */
export class Roster {
  readonly #hooks = new Map<string, HookState>();
  readonly #members = new Map<string, Member>();
  /** Line-ups that are no longer the present one, but that runs still use. */
  readonly #past = new Set<LineUp>();

  constructor(definitions: HookDefinitions) {
    for (const [name, definition] of Object.entries(definitions))
      this.#hooks.set(name, { name, definition: definition as AnyHook, lineUp: lineUpOf(name, []) });
  }

  /** A hook's present state, which changes as plugins come and go. */
  hook(name: string): HookState {
    const found = this.#hooks.get(name);
    if (found === undefined) throw new RangeError(`no hook ${name}`); // callers take names from the definitions
    return found;
  }

  /**
   * The seats that a plugin would have; it takes them when it {@link serve}s.
   *
   * @throws MortiseError MORTISE_INVALID_OPTION, MORTISE_FILTER_INVALID
   */
  seatingOf(entry: PluginEntry): Seating {
    const { order = 0, plugin } = entry;
    if (!Number.isFinite(order)) throw invalidOption("order", printable(order), "a number");
    return { name: plugin.name, order, seats: this.#seats(entry) };
  }

  /** Lets these versions serve a plugin's name from now on, in the place of those that did; none takes it out of all hooks. */
  serve(name: string, shares: readonly Share[]): void {
    const [first, ...others] = shares;
    if (first === undefined) this.#members.delete(name);
    else this.#members.set(name, [first, ...others]);
    this.#settle();
  }

  /** Settled when no run uses these seats any more; they must not serve. */
  async whenUnused({ seats }: Seating): Promise<void> {
    const left = new Set(seats.values());
    await whenDrained(Array.from(this.#past).filter((lineUp) => lineUp.seats.some((seat) => left.has(seat))));
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
      const wire = definition.wire.forPlugin?.(plugin) ?? definition.wire;
      const postWire = (definition.postWire.forPlugin?.(plugin) ?? definition.postWire) as AnyWire;
      seats.set(name, { plugin, fn, postFn, wire, postWire, policy, accepts, access, timeoutMs, counts });
    }
    return seats;
  }

  #checkNames(option: string, byHook: Readonly<Record<string, unknown>>): void {
    for (const name of Object.keys(byHook)) {
      if (!this.#hooks.has(name)) throw invalidOption(`${option}.${name}`, "unknown", `a hook of the host${didYouMean(name, this.#hooks.keys())}`);
    }
  }

  #settle(): void {
    const inOrder = Array.from(this.#members.values()).toSorted(
      ([{ seating: a }], [{ seating: b }]) => a.order - b.order || (a.name < b.name ? -1 : 1),
    );
    for (const [name, hook] of this.#hooks) {
      const forward = inOrder.filter((member) => member.some(({ seating }) => seating.seats.has(name)));
      const members = hook.definition.reverse ? forward.toReversed() : forward;
      const next = lineUpOf(name, members);
      const { lineUp } = hook;
      // Who chooses may have other shares of the same seats.
      const same = next.choose === undefined && lineUp.choose === undefined && next.seats.length === lineUp.seats.length;
      if (same && next.seats.every((seat, index) => seat === lineUp.seats[index])) continue;
      if (lineUp.running > 0) {
        this.#past.add(lineUp);
        lineUp.drained.push(() => this.#past.delete(lineUp));
      }
      hook.lineUp = next;
    }
  }
}

function lineUpOf(hook: string, members: readonly Member[]): LineUp {
  const seatsOf = (member: Member): Seat[] => member.flatMap(({ seating }) => seating.seats.get(hook) ?? []);
  const choose = (request: string): Seat[] => members.flatMap((member) => chosen(member, request).seats.get(hook) ?? []);
  const split = members.some((member) => member.length > 1);
  return { seats: members.flatMap(seatsOf), choose: split ? choose : undefined, running: 0, drained: [] };
}

/** The version that serves a request: the same in every hook, as long as the shares stay. */
function chosen(member: Member, request: string): Seating {
  const [{ seating }] = member;
  return member.length === 1 ? seating : chooseShare(member, seating.name, request).seating;
}

/** One of several shares, by the name of a request. */
export function chooseShare<S extends { readonly percent: number }>(shares: readonly S[], plugin: string, request: string): S {
  let left = percentOf(`${plugin}\0${request}`);
  const found = shares.find(({ percent }) => (left -= percent) < 0) ?? shares.at(-1);
  if (found === undefined) throw new RangeError(`plugin ${plugin} has no shares`);
  return found;
}

/** A number from 0 up to 100 that a text always has, and that spreads evenly (FNV-1a, with the finish of MurmurHash3). */
function percentOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32) * 100;
}

/** The seats that a run for a request has. */
export function seatsFor({ seats, choose }: LineUp, { id }: { readonly id: string }): readonly Seat[] {
  return choose === undefined ? seats : choose(id);
}

function own<T>(record: Readonly<Record<string, T>>, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Settled when all runs of these have ended. */
async function whenDrained(lineUps: readonly LineUp[]): Promise<void> {
  await Promise.all(lineUps.map(({ drained }) => new Promise<void>((resolve) => drained.push(resolve))));
}

/** Runs something with the plugins that a hook has now: none of them is closed before it has ended. */
export function holding<R>(lineUp: LineUp, work: () => R | Promise<R>): R | Promise<R> {
  hold(lineUp);
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

/** Keeps the plugins that a hook has now from being closed, until they are let go as often. */
export function hold(lineUp: LineUp): void {
  lineUp.running++;
}

/** The end of one {@link hold}. */
export function letGo(lineUp: LineUp): void {
  if (--lineUp.running > 0 || lineUp.drained.length === 0) return;
  for (const tell of lineUp.drained.splice(0)) tell();
}
