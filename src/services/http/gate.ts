// Lets a number of requests in at a time, first come, first served.

/** A gate with room for some. */
export class Gate {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(room: number) {
    this.#free = room;
  }

  /** Waits for room; the result gives it back. @throws the signal's reason when it is aborted before there is room */
  async enter(signal: AbortSignal): Promise<() => void> {
    signal.throwIfAborted();
    if (!this.tryEnter()) await this.wait(signal);
    return () => this.leave();
  }

  /** Takes room if there is some, which {@link leave} gives back. */
  tryEnter(): boolean {
    if (this.#free === 0) return false;
    this.#free--;
    return true;
  }

  /** Waits for room, which {@link leave} gives back. @throws as {@link enter} */
  wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const giveUp = (): void => {
        this.#waiting.delete(enter);
        reject(signal.reason as Error);
      };
      const enter = (): void => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      this.#waiting.add(enter);
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  /** Hands the room to who has waited longest. */
  leave(): void {
    const [next] = this.#waiting;
    if (next === undefined) {
      this.#free++;
      return;
    }
    this.#waiting.delete(next);
    next();
  }
}
