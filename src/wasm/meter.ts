// The host's side of an instrumented module: hands out fuel in slices, watches the clock, suspends a guest that has to
// wait, and says why one stopped.

import { invalidOption } from "../api/limits.ts";
import { type Expiring, forget, watch } from "./deadlines.ts";
import { type MeteredInstance, fillTable } from "./host-functions.ts";
import { STOP, VERDICT } from "./injection.ts";
import type { RewrittenModule } from "./instrument.ts";
import { takeTurn } from "./turns.ts";

/** Why a guest was stopped from outside its own logic. */
export type StopReason = "fuel" | "timeout" | "memory" | "table" | "stack" | "host";

/** What a meter allows. */
export interface MeterOptions {
  /** Cost units for the meter's whole life, or until {@link Meter.begin}. @default unlimited */
  readonly fuel?: number;
  /** Pages of 64 KiB that all memories together may grow by. @default 65536 */
  readonly growPages?: number;
  /** Entries that all tables together may grow by. @default 1,000,000 */
  readonly growEntries?: number;
  /** Milliseconds from {@link Meter.begin} to the deadline. @default none */
  readonly timeoutMs?: number;
  /** Milliseconds that a suspendable guest may hold the thread at once. @default unlimited */
  readonly sliceMs?: number;
  /** Part of the time, more than 0 and up to 1, that a suspendable guest may hold the thread in the long run. @default 1 */
  readonly cpuShare?: number;
  /** Monotonic clock in milliseconds. @default performance.now */
  readonly clock?: () => number;
}

/** Fuel units between two looks at the clock: 50 to 100 µs of ordinary code. */
const SLICE = 200_000;
/** Slice while the deadline is near or the speed of the guest is not known yet. */
const SMALL_SLICE = 20_000;
/** Memories grow by whole pages, and a 32-bit counter holds them. */
const MAX_GROW = 0x7fff_ffff;

const LOWEST_BUDGET = -0x4000_0000;

/** The longest that a timer takes; one for more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

const nothing = (): void => {};

/** The clock of meters that are given none. */
export const now = (): number => performance.now();

/** What a meter does when something it waits for happens. */
interface Reactions {
  readonly keepResume: (resume: (verdict: number) => void) => void;
  readonly fulfilled: (value: unknown) => void;
  readonly rejected: (reason: unknown) => void;
  readonly goOn: () => void;
}

/** Makes the 64 bits of a result from what a promise gave; undefined after it has stopped the guest. */
type Settle = (value: unknown, failed: boolean) => bigint | undefined;

/** One instance under a meter: the counters that its code works with. */
class Port implements MeteredInstance {
  readonly budget: WebAssembly.Global<"i32">;
  readonly pagesLeft: WebAssembly.Global<"i32">;
  readonly entriesLeft: WebAssembly.Global<"i32">;
  readonly reason: WebAssembly.Global<"i32">;
  /** Crossings into the host that have not come back; only of an instance that is linked. */
  readonly inHost: WebAssembly.Global<"i32"> | undefined;
  readonly #meter: Meter;

  constructor(meter: Meter, instrumented: RewrittenModule, instance: WebAssembly.Instance) {
    const { exports } = instance;
    const global = (key: "budget" | "reason" | "pagesLeft" | "entriesLeft" | "inHost"): WebAssembly.Global<"i32"> =>
      exports[instrumented.hiddenName(key)] as WebAssembly.Global<"i32">;
    this.#meter = meter;
    this.budget = global("budget");
    this.reason = global("reason");
    this.inHost = global("inHost");
    this.pagesLeft = global("pagesLeft");
    this.entriesLeft = global("entriesLeft");
    (exports[instrumented.hiddenName("meter")] as WebAssembly.Global<"externref">).value = this;
    fillTable(exports[instrumented.hiddenName("ticks")] as WebAssembly.Table);
  }

  tick(budget: number): number {
    return this.#meter.tick(this, budget);
  }

  wait(): Promise<number> {
    return this.#meter.wait(this);
  }

  take(bits: bigint): bigint {
    return this.#meter.take(bits);
  }

  morePages(count: number): number {
    return this.#meter.more(this, "pagesLeft", count >>> 0);
  }

  moreEntries(count: number): number {
    return this.#meter.more(this, "entriesLeft", count >>> 0);
  }
}

/** Fuel, deadline and growth of one instance of an instrumented module, and of those that are linked to it. */
export class Meter implements Expiring {
  /** Set by the caller for a call that entered through a promise; host functions that run take it back. */
  suspendable = false;
  /** A call went on for longer than a slice of time without having been suspendable. */
  heldThread = false;
  readonly #instrumented: RewrittenModule;
  readonly #clock: () => number;
  /** The clock is not `performance.now`. */
  readonly #ownClock: boolean;
  readonly #growPages: number;
  readonly #growEntries: number;
  readonly #sliceMs: number;
  readonly #cpuShare: number;
  #fuel: number;
  #timeoutMs: number;
  /** Units handed out since `begin`; what is left of them is in the budget globals. */
  #granted = 0;
  /** Reading of the clock at the start, NaN until something looks at the clock. */
  #startedAt = Number.NaN;
  /** Reading of the clock when the guest last got the thread. */
  #sliceBegan = Number.NaN;
  #lastTick = 0;
  /** Reading of the clock when the guest came to wait for a promise; only for a share of the time. */
  #waitingSince = 0;
  /** Milliseconds that the guest has held the thread, and since when it does: NaN while it does not. Only for a share of the time. */
  #heldMs = 0;
  #heldSince = Number.NaN;
  #lastSlice = SMALL_SLICE;
  #stopped: StopReason | undefined;
  #main!: Port;
  #budget!: WebAssembly.Global<"i32">;
  /** All instances, if there are linked ones. */
  #ports: Port[] | undefined;
  /** What the guest has to wait for, and what then makes its result. */
  #awaited: PromiseLike<unknown> | undefined;
  #settle: Settle | undefined;
  /** The guest was told to wait and has not come to do so. */
  #waitAsked = false;
  /** Lets the guest that is suspended go on, with a budget or a verdict. */
  #resumeGuest: ((verdict: number) => void) | undefined;
  /** The instance that is suspended. */
  #suspendedPort: Port | undefined;
  #reactions: Reactions | undefined;
  #pauseTimer: NodeJS.Timeout | undefined;
  #bits: bigint | undefined;
  /** A function of the guest runs while the guest is suspended. */
  #nested = false;

  constructor(instrumented: RewrittenModule, options: MeterOptions = {}) {
    for (const option of ["fuel", "growPages", "growEntries"] as const) {
      const value = options[option];
      if (value !== undefined && !(value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY))) {
        throw invalidOption(option, String(value), "a whole number, not negative");
      }
    }
    this.#instrumented = instrumented;
    this.#clock = options.clock ?? now;
    this.#ownClock = this.#clock !== now;
    this.#fuel = options.fuel ?? Number.POSITIVE_INFINITY;
    this.#timeoutMs = options.timeoutMs ?? Number.POSITIVE_INFINITY;
    this.#sliceMs = options.sliceMs ?? Number.POSITIVE_INFINITY;
    this.#cpuShare = options.cpuShare ?? 1;
    this.#growPages = Math.min(options.growPages ?? 65_536, MAX_GROW);
    this.#growEntries = Math.min(options.growEntries ?? 1_000_000, MAX_GROW);
  }

  /** Wires an instance. Its exports may then be called directly; they share one fuel. */
  attach(instance: WebAssembly.Instance): void {
    const port = new Port(this, this.#instrumented, instance);
    port.pagesLeft.value = this.#growPages;
    port.entriesLeft.value = this.#growEntries;
    this.#main = port;
    this.#budget = port.budget;
    this.#budget.value = this.begin();
  }

  /** After {@link attach}, wires an instance of another module that calls this one or is called by it: one fuel, deadline and growth for all. */
  link(instrumented: RewrittenModule, instance: WebAssembly.Instance): void {
    (this.#ports ??= [this.#main]).push(new Port(this, instrumented, instance));
  }

  /** Runs the start function that the rewriter took out, if the module had one. */
  start(instance: WebAssembly.Instance): void {
    const start = instance.exports[this.#instrumented.hiddenName("start")];
    if (typeof start === "function") (start as () => void)();
  }

  /**
   * Begins a new accounting period, and returns the units that the guest may start with; the caller puts them into
   * the budget, by {@link grant} or as an argument of an injected entry function.
   */
  begin(fuel: number = this.#fuel, timeoutMs: number = this.#timeoutMs): number {
    this.#fuel = fuel;
    this.#timeoutMs = timeoutMs;
    this.#takeThread();
    this.#stopped = undefined;
    this.#startedAt = Number.NaN;
    this.#sliceBegan = Number.NaN;
    this.#awaited = undefined;
    this.#settle = undefined;
    this.#waitAsked = false;
    this.#bits = undefined;
    this.suspendable = false;
    this.heldThread = false;
    this.#granted = fuel < SMALL_SLICE ? fuel : SMALL_SLICE;
    if (this.#ports !== undefined) this.#reclaim(this.#main);
    return this.#granted;
  }

  /** Puts units that {@link begin} returned into the budget. */
  grant(units: number): void {
    for (const port of this.#ports ?? [this.#main]) port.reason.value = STOP.none;
    this.#budget.value = units;
  }

  /** Takes back what other instances have left of their budgets; returns it. */
  #reclaim(but: Port): number {
    let left = 0;
    for (const port of this.#ports ?? []) {
      if (port === but) continue;
      left += port.budget.value;
      port.budget.value = 0;
    }
    return left;
  }

  /**
   * Runs a function of the guest for the host while the guest itself waits for the host, suspended or not: on the guest's
   * fuel and deadline.
   */
  enterNested<T>(work: () => T): T {
    const budget = this.#budget;
    if (this.#resumeGuest === undefined) return work();
    const { suspendable } = this;
    // It runs on the host's stack, and what it waited for would be taken for what the guest waits for.
    this.suspendable = false;
    // What is in the budget says that the guest has to wait: it is put back afterwards, and the sums stay right.
    const kept = budget.value;
    budget.value = SMALL_SLICE;
    this.#granted += SMALL_SLICE - kept;
    this.#nested = true;
    this.#takeThread();
    try {
      return work();
    } finally {
      this.#leaveThread();
      this.#nested = false;
      this.suspendable = suspendable;
      this.#granted -= budget.value - kept;
      budget.value = kept;
    }
  }

  /** Called by an instance when its budget is used up. Never throws: a guest could catch that. */
  tick(port: Port, budget: number): number {
    if (this.#stopped !== undefined) return VERDICT.stop;
    // It was told to wait and could not: it caught what the full stack threw. There is no other way to end that.
    if (this.#waitAsked) return this.#stop("stack");
    if (this.#ports !== undefined) this.#granted -= this.#reclaim(port);
    const used = this.#granted - budget;
    if (used > this.#fuel) return this.#stop("fuel");
    if (this.#nested && this.timeLeftMs <= 0) return this.#stop("timeout");
    if (this.#resumeGuest === undefined) {
      if (this.#awaited !== undefined) return this.#askToWait();
      const time = this.#look();
      if (time !== undefined) {
        if (this.#startedAt + this.#timeoutMs <= time) return this.#stop("timeout");
        if (time - this.#sliceBegan >= this.#sliceMs) {
          if (this.suspendable) return this.#askToWait();
          this.heldThread = true;
        }
      }
    }
    return this.#nextSlice(used);
  }

  /** Reads the clock, if anybody wants to know. */
  #look(): number | undefined {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY && this.#sliceMs === Number.POSITIVE_INFINITY) return undefined;
    const time = this.#clock();
    if (Number.isNaN(this.#startedAt)) {
      // The first small slice took some tens of microseconds; the clock starts at its end.
      this.#startedAt = time;
      this.#sliceBegan = time;
      this.#lastSlice = SMALL_SLICE * 4;
    } else {
      // Near the deadline, or the end of a slice of time, the slices shrink with the time that is left, at the speed of
      // the last one.
      const rate = this.#lastSlice / Math.max(time - this.#lastTick, 0.01);
      const left = Math.min(this.#startedAt + this.#timeoutMs, this.#sliceBegan + this.#sliceMs) - time;
      this.#lastSlice = left > 0 ? Math.min(SLICE, Math.max(SMALL_SLICE, Math.floor((rate * left) / 2))) : SLICE;
    }
    this.#lastTick = time;
    return time;
  }

  #nextSlice(used: number): number {
    const timed = this.#timeoutMs !== Number.POSITIVE_INFINITY || this.#sliceMs !== Number.POSITIVE_INFINITY;
    const next = Math.min(timed ? this.#lastSlice : SLICE, this.#fuel - used);
    this.#granted = used + next;
    return next;
  }

  #askToWait(): number {
    this.#waitAsked = true;
    return VERDICT.wait;
  }

  #stop(reason: StopReason): number {
    this.#stopped = reason;
    return VERDICT.stop;
  }

  /**
   * Makes the guest wait for a promise when the host function that calls this returns. Only while {@link suspendable}.
   */
  waitFor(promise: PromiseLike<unknown>, settle: Settle): void {
    this.#awaited = promise;
    this.#settle = settle;
    this.#exhaust();
  }

  /** Called through the engine's promise integration: the guest goes on with what the promise gives. */
  wait(port: Port): Promise<number> {
    this.#leaveThread();
    this.#waitAsked = false;
    const awaited = this.#awaited;
    this.#awaited = undefined;
    this.#suspendedPort = port;
    const reactions = (this.#reactions ??= this.#makeReactions());
    const suspension = new Promise<number>(reactions.keepResume);
    if (awaited === undefined) this.#pause(reactions.goOn);
    else {
      if (this.#cpuShare < 1) this.#waitingSince = this.#clock();
      awaited.then(reactions.fulfilled, reactions.rejected);
    }
    if (this.#timeoutMs !== Number.POSITIVE_INFINITY) watch(this);
    return suspension;
  }

  /**
   * Made once for each meter that is ever suspended. A promise that settles after the guest was stopped finds nobody
   * suspended, and a guest that was stopped is never suspended again.
   */
  #makeReactions(): Reactions {
    return {
      keepResume: (resume) => {
        this.#resumeGuest = resume;
      },
      fulfilled: (value) => this.#settled(value, false),
      rejected: (reason) => this.#settled(reason, true),
      goOn: () => this.#resume(this.#clock(), true),
    };
  }

  #settled(value: unknown, failed: boolean): void {
    const settle = this.#settle;
    if (this.#resumeGuest === undefined || settle === undefined) return;
    this.#settle = undefined;
    this.#bits = settle(value, failed);
    const time = this.#clock();
    if (this.#reactions !== undefined && this.#sliceIsOver(time)) this.#pause(this.#reactions.goOn);
    else this.#resume(time, false);
  }

  /**
   * After a promise: a slice goes on where the guest waited for less, or it could hold the thread with promises that are
   * settled already. Only a share of the time is counted without what it waited: that would have it rest for it.
   */
  #sliceIsOver(time: number): boolean {
    if (this.#resumeGuest === undefined) return false;
    if (this.#cpuShare < 1) this.#sliceBegan += time - this.#waitingSince;
    this.#lastTick = time;
    return time - this.#sliceBegan >= this.#sliceMs;
  }

  /** Lets others have the thread. */
  #pause(goOn: () => void): void {
    const delay = (this.#lastTick - this.#sliceBegan) * (1 / this.#cpuShare - 1);
    if (delay > 0) this.#pauseTimer = setTimeout(goOn, Math.min(delay, MAX_TIMER_MS));
    else takeTurn(goOn);
  }

  /** @param anew with a new slice of time */
  #resume(time: number, anew: boolean): void {
    const port = this.#suspendedPort;
    if (this.#resumeGuest === undefined || port === undefined) return;
    if (time >= this.#startedAt + this.#timeoutMs) this.#stopped ??= "timeout";
    const used = this.fuelUsed;
    if (used > this.#fuel) this.#stopped ??= "fuel";
    if (this.#stopped !== undefined) return this.#endSuspension(VERDICT.stop);
    if (this.#ports !== undefined) this.#reclaim(port);
    this.#lastTick = time;
    if (anew) this.#sliceBegan = time;
    this.#endSuspension(this.#nextSlice(used));
  }

  #endSuspension(verdict: number): void {
    const resume = this.#resumeGuest;
    this.#resumeGuest = undefined;
    this.#suspendedPort = undefined;
    forget(this);
    if (this.#pauseTimer !== undefined) {
      clearTimeout(this.#pauseTimer);
      this.#pauseTimer = undefined;
    }
    if (resume === undefined) return;
    this.#takeThread();
    resume(verdict);
  }

  #takeThread(): void {
    if (this.#cpuShare < 1 && Number.isNaN(this.#heldSince)) this.#heldSince = this.#clock();
  }

  #leaveThread(): void {
    if (Number.isNaN(this.#heldSince)) return;
    this.#heldMs += this.#clock() - this.#heldSince;
    this.#heldSince = Number.NaN;
  }

  /**
   * Milliseconds that the guest has held the thread since this was last asked, which is to be done after each call; 0 for a
   * guest that may have all of the time.
   */
  takeHeldMs(): number {
    this.#leaveThread();
    const ms = this.#heldMs;
    this.#heldMs = 0;
    return ms;
  }

  /** Reading of `performance.now()` at which a suspended guest is stopped. */
  get expiresAt(): number {
    return this.#ownClock ? performance.now() + this.timeLeftMs : this.#startedAt + this.#timeoutMs;
  }

  expire(): void {
    this.stopGuest("timeout");
  }

  /** Bits of a result that arrived while the guest was suspended, or those that are given. */
  take(bits: bigint): bigint {
    const arrived = this.#bits;
    this.#bits = undefined;
    return arrived ?? bits;
  }

  /** True while a call is suspended. */
  get suspended(): boolean {
    return this.#resumeGuest !== undefined;
  }

  /** Starts the clock if it does not run yet: host functions take time that costs no fuel. */
  startClock(): void {
    if (Number.isNaN(this.#startedAt) && (this.#timeoutMs !== Number.POSITIVE_INFINITY || this.#sliceMs !== Number.POSITIVE_INFINITY)) {
      this.#startedAt = this.#clock();
      this.#sliceBegan = this.#startedAt;
      this.#lastTick = this.#startedAt;
      this.#lastSlice = SMALL_SLICE;
    }
  }

  /** Milliseconds to the deadline; infinite without one. */
  get timeLeftMs(): number {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY) return this.#timeoutMs;
    return Number.isNaN(this.#startedAt) ? this.#timeoutMs : this.#startedAt + this.#timeoutMs - this.#clock();
  }

  /** Stops the guest: at once if it is suspended, else when the host function that calls this returns. */
  stopGuest(reason: StopReason): void {
    this.#stopped ??= reason;
    if (this.#resumeGuest === undefined || this.#nested) this.#exhaust();
    this.#endSuspension(VERDICT.stop);
  }

  /** Leaves nothing in the budgets, so that the guest asks for more as soon as it can. */
  #exhaust(): void {
    for (const { budget } of this.#ports ?? [this.#main]) {
      const left = budget.value;
      if (left < 0) continue;
      this.#granted -= left + 1;
      budget.value = -1;
    }
  }

  /** Charges a host function's work to the guest. */
  charge(units: number): void {
    const left = this.#budget.value - units;
    // What a 32-bit counter cannot hold is added to what was granted: the sum stays right.
    if (left < LOWEST_BUDGET) this.#granted += LOWEST_BUDGET - left;
    this.#budget.value = Math.max(left, LOWEST_BUDGET);
    // Another instance may be at work: it must ask, or it would go on with what it has while this one's debt grows.
    if (left < 0 && this.#ports !== undefined) this.#exhaust();
  }

  /** Takes pages from what the memories may still grow by; false if there are not as many. */
  takePages(pages: number): boolean {
    const left = this.#main.pagesLeft.value;
    if (pages > left) return false;
    this.#main.pagesLeft.value = left - pages;
    return true;
  }

  /** Gives back pages that were taken and not used. */
  returnPages(pages: number): void {
    this.#main.pagesLeft.value += pages;
  }

  /** Gives an instance what it lacks for growing by `count`, from the main instance; 0 if there is not as much. */
  more(port: Port, counter: "pagesLeft" | "entriesLeft", count: number): number {
    const left = this.#main[counter].value;
    // It may have something left of an earlier time: the engine refused to grow.
    const missing = count - port[counter].value;
    if (port === this.#main || missing > left) return 0;
    this.#main[counter].value = left - missing;
    port[counter].value = count;
    return 1;
  }

  /** Pages that memories have grown by. */
  get pagesGrown(): number {
    let left = 0;
    for (const { pagesLeft } of this.#ports ?? [this.#main]) left += pagesLeft.value;
    return this.#growPages - left;
  }

  /** True if the guest caught what the full stack threw: a linked instance lost count of its crossings, or did not wait where it had to. */
  get lostCount(): boolean {
    return this.#awaited !== undefined || this.#waitAsked || this.#ports?.some(({ inHost }) => (inHost?.value ?? 0) !== 0) === true;
  }

  /** After a call: a promise that the guest did not come to wait for, since it was stopped, may fail unheard. */
  forgetPromise(): void {
    if (this.#awaited === undefined) return;
    this.#awaited.then(nothing, nothing);
    this.#awaited = undefined;
  }

  /** Units charged since `begin`. */
  get fuelUsed(): number {
    let left = 0;
    if (this.#ports === undefined) left = this.#budget.value;
    else for (const { budget } of this.#ports) left += budget.value;
    return this.#granted - left;
  }

  /** Units that may still be used; infinite without a limit. */
  get fuelLeft(): number {
    return this.#fuel === Number.POSITIVE_INFINITY ? this.#fuel : Math.max(this.#fuel - this.fuelUsed, 0);
  }

  /** Units charged, from the main instance's budget as an injected entry function has reported it. */
  fuelUsedOf(budget: number): number {
    return this.#ports === undefined ? this.#granted - budget : this.fuelUsed;
  }

  /** Why the guest was stopped, or undefined if nothing outside it did. Read after a trap. */
  get stopped(): StopReason | undefined {
    if (this.#stopped !== undefined) return this.#stopped;
    for (const { reason } of this.#ports ?? [this.#main]) {
      const found = STOP_REASONS[reason.value];
      if (found !== undefined) return found;
    }
    return undefined;
  }
}

const STOP_REASONS: Readonly<Record<number, StopReason>> = { [STOP.memory]: "memory", [STOP.table]: "table", [STOP.hostUnreachable]: "stack" };
