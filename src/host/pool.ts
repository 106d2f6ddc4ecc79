// The instances of one plugin: who runs a call, who waits, and when an instance is replaced.
//
// Callers that wait are woken in order. A caller that is woken begins in a microtask of its own; meanwhile its runner
// stays in sight, but newcomers who would wait do not take it. A nested call never waits for what its own caller holds.

import type { ExportedValue } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import { type NestedWait, endWait, beginWait, waitsForItself } from "../abi/call-chain.ts";
import type { Caller } from "../api/caller.ts";
import { type Expiring, forget, watch } from "../wasm/deadlines.ts";
import type { Runner, RunnerFactory } from "./runner.ts";

/** How many instances a plugin has, and when they are replaced. */
export interface PoolOptions {
  /** Instances of a stateless plugin at most; a plugin with state has one. @default 8 */
  readonly maxInstances?: number;
  /** Replace an instance after so many calls. @default never */
  readonly recycleCalls?: number;
  /** Replace an instance whose memories have grown to so many bytes. @default never */
  readonly recycleBytes?: number;
  /** Free instances that were not called for so many milliseconds. @default never */
  readonly idleMs?: number;
}

/** Options with every default filled in. */
export type ResolvedPool = Required<PoolOptions>;

/** What a pool has done and is doing. */
export interface PoolStats {
  /** Instances now, and those of them that run a call. */
  readonly live: number;
  readonly busy: number;
  /** Instances made; discarded after a trap, a limit or an abort; and replaced or freed as the options say. */
  readonly created: number;
  readonly discarded: number;
  readonly recycled: number;
  /** Calls that wait now; that had to wait since the plugin was loaded; and the milliseconds they waited together. */
  readonly waiting: number;
  readonly waited: number;
  readonly waitedMs: number;
}

/** The longest that a timer takes; one for more would fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

interface Waiter {
  readonly place: number;
  readonly function: string;
  readonly wake: () => void;
  readonly refuse: (error: MortiseError) => void;
}

/** What a caller brings along that has to wait. */
export interface Ticket {
  /** Place in the queue: that of who came first is lowest. One that was woken in vain keeps it. */
  readonly place: number;
  readonly function: string;
  readonly timeoutMs: number;
  /** The deadline as the caller gave it. */
  readonly statedMs: number;
  readonly signal: AbortSignal | undefined;
  /** The call of another plugin that it is made for. */
  readonly caller: Caller | undefined;
}

/** A runner in a pool. */
export interface Slot {
  readonly runner: Runner;
  calls: number;
  /** Function that runs. */
  running: string | undefined;
  /** A call was begun in it that nobody waits for. */
  unsettled: boolean;
  idleSince: number;
}

/** Says whether there is room for an instance, besides what a plugin's own options allow. */
export interface InstanceGovernor {
  /** True if there is room, or some can be made. */
  hasRoom(): boolean;
  /** Makes room for the instance that is being made, which counts already. @throws MortiseError if there is none */
  admit(): void;
}

/** What a pool holds now. */
export interface PoolHoldings {
  /** Instances, those that are being made included; and those that nobody uses. */
  readonly instances: number;
  readonly idle: number;
  /** Bytes of all memories, and of those of instances that nobody uses. */
  readonly memoryBytes: number;
  readonly idleBytes: number;
}

/** Hands out runners, one call each at a time. */
export class RunnerPool {
  readonly #plugin: string;
  readonly #owner: object;
  readonly #factory: RunnerFactory;
  readonly #options: ResolvedPool;
  readonly #recycles: boolean;
  readonly #clock: () => number;
  readonly #slots = new Set<Slot>();
  readonly #idle: Slot[] = [];
  readonly #waiting: Waiter[] = [];
  /** Callers that were woken and have not begun, and runners that are being made. */
  #woken = 0;
  #making = 0;
  #created = 0;
  #discarded = 0;
  #recycled = 0;
  #waited = 0;
  #waitedMs = 0;
  #peak = 0;
  #heldMs = 0;
  #closed = false;
  /** Makes the error for callers that come to their turn after the pool was closed with one. */
  #ended: ((fn: string) => MortiseError) | undefined;
  #idleTimer: NodeJS.Timeout | undefined;
  #governor: InstanceGovernor | undefined;
  #drained: (() => void) | undefined;

  /** @param owner what the plugin's instances share, by which host functions know whom they serve */
  constructor(plugin: string, owner: object, factory: RunnerFactory, options: ResolvedPool, clock: () => number) {
    this.#plugin = plugin;
    this.#owner = owner;
    this.#factory = factory;
    this.#options = options;
    this.#recycles = options.recycleCalls !== Number.POSITIVE_INFINITY || options.recycleBytes !== Number.POSITIVE_INFINITY;
    this.#clock = clock;
  }

  /** A free slot for a caller that cannot wait, or for one that finds nobody before it; undefined if there is none. */
  takeIdle(fn: string, urgent: boolean): Slot | undefined {
    if (this.#idle.length === 0) this.#findLost();
    if (!urgent && (this.#waiting.length > 0 || this.#idle.length <= this.#woken)) return undefined;
    for (let slot = this.#idle.pop(); slot !== undefined; slot = this.#idle.pop()) {
      // Left over from a call that ran out of stack before it could be dropped.
      if (slot.runner.poisoned || slot.unsettled) {
        this.#drop(slot);
        this.#discarded++;
        continue;
      }
      slot.running = fn;
      return slot;
    }
    return undefined;
  }

  /** Finds slots of callers who ran out of stack on their way here, or on their way back: nobody runs in them. */
  #findLost(): void {
    for (const slot of this.#slots) if (slot.running === undefined) this.#idle.push(slot);
  }

  /** Asks `governor` for room before every further instance. */
  govern(governor: InstanceGovernor): void {
    this.#governor = governor;
  }

  /** True if a runner may be made. */
  get hasRoom(): boolean {
    return this.#slots.size + this.#making < this.#options.maxInstances && this.#isLet;
  }

  /** Who has an instance can wait for it; who has none can only be refused. */
  get #isLet(): boolean {
    return this.#governor === undefined || this.#slots.size === 0 || this.#governor.hasRoom();
  }

  /** True if one may be made that nobody who came before waits for, or was woken for. */
  get hasRoomForNewcomers(): boolean {
    const taken = this.#slots.size + this.#making + Math.max(this.#woken - this.#idle.length, 0);
    return this.#waiting.length === 0 && taken < this.#options.maxInstances && this.#isLet;
  }

  /** Makes a runner for a caller. */
  make(fn: string, timeoutMs: number): Slot | Promise<Slot> {
    this.#created++;
    this.#making++;
    try {
      this.#governor?.admit();
      const made = this.#holding(() => this.#factory.create(timeoutMs));
      if (made instanceof Promise) return this.#whenMade(fn, made);
      const slot = this.#admit(fn, made);
      this.#making--;
      return slot;
    } catch (error) {
      // Not in a function: there may be no stack left for one.
      this.#making--;
      this.passOn();
      throw error;
    }
  }

  async #whenMade(fn: string, promised: Promise<Runner>): Promise<Slot> {
    try {
      const slot = this.#admit(fn, await promised);
      this.#making--;
      return slot;
    } catch (error) {
      this.#making--;
      this.passOn();
      throw error;
    }
  }

  #admit(fn: string, runner: Runner): Slot {
    const slot: Slot = { runner, calls: 0, running: fn, unsettled: false, idleSince: 0 };
    this.#slots.add(slot);
    return slot;
  }

  /**
   * Waits until a runner may be had, and says how many milliseconds that took.
   *
   * @throws MortiseError MORTISE_TIMEOUT, MORTISE_ABORTED or MORTISE_CLOSED
   */
  async wait(ticket: Ticket, again: boolean): Promise<number> {
    const began = this.#clock();
    if (!again) this.#waited++;
    try {
      await this.#queue(ticket, again);
    } finally {
      this.#waitedMs += this.#clock() - began;
    }
    return this.#clock() - began;
  }

  /** The slot of a caller that has waited; undefined if there is room for a new one, or somebody urgent was faster. */
  takeWoken(fn: string): Slot | undefined {
    this.#woken--;
    if (this.#ended !== undefined) {
      this.#settleClose();
      throw this.#ended(fn);
    }
    return this.takeIdle(fn, true);
  }

  #queue({ place, function: fn, timeoutMs, statedMs, signal, caller }: Ticket, again: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const who = { plugin: this.#plugin, function: fn };
      const clock = this.#clock;
      const began = clock();
      const deadline: Expiring = {
        get expiresAt() {
          return performance.now() + timeoutMs - (clock() - began);
        },
        expire: () => leave(new MortiseError("MORTISE_TIMEOUT", { ...who, limit: statedMs })),
      };
      let wait: NestedWait | undefined;
      const end = (): void => {
        forget(deadline);
        endWait(wait);
        signal?.removeEventListener("abort", aborted);
      };
      const leave = (error: MortiseError): void => {
        const at = this.#waiting.indexOf(waiter);
        if (at < 0) return;
        this.#waiting.splice(at, 1);
        waiter.refuse(error);
      };
      const reentrant = (): MortiseError => new MortiseError("MORTISE_REENTRANT", { ...who, running: this.running });
      const aborted = (): void => leave(new MortiseError("MORTISE_ABORTED", who, signal?.reason));
      const waiter: Waiter = {
        place,
        function: fn,
        wake: () => {
          end();
          resolve();
        },
        refuse: (error) => {
          end();
          reject(error);
        },
      };
      if (waitsForItself(this.#owner, () => leave(reentrant()))) {
        reject(reentrant());
        return;
      }
      if (caller !== undefined) {
        wait = beginWait(caller, this.#owner, this.#slots.size + this.#making);
        if (wait === undefined) {
          reject(reentrant());
          return;
        }
      }
      // Last of all, so that one who runs out of stack on the way does not stand in the queue.
      if (timeoutMs !== Number.POSITIVE_INFINITY) watch(deadline);
      signal?.addEventListener("abort", aborted);
      const behind = again ? this.#waiting.findIndex((other) => other.place > place) : -1;
      if (behind < 0) this.#waiting.push(waiter);
      else this.#waiting.splice(behind, 0, waiter);
    });
  }

  /** Lets the next caller in, after one that was woken and took nothing. */
  passOn(): void {
    this.#wakeNext();
    this.#settleClose();
  }

  /** Why a caller that has a slot must not begin: the pool was closed with an error meanwhile. */
  endedBy(fn: string): MortiseError | undefined {
    return this.#ended?.(fn);
  }

  /** Takes a slot back after a call, and lets the next caller in. */
  giveBack(slot: Slot, called: boolean = true): void {
    const { runner } = slot;
    slot.running = undefined;
    if (called) slot.calls++;
    if (runner.poisoned || slot.unsettled) {
      this.#discarded++;
      this.#drop(slot);
    } else if (this.#closed && this.#waiting.length === 0 && this.#woken === 0) this.#drop(slot);
    else if (this.#recycles && (slot.calls >= this.#options.recycleCalls || runner.memoryBytes >= this.#options.recycleBytes)) {
      this.#recycled++;
      this.#drop(slot);
    } else {
      this.#idle.push(slot);
      if (this.#options.idleMs !== Number.POSITIVE_INFINITY) {
        slot.idleSince = this.#clock();
        this.#watchIdle();
      }
    }
    if (this.#waiting.length > 0) this.#wakeNext();
    if (this.#closed) this.#settleClose();
  }

  #wakeNext(): void {
    while (this.#waiting.length > 0 && this.#woken < this.#idle.length + Math.max(this.#options.maxInstances - this.#slots.size - this.#making, 0)) {
      this.#woken++;
      this.#waiting.shift()?.wake();
    }
  }

  #drop(slot: Slot): void {
    this.#peak = Math.max(this.#peak, slot.runner.memoryBytes);
    this.#slots.delete(slot);
    const at = this.#idle.indexOf(slot);
    if (at >= 0) this.#idle.splice(at, 1);
    // A guest may clean up.
    this.#holding(() => slot.runner.dispose());
  }

  // ---- the thread's time

  #holding<T>(work: () => T): T {
    const began = this.#clock();
    try {
      return work();
    } finally {
      this.#heldMs += this.#clock() - began;
    }
  }

  /** Counts what a runner's call has held the thread until now. */
  noteHeld(runner: Runner): void {
    this.#heldMs += runner.takeHeldMs?.() ?? 0;
  }

  /** Milliseconds that runners have held this thread; for calls only with a limits.cpuShare below 1. */
  get heldMs(): number {
    return this.#heldMs;
  }

  // ---- idle instances

  #watchIdle(): void {
    this.#idleTimer ??= setTimeout(() => this.#freeIdle(), Math.min(this.#options.idleMs, MAX_TIMER_MS)).unref();
  }

  #freeIdle(): void {
    this.#idleTimer = undefined;
    const { idleMs } = this.#options;
    const now = this.#clock();
    for (const slot of this.#idle.slice()) {
      if (this.#idle.length <= this.#woken || now - slot.idleSince < idleMs) continue;
      this.#recycled++;
      this.#drop(slot);
    }
    if (this.#idle.length > 0) this.#watchIdle();
  }

  /** Frees instances that nobody uses, those first that were not called for longest. @returns how many */
  freeIdle(atMost: number): number {
    let freed = 0;
    for (const slot of this.#idle.slice()) {
      if (freed >= atMost || this.#idle.length <= this.#woken) break;
      this.#recycled++;
      freed++;
      this.#drop(slot);
    }
    return freed;
  }

  // ---- what is going on

  get holdings(): PoolHoldings {
    const idle = this.#idle.slice(0, Math.max(this.#idle.length - this.#woken, 0));
    const idleBytes = idle.reduce((sum, { runner }) => sum + runner.memoryBytes, 0);
    return { instances: this.#slots.size + this.#making, idle: idle.length, memoryBytes: this.memoryBytes, idleBytes };
  }

  get memoryBytes(): number {
    let bytes = 0;
    for (const { runner } of this.#slots) bytes += runner.memoryBytes;
    return bytes;
  }

  /** Function that a runner is busy with, if any is. */
  get running(): string | undefined {
    for (const { running } of this.#slots) if (running !== undefined) return running;
    return undefined;
  }

  get memory(): { readonly bytes: number; readonly peak: number } {
    let bytes = 0;
    let peak = this.#peak;
    for (const { runner } of this.#slots) {
      bytes += runner.memoryBytes;
      peak = Math.max(peak, runner.memoryBytes);
    }
    return { bytes, peak };
  }

  /** A memory, table or global that the first instance exports, where that can be had. */
  exportedValue(name: string): ExportedValue | undefined {
    const [slot] = this.#slots;
    return slot?.runner.exportedValue?.(name);
  }

  stats(): PoolStats {
    let busy = 0;
    for (const { running } of this.#slots) if (running !== undefined) busy++;
    return {
      live: this.#slots.size,
      busy,
      created: this.#created,
      discarded: this.#discarded,
      recycled: this.#recycled,
      waiting: this.#waiting.length,
      waited: this.#waited,
      waitedMs: this.#waitedMs,
    };
  }

  // ---- the end

  /**
   * Lets callers that wait and run come to an end, or ends them with `error`; frees everything.
   *
   * @returns a promise that is settled when nothing runs any more
   */
  close(error: ((fn: string) => MortiseError) | undefined): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#idleTimer);
    this.#idleTimer = undefined;
    if (error !== undefined) {
      this.#ended = error;
      for (const waiter of this.#waiting.splice(0)) waiter.refuse(error(waiter.function));
      for (const { runner, running } of this.#slots) if (running !== undefined) runner.stop(error(running));
    }
    // Callers that wait still need runners; whatever is idle otherwise goes at once.
    if (this.#waiting.length === 0 && this.#woken === 0) for (const slot of this.#idle.slice()) this.#drop(slot);
    return new Promise((resolve) => {
      const before = this.#drained;
      this.#drained = () => {
        before?.();
        resolve();
      };
      this.#settleClose();
    });
  }

  #settleClose(): void {
    if (!this.#closed || this.#making > 0 || this.#waiting.length > 0 || this.#woken > 0) return;
    for (const { running } of this.#slots) if (running !== undefined) return;
    for (const slot of Array.from(this.#slots)) this.#drop(slot);
    const drained = this.#drained;
    this.#drained = undefined;
    if (drained === undefined) return;
    void this.#closeFactory(drained);
  }

  async #closeFactory(drained: () => void): Promise<void> {
    try {
      await this.#factory.close();
    } finally {
      drained();
    }
  }
}
