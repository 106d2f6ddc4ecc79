// Runs plugins in worker threads: packets over a message port, wake-ups over shared memory.

import { MessageChannel, type MessagePort, Worker, receiveMessageOnPort } from "node:worker_threads";

import { printable } from "../api/errors.ts";
import { childEntry } from "./child-entry.ts";
import type { Loss, Place, PlaceConfig, PlaceListener } from "./place.ts";
import type { Order, Section } from "./protocol.ts";
import type { RawPacket } from "./report.ts";
import { type ThreadStart, WORDS, movable } from "./thread-shared.ts";

const MIB = 1 << 20;

/**
 * Starts a thread; it reports `booted` when it is up.
 *
 * @param entry the module that it runs; for tests
 */
export function startThread(config: PlaceConfig, entry: URL = childEntry("thread")): Place {
  return new ThreadPlace(config, entry);
}

class ThreadPlace implements Place {
  readonly kind = "thread";
  readonly exited: Promise<void>;
  over = false;
  readonly #worker: Worker;
  readonly #port: MessagePort;
  readonly #words = new Int32Array(new SharedArrayBuffer(64));
  #listener: PlaceListener | undefined;
  #failure: Loss | undefined;

  constructor(config: PlaceConfig, entry: URL) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const start: ThreadStart = { port: port2, words: this.#words };
    this.#worker = new Worker(entry, {
      name: "mortise",
      workerData: start,
      transferList: [port2],
      // Nothing of how this process was started, and nothing of its environment, is a plugin's business.
      argv: [],
      env: {},
      execArgv: [],
      stdin: false,
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: Math.ceil(config.heapBytes / MIB) },
    });
    this.exited = new Promise((resolve) => {
      this.#worker.once("exit", (code) => {
        this.#lose(this.#failure ?? { reason: `it exited with code ${code}`, outOfMemory: false });
        resolve();
      });
    });
    this.#worker.once("error", (error: unknown) => {
      const outOfMemory = (error as NodeJS.ErrnoException | undefined)?.code === "ERR_WORKER_OUT_OF_MEMORY";
      this.#failure = { reason: outOfMemory ? "it ran out of memory" : printable(error instanceof Error ? error.message : error), outOfMemory };
    });
    port1.on("message", (message: unknown) => this.#receive(message));
    this.release();
  }

  listen(listener: PlaceListener): void {
    this.#listener = listener;
  }

  send(order: Order, sections: readonly Section[] = NONE): void {
    if (this.over) return;
    this.#port.postMessage([JSON.stringify(order), ...sections], movable(sections));
    Atomics.add(this.#words, WORDS.toChild, 1);
    Atomics.notify(this.#words, WORDS.toChild);
  }

  exchange(order: Order, sections: readonly Section[], stallMs: number): RawPacket | undefined {
    // The thread waits for an answer, so that nothing else can be under way on the port.
    let seen = Atomics.load(this.#words, WORDS.toHost);
    this.send(order, sections);
    const end = performance.now() + stallMs;
    for (;;) {
      if (Atomics.load(this.#words, WORDS.toHost) !== seen) {
        const received: { message: unknown } | undefined = receiveMessageOnPort(this.#port);
        if (received !== undefined) return toPacket(received.message);
        seen = Atomics.load(this.#words, WORDS.toHost);
      }
      const left = end - performance.now();
      if (left <= 0) return undefined;
      // At once, without spinning: on a busy machine that takes the processor from the one that is waited for.
      Atomics.wait(this.#words, WORDS.toHost, seen, left);
    }
  }

  interrupt(id: number): boolean {
    Atomics.store(this.#words, WORDS.interrupt, id | 0);
    return true;
  }

  hold(): void {
    this.#worker.ref();
  }

  release(): void {
    this.#port.unref();
    this.#worker.unref();
  }

  kill(): void {
    this.over = true;
    this.#listener = undefined;
    this.#port.close();
    void this.#worker.terminate();
  }

  #receive(message: unknown): void {
    if (this.over) return;
    const packet = toPacket(message);
    if (packet !== undefined) this.#listener?.onPacket(packet);
  }

  #lose(loss: Loss): void {
    if (this.over) return;
    this.over = true;
    // What the thread sent before it ended comes first.
    for (let received = receiveMessageOnPort(this.#port); received !== undefined; received = receiveMessageOnPort(this.#port)) {
      const packet = toPacket(received.message);
      if (packet !== undefined) this.#listener?.onPacket(packet);
    }
    this.#port.close();
    this.#listener?.onLoss(loss);
  }
}

const NONE: readonly Section[] = [];

function toPacket(message: unknown): RawPacket | undefined {
  if (!Array.isArray(message) || typeof message[0] !== "string") return undefined;
  return { header: JSON.parse(message[0]), sections: message.slice(1) as Section[] };
}
