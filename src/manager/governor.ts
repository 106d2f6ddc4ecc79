// Keeps all plugins of a host together within what they may have, by freeing instances that nobody uses.

import { MortiseError } from "../api/errors.ts";
import type { InstanceGovernor, PoolHoldings } from "../host/pool.ts";
import type { ResolvedHostLimits } from "./host-limits.ts";

/** A version, as far as it holds something. */
export interface Holder {
  readonly name: string;
  /** Grows with every call of any plugin: who has the least was not called for longest. */
  readonly lastCall: number;
  readonly plugin: {
    readonly holdings: PoolHoldings;
    readonly memoryBytes: number;
    freeIdle(atMost: number): number;
    govern(governor: InstanceGovernor): void;
  };
  /** Bytes that are counted for it. */
  countedBytes: number;
}

type Totals = Pick<PoolHoldings, "instances" | "memoryBytes">;

/** Bounds instances and memory of all plugins of a host. */
export class Governor {
  readonly #limits: ResolvedHostLimits;
  readonly #holders = new Set<Holder>();
  /** Bytes of all memories as far as they are counted: exact after every call. */
  #bytes = 0;

  constructor(limits: ResolvedHostLimits) {
    this.#limits = limits;
  }

  /** True if memory is counted. */
  get countsMemory(): boolean {
    return this.#limits.memoryBytes !== Number.POSITIVE_INFINITY;
  }

  /**
   * Bounds a version whose first instance was made.
   *
   * @throws MortiseError MORTISE_HOST_LIMIT if there is no room for it
   */
  adopt(holder: Holder): void {
    if (!this.countsMemory && this.#limits.instances === Number.POSITIVE_INFINITY) return;
    this.#holders.add(holder);
    this.#admit(holder, "load");
    holder.plugin.govern({
      hasRoom: () => this.#hasRoom(holder),
      admit: () => this.#admit(holder, "make an instance of"),
    });
  }

  /** Forgets a version of which nothing is left. */
  release(holder: Holder): void {
    if (this.#holders.delete(holder)) this.#bytes -= holder.countedBytes;
  }

  #totals(): Totals {
    let instances = 0;
    let memoryBytes = 0;
    for (const holder of this.#holders) {
      const held = holder.plugin.holdings;
      instances += held.instances;
      memoryBytes += held.memoryBytes;
      holder.countedBytes = held.memoryBytes;
    }
    this.#bytes = memoryBytes;
    return { instances, memoryBytes };
  }

  #hasRoom(holder: Holder): boolean {
    const { instances, memoryBytes } = this.#least(holder);
    return instances < this.#limits.instances && memoryBytes < this.#limits.memoryBytes;
  }

  /** What there would be if everybody else gave up what is idle. */
  #least(except: Holder): Totals {
    let { instances, memoryBytes } = this.#totals();
    for (const { plugin } of this.#victims(except)) {
      const { idle, idleBytes } = plugin.holdings;
      instances -= idle;
      memoryBytes -= idleBytes;
    }
    return { instances, memoryBytes };
  }

  #admit(holder: Holder, what: string): void {
    const { plugin } = holder;
    const within = ({ instances, memoryBytes }: Totals): boolean => instances <= this.#limits.instances && memoryBytes <= this.#limits.memoryBytes;
    let totals = this.#totals();
    if (within(totals)) return;
    const least = this.#least(holder);
    // Nobody gives anything up for what is refused all the same.
    if (within(least)) while (!within(totals) && this.#free(holder)) totals = this.#totals();
    if (within(totals)) return;
    const few = least.instances > this.#limits.instances;
    // The one that is refused is no longer there.
    throw new MortiseError("MORTISE_HOST_LIMIT", {
      what,
      plugin: holder.name,
      count: few ? totals.instances - 1 : totals.memoryBytes,
      unit: few ? "instances" : "bytes of memory in use",
      option: few ? "instances" : "memoryBytes",
      limit: few ? this.#limits.instances : this.#limits.memoryBytes,
      idle: plugin.holdings.idle,
    });
  }

  /** A call of a version has ended: its memory may have grown. */
  called(holder: Holder): void {
    const now = holder.plugin.memoryBytes;
    this.#bytes += now - holder.countedBytes;
    holder.countedBytes = now;
    if (this.#bytes <= this.#limits.memoryBytes) return;
    for (let totals = this.#totals(); totals.memoryBytes > this.#limits.memoryBytes && this.#free(undefined); totals = this.#totals());
  }

  /** Frees one instance that nobody uses. @returns false if there is none */
  #free(except: Holder | undefined): boolean {
    const [victim] = this.#victims(except);
    return victim !== undefined && victim.plugin.freeIdle(1) > 0;
  }

  /**
   * Who can give up an instance, fairest first: of several instances one is spared before anybody's only one, which would
   * lose its state; then from whom holds most; then from whom was not called for longest.
   */
  #victims(except: Holder | undefined): Holder[] {
    const idle = Array.from(this.#holders, (holder) => ({ holder, held: holder.plugin.holdings })).filter(
      ({ holder, held }) => holder !== except && held.idle > 0,
    );
    const several = ({ held }: { readonly held: PoolHoldings }): number => (held.instances > 1 ? held.memoryBytes : 0);
    return idle.toSorted((a, b) => several(b) - several(a) || a.holder.lastCall - b.holder.lastCall).map(({ holder }) => holder);
  }
}
