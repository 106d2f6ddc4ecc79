// What observers are to be told waits here for its turn: a plugin's call must not spend its time on waiting for an instance.

import { type AllFunction, MortiseError, type RequestContext } from "mortise";

import type { GatewayLogger } from "./core.ts";

/** Longer ones leave a part of the room to the others, so that few that say much do not drive out many that say little. */
const SMALL_BYTES = 64 << 10;
const PART_OF_LONG = 0.75;
/** Bytes that a report takes besides what was said. */
const OWN_BYTES = 1024;
/** Reports that are begun in a row before others get the thread. */
const MAX_BURST = 32;
/** Places of reports that have begun, before they are freed. */
const MAX_GAP = 1024;

/** What is told, and for which request. */
interface Report<T> {
  readonly told: T;
  readonly request: RequestContext;
  readonly bytes: number;
}

/** Who is told, and how. */
export interface ReportQueueOptions<T> {
  /** Name of the hook. */
  readonly name: string;
  readonly hook: AllFunction<T>;
  /** How many may be told at a time: as many as the plugin has instances that has fewest. */
  readonly atATime: () => number;
  readonly logger: GatewayLogger | undefined;
  /** Bytes that may wait. */
  readonly maxBytes: number;
}

/** Tells the plugins of one hook. */
export class ReportQueue<T> {
  readonly #options: ReportQueueOptions<T>;
  #waiting: (Report<T> | undefined)[] = [];
  /** Where the first one stands. */
  #head = 0;
  #bytes = 0;
  #running = 0;
  #burst = 0;
  #isResting = false;
  #isClosed = false;
  #dropped = 0;
  #settled: (() => void) | undefined;

  constructor(options: ReportQueueOptions<T>) {
    this.#options = options;
  }

  /** Tells at once, or when there is time. @param saidBytes what request and answer have */
  add(told: T, request: RequestContext, saidBytes: number): void {
    const report = { told, request, bytes: saidBytes + OWN_BYTES };
    if (this.waiting === 0 && this.#hasRoom) return this.#tell(report);
    const { maxBytes } = this.#options;
    const room = report.bytes > SMALL_BYTES ? maxBytes * PART_OF_LONG : maxBytes;
    // One that is longer than all that may wait has its turn where no other does.
    if (this.#isClosed || (this.#bytes > 0 && this.#bytes + report.bytes > room)) return this.#drop(report);
    this.#waiting.push(report);
    this.#bytes += report.bytes;
  }

  get #hasRoom(): boolean {
    return this.#running === 0 || this.#running < this.#options.atATime();
  }

  #tell({ told, request }: Report<T>): void {
    this.#running++;
    this.#options.hook(told, { request }).then(this.#ended, (failure: unknown) => {
      this.#options.logger?.error({ request_id: request.id }, String(failure));
      this.#ended();
    });
  }

  readonly #ended = (): void => {
    this.#running--;
    this.#goOn();
  };

  #goOn(): void {
    while (this.waiting > 0 && !this.#isResting && this.#hasRoom) {
      if (this.#burst === MAX_BURST) return this.#rest();
      this.#burst++;
      this.#tell(this.#take());
    }
    if (this.waiting === 0) this.#settled?.();
  }

  /** Plugins that answer at once would otherwise hold the thread for as long as reports come. */
  #rest(): void {
    this.#isResting = true;
    setImmediate(() => {
      this.#isResting = false;
      this.#burst = 0;
      this.#goOn();
    });
  }

  #take(): Report<T> {
    const report = this.#waiting[this.#head] as Report<T>;
    this.#waiting[this.#head++] = undefined;
    if (this.#head === this.#waiting.length || this.#head === MAX_GAP) {
      this.#waiting.splice(0, this.#head);
      this.#head = 0;
    }
    this.#bytes -= report.bytes;
    return report;
  }

  #drop({ request, bytes }: Report<T>): void {
    this.#dropped++;
    const { name, logger, maxBytes } = this.#options;
    const { code, message } = new MortiseError("MORTISE_GATEWAY_UNTOLD", { hook: name, size: bytes, waiting: this.#bytes, limit: maxBytes });
    logger?.error({ request_id: request.id, code }, message);
  }

  /** Reports that wait. */
  get waiting(): number {
    return this.#waiting.length - this.#head;
  }

  /** Reports that nobody was told. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Settled when none waits. Those that have begun are the host's. */
  async settled(): Promise<void> {
    if (this.waiting === 0) return;
    await new Promise<void>((resolve) => {
      this.#settled = resolve;
    });
  }

  /** Drops what waits, and lets nothing wait any more. */
  close(): void {
    this.#isClosed = true;
    while (this.waiting > 0) this.#drop(this.#take());
    this.#settled?.();
  }
}
