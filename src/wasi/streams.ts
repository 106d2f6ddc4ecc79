// Standard streams: input that a user gives, output that a user takes.

import { ERRNO, fail } from "./errno.ts";
import type { GuestMemory } from "./guest-memory.ts";
import { type IoVectors, MAX_TRANSFER } from "./io-vectors.ts";

/** Standard input that comes as it is asked for. */
export interface LiveInput {
  /**
   * Bytes, `maxBytes` at most; none are the end. While a promise of it is waited for, it is not asked again.
   */
  read(maxBytes: number): Uint8Array | Promise<Uint8Array>;
}

/** Where input comes from. */
export interface Input {
  /** Bytes that are here, none if they have ended; or a promise that is fulfilled when it is worth asking again. */
  ask(maxBytes: number): Uint8Array | Promise<void>;
  /** So many of the bytes were read. */
  taken(count: number): void;
}

/** What a guest reads from or writes to. */
export interface Stream {
  readonly input?: Input;
  /** Takes what is in buffers, and returns how many bytes. */
  write?(memory: GuestMemory, vectors: IoVectors): number;
}

/** Input that is known from the start; each instance reads it from the beginning. */
export function fixedInput(bytes: Uint8Array): Input {
  let position = 0;
  return {
    ask: (maxBytes) => bytes.subarray(position, position + maxBytes),
    taken: (count) => {
      position += count;
    },
  };
}

/** A live input, and what came of it that no guest has read yet. Shared by all instances of a plugin. */
export class InputBuffer implements Input {
  readonly #source: LiveInput;
  /** Came and was not read; an empty one is the end, to be told once. */
  #ready: Uint8Array | undefined;
  #failure: { readonly error: unknown } | undefined;
  #pending: Promise<void> | undefined;

  constructor(source: LiveInput) {
    this.#source = source;
  }

  ask(maxBytes: number): Uint8Array | Promise<void> {
    if (this.#failure !== undefined) {
      const { error } = this.#failure;
      this.#failure = undefined;
      throw error;
    }
    if (this.#ready !== undefined) return this.#ready;
    if (this.#pending !== undefined) return this.#pending;
    const answer = this.#source.read(maxBytes);
    if (answer instanceof Uint8Array) return (this.#ready = answer);
    return (this.#pending = this.#receive(answer));
  }

  async #receive(promise: Promise<Uint8Array>): Promise<void> {
    try {
      const bytes: unknown = await promise;
      if (!(bytes instanceof Uint8Array)) throw new TypeError("wasi.stdin.read returned no bytes");
      this.#ready = bytes;
    } catch (error) {
      this.#failure = { error };
    }
    this.#pending = undefined;
  }

  taken(count: number): void {
    const rest = this.#ready?.subarray(count);
    this.#ready = rest === undefined || rest.length === 0 ? undefined : rest;
  }
}

/** What may be written to standard output and standard error together during one call. */
export class OutputBudget {
  readonly #maxBytes: number;
  #left: number;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
    this.#left = maxBytes;
  }

  restart(): void {
    this.#left = this.#maxBytes;
  }

  get left(): number {
    return this.#left;
  }

  spend(bytes: number): void {
    this.#left -= bytes;
  }
}

/**
 * Output that a function takes. What is over the budget is cut off; once it is used up, writing fails with `nospc`.
 * Without a function it is dropped, whatever its length.
 */
export function output(sink: ((bytes: Uint8Array) => void) | undefined, budget: OutputBudget): Stream {
  return {
    write: (memory, vectors) => {
      if (sink === undefined || vectors.total === 0) return vectors.total;
      if (budget.left <= 0) fail(ERRNO.nospc);
      const bytes = vectors.gather(memory, Math.min(budget.left, MAX_TRANSFER));
      budget.spend(bytes.length);
      sink(bytes);
      return bytes.length;
    },
  };
}
