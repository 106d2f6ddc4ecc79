// Where entries are kept for good: written in the background, in order, and chained as they are written.

import { MortiseError, isMortiseError } from "../../api/errors.ts";
import { type AuditRecord, CHAIN_START, type ChainedLine, lineOf } from "./entry.ts";

/** What a sink writes to. */
export interface AuditStorage {
  /** Name for messages. */
  readonly name: string;
  /** Opens it, and says where its chain ends, and what a crash has left of an entry. */
  open(): Promise<{ readonly head: ChainEnd; readonly cutBytes: number }>;
  /** Writes lines, all or none of them. */
  write(lines: readonly ChainedLine[]): Promise<void>;
  /** Makes what was written outlast a crash of the machine. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** The last entry of a chain. */
export interface ChainEnd {
  readonly seq: number;
  readonly hash: string;
}

/** How a sink works. */
export interface SinkOptions {
  /** Key for the hashes; without one, who can write the log can make a whole chain anew. @default none */
  readonly key?: string | undefined;
  /** Records that wait to be written; more are dropped and counted. @default 10,000 */
  readonly maxQueue?: number;
  /** Told of what could not be written: once when writing begins to fail, and for the records that were lost. @default a warning of the process */
  readonly onError?: (error: MortiseError) => void;
}

/** What a sink has done. */
export interface SinkStats {
  readonly written: number;
  /** Records that were dropped since too many waited, or since the sink was closed while it could not write. */
  readonly lost: number;
  /** Attempts to write that failed; what they were to write is tried again. */
  readonly failures: number;
  /** Records that wait. */
  readonly waiting: number;
  /** Last entry that was written. */
  readonly head: ChainEnd;
}

const MAX_QUEUE = 10_000;
/** Records that are written at once. */
const MAX_BATCH = 256;
/** Milliseconds until writing is tried again. */
const RETRY_MS = 1000;

/** Writes records to a storage. Nothing here waits for it but {@link flush} and {@link close}. */
export class AuditSink {
  readonly #storage: AuditStorage;
  readonly #key: string | undefined;
  readonly #maxQueue: number;
  readonly #onError: (error: MortiseError) => void;
  readonly #now: () => string;
  #queue: AuditRecord[] = [];
  #end: ChainEnd = CHAIN_START;
  #opened = false;
  #closed = false;
  #working: Promise<void> | undefined;
  #retry: NodeJS.Timeout | undefined;
  #failing = false;
  #written = 0;
  #lost = 0;
  /** Records that were lost behind those that wait. */
  #unsaid = 0;
  #failures = 0;

  /** @param now time of day as ISO 8601 */
  constructor(storage: AuditStorage, { key, maxQueue = MAX_QUEUE, onError = warn }: SinkOptions, now: () => string) {
    this.#storage = storage;
    this.#key = key;
    this.#maxQueue = maxQueue;
    this.#onError = onError;
    this.#now = now;
  }

  /** Opens the storage. @throws MortiseError MORTISE_AUDIT_UNREADABLE */
  async open(): Promise<void> {
    const { head, cutBytes } = await this.#storage.open();
    this.#end = head;
    this.#opened = true;
    if (cutBytes > 0)
      this.add({ kind: "recovered", time: this.#now(), count: cutBytes, reason: "bytes of an entry that a crash had cut off were removed" });
  }

  /** Queues a record; never waits, never throws. */
  add(record: AuditRecord): void {
    if (this.#closed || this.#queue.length >= this.#maxQueue) {
      this.#lose(1);
      return;
    }
    this.#queue.push(record);
    this.#wake();
  }

  #lose(count: number): void {
    this.#lost += count;
    if (this.#unsaid === 0) this.#tell(`records are lost: ${this.#queue.length} wait already`);
    this.#unsaid += count;
  }

  #wake(): void {
    if (!this.#opened || this.#working !== undefined || this.#retry !== undefined) return;
    this.#working = this.#work().finally(() => {
      this.#working = undefined;
      if (this.#queue.length > 0) this.#wake();
    });
  }

  async #work(): Promise<void> {
    // What is decided in the same turn is written together.
    await Promise.resolve();
    while (this.#queue.length > 0) if (!(await this.#writeBatch())) return;
  }

  async #writeBatch(): Promise<boolean> {
    const batch = this.#queue.slice(0, MAX_BATCH);
    const lines: ChainedLine[] = [];
    let end = this.#end;
    for (const record of batch) lines.push((end = lineOf(record, end, this.#key)));
    try {
      await this.#storage.write(lines);
    } catch (error) {
      this.#failed(error);
      return false;
    }
    this.#end = { seq: end.seq, hash: end.hash };
    this.#queue.splice(0, batch.length);
    this.#written += batch.length;
    // Now there is room again: what is added next comes after those that were lost.
    if (this.#unsaid > 0) this.#queue.push({ kind: "lost", time: this.#now(), count: this.#unsaid, reason: "too many entries waited to be written" });
    this.#unsaid = 0;
    this.#failing = false;
    return true;
  }

  #failed(error: unknown): void {
    this.#failures++;
    if (!this.#failing) this.#tell(error instanceof Error ? error.message : String(error), error);
    this.#failing = true;
    if (this.#closed) return;
    this.#retry = setTimeout(() => {
      this.#retry = undefined;
      this.#wake();
    }, RETRY_MS).unref();
  }

  #tell(reason: string, cause?: unknown): void {
    try {
      this.#onError(isMortiseError(cause) ? cause : new MortiseError("MORTISE_AUDIT_FAILED", { sink: this.#storage.name, reason }, cause));
    } catch {
      // Whoever is told has trouble of their own; the entries go on.
    }
  }

  /** Waits until everything that was added is written, and on its disk. @throws MortiseError MORTISE_AUDIT_FAILED if it cannot be */
  async flush(): Promise<void> {
    const failures = this.#failures;
    clearTimeout(this.#retry);
    this.#retry = undefined;
    this.#wake();
    while (this.#working !== undefined) {
      await this.#working;
      if (this.#failures > failures)
        throw new MortiseError("MORTISE_AUDIT_FAILED", { sink: this.#storage.name, reason: `${this.#queue.length} entries could not be written` });
    }
    await this.#storage.sync();
  }

  /** Writes what waits, if that is possible at once, and closes the storage. */
  async close(): Promise<void> {
    if (this.#closed) return;
    try {
      await this.flush();
    } catch {
      // It was told of already; what is still waiting is lost, and counted.
    }
    this.#closed = true;
    clearTimeout(this.#retry);
    const left = this.#queue.splice(0).filter(({ kind }) => kind !== "lost").length;
    if (left > 0) this.#lose(left);
    await this.#storage.close();
  }

  stats(): SinkStats {
    const { seq, hash } = this.#end;
    return { written: this.#written, lost: this.#lost, failures: this.#failures, waiting: this.#queue.length, head: { seq, hash } };
  }
}

function warn(error: MortiseError): void {
  process.emitWarning(error.message, { code: error.code });
}
