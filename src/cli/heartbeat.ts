// A timer that shows whether the event loop goes on.

/** Ticks every few milliseconds and remembers the longest time between two ticks. */
export class Heartbeat {
  readonly #timer: NodeJS.Timeout;
  readonly #waiting: { readonly until: number; readonly resolve: () => void }[] = [];
  #last = performance.now();
  #longest = 0;
  #ticks = 0;

  constructor(periodMs: number) {
    this.#timer = setInterval(() => this.#tick(), periodMs);
  }

  /** Ticks since the start. */
  get ticks(): number {
    return this.#ticks;
  }

  /** Milliseconds of the longest pause since {@link forget}. */
  get longestPauseMs(): number {
    return this.#longest;
  }

  /** Begins a new measurement. */
  forget(): void {
    this.#last = performance.now();
    this.#longest = 0;
  }

  /** Waits for some more ticks. */
  async beat(ticks: number): Promise<void> {
    await new Promise<void>((resolve) => this.#waiting.push({ until: this.#ticks + ticks, resolve }));
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  #tick(): void {
    const now = performance.now();
    this.#longest = Math.max(this.#longest, now - this.#last);
    this.#last = now;
    this.#ticks++;
    while (this.#waiting[0] !== undefined && this.#waiting[0].until <= this.#ticks) this.#waiting.shift()?.resolve();
  }
}
