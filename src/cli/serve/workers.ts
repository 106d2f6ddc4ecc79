// Several processes that serve at one port: started, replaced when they die, asked for their metrics, and stopped.

import cluster, { type Worker } from "node:cluster";

import type { ServerLog } from "./log.ts";
import { mergeMetrics } from "./merge-metrics.ts";
import { type PrimaryMessage, WORKER_VARIABLE, type WorkerMessage } from "./worker-messages.ts";

/** What workers are started with. */
export interface WorkersOptions {
  readonly count: number;
  /** Port that all of them listen at; 0 is any that is free, and the same for all as long as one of them lives. */
  readonly port: number;
  readonly log: ServerLog;
}

/** Milliseconds before a worker is replaced: this first, twice as long each time that it dies again soon. */
const FIRST_WAIT_MS = 100;
const LAST_WAIT_MS = 30_000;
/** A worker that has lived as long dies for the first time again. */
const STEADY_MS = 60_000;
/** Milliseconds for workers to say what they have counted. */
const METRICS_MS = 2000;

interface Slot {
  readonly number: number;
  worker: Worker | undefined;
  startedAt: number;
  /** Times that it died soon, in a row. */
  deaths: number;
  timer: NodeJS.Timeout | undefined;
}

/** Workers. */
export class Workers {
  readonly #options: WorkersOptions;
  readonly #slots: readonly Slot[];
  /** The first one serves, or did: whoever dies from now on is replaced. */
  #hasStarted = false;
  #isStopping = false;
  #asked = 0;

  constructor(options: WorkersOptions) {
    this.#options = options;
    this.#slots = Array.from({ length: options.count }, (_none, index) => ({
      number: index + 1,
      worker: undefined,
      startedAt: 0,
      deaths: 0,
      timer: undefined,
    }));
  }

  /**
   * Starts the first one, and the others when that listens.
   *
   * @returns where they listen; or the exit code of the first one, if it could not be started
   */
  async start(): Promise<{ readonly url: string } | { readonly exitCode: number }> {
    const [first, ...others] = this.#slots;
    if (first === undefined) return { exitCode: 0 };
    const worker = this.#fork(first);
    const ready = await Promise.race([firstMessage(worker), exitOf(worker).then((code) => ({ kind: "ended" as const, exitCode: code ?? 1 }))]);
    if (ready.kind === "ended") return { exitCode: ready.exitCode };
    this.#hasStarted = true;
    await Promise.all(others.map(async (slot) => startOrEnd(this.#fork(slot))));
    return { url: ready.url };
  }

  #fork(slot: Slot): Worker {
    const worker = cluster.fork({ [WORKER_VARIABLE]: `${slot.number}:${this.#options.port}` });
    slot.worker = worker;
    slot.startedAt = performance.now();
    // Whoever speaks to a worker that has just died meets a broken pipe, node:cluster itself too; its end is told besides.
    worker.on("error", (error) => {
      this.#options.log.warn({ worker: slot.number, error: error.message }, "a worker cannot be reached");
      // One that could not be started has no other end.
      if (worker.process.pid === undefined) worker.emit("exit", 1, null);
    });
    worker.on("exit", (code: number | null, signal: NodeJS.Signals | null) => this.#ended(slot, code, signal));
    return worker;
  }

  #ended(slot: Slot, code: number | null, signal: NodeJS.Signals | null): void {
    slot.worker = undefined;
    if (this.#isStopping || !this.#hasStarted) return;
    slot.deaths = performance.now() - slot.startedAt >= STEADY_MS ? 0 : slot.deaths;
    const waitMs = Math.min(LAST_WAIT_MS, FIRST_WAIT_MS * 2 ** slot.deaths++);
    this.#options.log.error(
      { worker: slot.number, ...(signal === null ? { code } : { signal }), wait_ms: waitMs },
      "a worker has died, and is replaced",
    );
    slot.timer = setTimeout(() => this.#fork(slot), waitMs);
  }

  /** Has all workers read everything anew. */
  reload(): void {
    this.#tell({ kind: "reload" });
  }

  /** What all workers have counted. One that does not answer in time is left out. */
  async prometheus(): Promise<string> {
    const id = ++this.#asked;
    const texts = await Promise.all(
      this.#slots.map(async ({ number, worker }): Promise<[number, string] | undefined> => {
        const text = worker === undefined ? undefined : await metricsOf(worker, id);
        return text === undefined ? undefined : [number, text];
      }),
    );
    return mergeMetrics(new Map(texts.filter((each) => each !== undefined)));
  }

  /** Has all workers end what they do; settled when all have ended. */
  async drain(): Promise<void> {
    this.#isStopping = true;
    for (const { timer } of this.#slots) clearTimeout(timer);
    const running = this.#slots.flatMap(({ worker }) => worker ?? []);
    const ended = running.map((worker) => exitOf(worker));
    this.#tell({ kind: "drain" });
    await Promise.all(ended);
  }

  /** Ends all workers at once. */
  kill(): void {
    this.#isStopping = true;
    for (const { worker } of this.#slots) worker?.process.kill("SIGKILL");
  }

  #tell(message: PrimaryMessage): void {
    for (const { worker } of this.#slots) if (worker?.isConnected() === true) worker.send(message);
  }
}

type ReadyMessage = WorkerMessage & { readonly kind: "ready" };

/** What a worker says when it listens. */
function firstMessage(worker: Worker): Promise<ReadyMessage> {
  return new Promise((resolve) => {
    const hear = (message: WorkerMessage): void => {
      if (message.kind !== "ready") return;
      worker.off("message", hear);
      resolve(message);
    };
    worker.on("message", hear);
  });
}

/** The exit code; null if a signal ended it. An `error` before that is no end, as it would be to `once` of node:events. */
function exitOf(worker: Worker): Promise<number | null> {
  return new Promise((resolve) => void worker.once("exit", resolve));
}

async function startOrEnd(worker: Worker): Promise<void> {
  await Promise.race([firstMessage(worker), exitOf(worker)]);
}

/** Undefined if it does not say in time. */
function metricsOf(worker: Worker, id: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const settle = (text: string | undefined): void => {
      clearTimeout(timer);
      worker.off("message", hear);
      worker.off("exit", gone);
      resolve(text);
    };
    const hear = (message: WorkerMessage): void => {
      if (message.kind === "metrics" && message.id === id) settle(message.text);
    };
    const gone = (): void => settle(undefined);
    const timer = setTimeout(gone, METRICS_MS);
    worker.on("message", hear);
    worker.on("exit", gone);
    if (worker.isConnected()) worker.send({ kind: "metrics", id } satisfies PrimaryMessage);
    else gone();
  });
}
