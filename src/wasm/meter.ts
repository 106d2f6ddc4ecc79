// The host's side of an instrumented module: hands out fuel in slices, watches the clock, and says why a guest stopped.

import { invalidOption } from "../api/limits.ts";
import { STOP } from "./injection.ts";
import type { RewrittenModule } from "./instrument.ts";

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

/** A module that passes one JavaScript function on as a WebAssembly function, so that a table can hold it. */
// prettier-ignore
const TICK_MODULE = new Uint8Array([
  0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00,
  0x01, 0x06, 0x01, 0x60, 0x01, 0x7f, 0x01, 0x7f, // (type (func (param i32) (result i32)))
  0x02, 0x07, 0x01, 0x01, 0x68, 0x01, 0x74, 0x00, 0x00, // (import "h" "t" (func (type 0)))
  0x07, 0x05, 0x01, 0x01, 0x74, 0x00, 0x00, // (export "t" (func 0))
]);
let tickModule: WebAssembly.Module | undefined;

/** A WebAssembly function `(i32) -> i32` for a tick. */
export function wrapTick(tick: (budget: number) => number): WebAssembly.ExportValue {
  tickModule ??= new WebAssembly.Module(TICK_MODULE);
  return new WebAssembly.Instance(tickModule, { h: { t: tick } }).exports["t"] as WebAssembly.ExportValue;
}

let running: Meter | undefined;
let sharedTick: WebAssembly.ExportValue | undefined;

/** Fuel, deadline and growth of one instance of an instrumented module. */
export class Meter {
  readonly #instrumented: RewrittenModule;
  readonly #clock: () => number;
  readonly #growPages: number;
  readonly #growEntries: number;
  #fuel: number;
  #timeoutMs: number;
  /** Units handed out since `begin`; what is left of them is in the budget global. */
  #granted = 0;
  /** Reading of the clock at the start, NaN until something looks at the clock. */
  #startedAt = Number.NaN;
  #lastTick = 0;
  #lastSlice = SMALL_SLICE;
  #stopped: StopReason | undefined;
  #budget!: WebAssembly.Global<"i32">;
  #reason!: WebAssembly.Global<"i32">;
  #pagesLeft!: WebAssembly.Global<"i32">;

  constructor(instrumented: RewrittenModule, options: MeterOptions = {}) {
    for (const option of ["fuel", "growPages", "growEntries"] as const) {
      const value = options[option];
      if (value !== undefined && !(value >= 0 && (Number.isSafeInteger(value) || value === Number.POSITIVE_INFINITY))) {
        throw invalidOption(option, String(value), "a whole number, not negative");
      }
    }
    this.#instrumented = instrumented;
    this.#clock = options.clock ?? (() => performance.now());
    this.#fuel = options.fuel ?? Number.POSITIVE_INFINITY;
    this.#timeoutMs = options.timeoutMs ?? Number.POSITIVE_INFINITY;
    this.#growPages = Math.min(options.growPages ?? 65_536, MAX_GROW);
    this.#growEntries = Math.min(options.growEntries ?? 1_000_000, MAX_GROW);
  }

  /**
   * Wires an instance. Its exports may then be called directly; they share one fuel.
   *
   * @param shared use one tick for all instances, which then must be called through {@link run}
   */
  attach(instance: WebAssembly.Instance, shared: boolean = false): void {
    const global = (key: "budget" | "reason" | "pagesLeft" | "entriesLeft"): WebAssembly.Global<"i32"> =>
      instance.exports[this.#instrumented.hiddenName(key)] as WebAssembly.Global<"i32">;
    this.#budget = global("budget");
    this.#reason = global("reason");
    this.#pagesLeft = global("pagesLeft");
    this.#pagesLeft.value = this.#growPages;
    global("entriesLeft").value = this.#growEntries;
    const ticks = instance.exports[this.#instrumented.hiddenName("ticks")] as WebAssembly.Table;
    if (shared) sharedTick ??= wrapTick((budget) => (running === undefined ? -1 : running.tick(budget)));
    ticks.set(0, shared ? sharedTick : wrapTick((budget) => this.tick(budget)));
    this.#budget.value = this.begin();
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
    this.#stopped = undefined;
    this.#startedAt = Number.NaN;
    this.#granted = fuel < SMALL_SLICE ? fuel : SMALL_SLICE;
    return this.#granted;
  }

  /** Puts units that {@link begin} returned into the budget. */
  grant(units: number): void {
    this.#reason.value = STOP.none;
    this.#budget.value = units;
  }

  /** Runs `work` with this meter as the one that shared ticks ask. */
  run<T>(work: () => T): T {
    const outer = this.enter();
    try {
      return work();
    } finally {
      this.leave(outer);
    }
  }

  /** Makes this meter the one that shared ticks ask; returns the one before, for {@link leave}. */
  enter(): Meter | undefined {
    const outer = running;
    // oxlint-disable-next-line no-this-alias -- the meter that runs, for the tick that all instances share
    running = this;
    return outer;
  }

  leave(outer: Meter | undefined): void {
    running = outer;
  }

  /** Called by the guest when its budget is used up. Never throws: a guest could catch that. */
  tick(budget: number): number {
    if (this.#stopped !== undefined) return -1;
    const used = this.#granted - budget;
    if (used > this.#fuel) return this.#stop("fuel");
    let slice = SLICE;
    if (this.#timeoutMs !== Number.POSITIVE_INFINITY) {
      const now = this.#clock();
      if (Number.isNaN(this.#startedAt)) {
        // The first small slice took some tens of microseconds; the clock starts at its end.
        this.#startedAt = now;
        slice = SMALL_SLICE * 4;
      } else {
        const left = this.#startedAt + this.#timeoutMs - now;
        if (left <= 0) return this.#stop("timeout");
        // Near the deadline the slices shrink with the time that is left, at the speed of the last slice.
        const rate = this.#lastSlice / Math.max(now - this.#lastTick, 0.01);
        slice = Math.min(SLICE, Math.max(SMALL_SLICE, Math.floor((rate * left) / 2)));
      }
      this.#lastTick = now;
    }
    const next = Math.min(slice, this.#fuel - used);
    this.#granted = used + next;
    this.#lastSlice = next;
    return next;
  }

  #stop(reason: StopReason): number {
    this.#stopped = reason;
    return -1;
  }

  /** Starts the clock if it does not run yet: host functions take time that costs no fuel. */
  startClock(): void {
    if (Number.isNaN(this.#startedAt) && this.#timeoutMs !== Number.POSITIVE_INFINITY) {
      this.#startedAt = this.#clock();
      this.#lastTick = this.#startedAt;
    }
  }

  /** Milliseconds to the deadline; infinite without one. */
  get timeLeftMs(): number {
    if (this.#timeoutMs === Number.POSITIVE_INFINITY) return this.#timeoutMs;
    return Number.isNaN(this.#startedAt) ? this.#timeoutMs : this.#startedAt + this.#timeoutMs - this.#clock();
  }

  /** Stops the guest when the host function that calls this returns. */
  stopGuest(reason: StopReason): void {
    this.#stopped ??= reason;
    const left = this.#budget.value;
    if (left >= 0) {
      this.#granted -= left + 1;
      this.#budget.value = -1;
    }
  }

  /** Charges a host function's work to the guest. */
  charge(units: number): void {
    const left = this.#budget.value - units;
    // What a 32-bit counter cannot hold is added to what was granted: the sum stays right.
    if (left < LOWEST_BUDGET) this.#granted += LOWEST_BUDGET - left;
    this.#budget.value = Math.max(left, LOWEST_BUDGET);
  }

  /** Takes pages from what the memories may still grow by; false if there are not as many. */
  takePages(pages: number): boolean {
    const left = this.#pagesLeft.value;
    if (pages > left) return false;
    this.#pagesLeft.value = left - pages;
    return true;
  }

  /** Pages that memories have grown by. */
  get pagesGrown(): number {
    return this.#growPages - this.#pagesLeft.value;
  }

  /** Units charged since `begin`. */
  get fuelUsed(): number {
    return this.#granted - this.#budget.value;
  }

  /** Units charged, from a budget that an injected entry function has reported. */
  fuelUsedOf(budget: number): number {
    return this.#granted - budget;
  }

  /** Why the guest was stopped, or undefined if nothing outside it did. Read after a trap. */
  get stopped(): StopReason | undefined {
    if (this.#stopped !== undefined) return this.#stopped;
    switch (this.#reason.value) {
      case STOP.memory:
        return "memory";
      case STOP.table:
        return "table";
      case STOP.hostUnreachable:
        return "stack";
      default:
        return undefined;
    }
  }
}
