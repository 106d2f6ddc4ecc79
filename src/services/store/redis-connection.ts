// The way to a Redis server: commands that answer or fail in time, and a connection that comes back by itself.

import { MAX_RETRY_MS, type OwnRedisClient, type RedisClient, redisReason } from "./redis-client.ts";
import { closedStore, unavailable } from "./unavailable.ts";

/** What a command is sent with. */
export interface CommandOptions {
  /** Milliseconds that its answer may take. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** Options of a connection. */
export interface ConnectionOptions {
  /** Milliseconds that an attempt to connect may take. */
  readonly connectTimeoutMs: number;
  /** Commands that may wait for an answer. */
  readonly maxPending: number;
  /** Monotonic clock in milliseconds. */
  readonly clock: () => number;
}

/** Bytes of commands that may wait for an answer: what the server does not take stays in this process. */
const MAX_PENDING_BYTES = 256 << 20;
/** Replies come as bytes: 36 is the sign of strings in the protocol. */
const AS_BYTES = { typeMapping: { 36: Buffer } } as const;

/** Commands of one client that wait for an answer. */
interface Pending {
  commands: number;
  bytes: number;
}

/** Sends commands over a client of the application's, or over one of its own. */
export class RedisConnection {
  readonly #make: (() => OwnRedisClient) | undefined;
  readonly #options: ConnectionOptions;
  #client: RedisClient;
  /** Ends the client if it is our own. */
  #end: () => void = () => {};
  #pending: Pending = { commands: 0, bytes: 0 };
  /** When the client last gave a sign of life. */
  #heardAt: number;
  #closed = false;
  readonly #heard = (): void => {
    this.#heardAt = this.#options.clock();
  };

  private constructor(client: RedisClient | (() => OwnRedisClient), options: ConnectionOptions) {
    this.#options = options;
    this.#heardAt = options.clock();
    if (typeof client === "function") {
      this.#make = client;
      this.#client = this.#open(client);
    } else {
      this.#client = client;
      // A client without a listener for errors ends the process at the first one.
      client.on("error", this.#heard);
      this.#end = () => client.off("error", this.#heard);
    }
  }

  /** Over a client that the application connects and closes. */
  static over(client: RedisClient, options: ConnectionOptions): RedisConnection {
    return new RedisConnection(client, options);
  }

  /** Over a client of its own. @throws MortiseError MORTISE_STORE_UNAVAILABLE if the server cannot be reached now */
  static async connect(make: () => OwnRedisClient, options: ConnectionOptions): Promise<RedisConnection> {
    const connection = new RedisConnection(make, options);
    try {
      await connection.#ready();
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  /**
   * Sends a command and gives its reply, texts as bytes.
   *
   * @throws MortiseError MORTISE_STORE_UNAVAILABLE at once if there is no connection, and when the time is over
   * @throws Error with what the server answered
   */
  async send(args: readonly (string | Buffer)[], { timeoutMs, signal }: CommandOptions): Promise<unknown> {
    if (this.#closed) throw closedStore("redis");
    if (signal?.aborted === true) throw aborted(signal);
    if (!this.#client.isReady) {
      // A server may take a connection and then say nothing, for which the client itself would wait for good.
      this.#replaceAfter(2 * this.#options.connectTimeoutMs + MAX_RETRY_MS);
      throw unavailable("redis", "there is no connection to the server");
    }
    const reply = this.#track(args);
    const { promise: ended, reject } = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      reject(silent());
      this.#replaceAfter(timeoutMs);
    }, timeoutMs);
    const abort = (): void => reject(aborted(signal));
    signal?.addEventListener("abort", abort, { once: true });
    try {
      return await Promise.race([reply, ended]);
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  close(): void {
    this.#closed = true;
    this.#end();
  }

  /** Counts a command until it is answered, and sends it. */
  #track(args: readonly (string | Buffer)[]): Promise<unknown> {
    const pending = this.#pending;
    const bytes = args.reduce((sum, arg) => sum + arg.length, 0);
    if (pending.commands >= this.#options.maxPending || (pending.commands > 0 && pending.bytes + bytes > MAX_PENDING_BYTES))
      throw unavailable("redis", `${pending.commands} commands wait for the server already`);
    pending.commands++;
    pending.bytes += bytes;
    const settle = (): void => {
      pending.commands--;
      pending.bytes -= bytes;
      if (pending === this.#pending) this.#heard();
    };
    const reply = this.#client.sendCommand(args, AS_BYTES);
    reply.then(settle, settle);
    return reply.catch((error: unknown) => {
      if (this.#closed) throw closedStore("redis");
      if (pending !== this.#pending) throw silent(error);
      // What the server answers has no code of the system.
      if (this.#client.isReady && !(error instanceof Error && "code" in error)) throw error;
      throw unavailable("redis", `the connection was lost: ${redisReason(error)}`, error);
    });
  }

  #open(make: () => OwnRedisClient): OwnRedisClient {
    const client = make();
    for (const event of ["error", "connect", "ready", "reconnecting"]) client.on(event, this.#heard);
    // Whether it succeeds is seen by its events.
    client.connect().catch(this.#heard);
    this.#end = () => client.destroy();
    return client;
  }

  /** Starts anew with another client if this one has been silent for so long. */
  #replaceAfter(silenceMs: number): void {
    if (this.#make === undefined || this.#closed || this.#options.clock() - this.#heardAt < silenceMs) return;
    this.#end();
    this.#pending = { commands: 0, bytes: 0 };
    this.#client = this.#open(this.#make);
    this.#heard();
  }

  /** Settles when the first attempt to connect has. */
  async #ready(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const client = this.#client;
    const fail = (error: unknown): void => reject(unavailable("redis", `connecting failed: ${redisReason(error)}`, error));
    const { connectTimeoutMs } = this.#options;
    const timer = setTimeout(() => reject(unavailable("redis", `there was no connection within ${connectTimeoutMs} ms`)), connectTimeoutMs);
    const succeed = (): void => resolve();
    client.on("ready", succeed);
    client.on("error", fail);
    try {
      await promise;
    } finally {
      clearTimeout(timer);
      client.off("ready", succeed);
      client.off("error", fail);
    }
  }
}

function silent(cause?: unknown): Error {
  return unavailable("redis", "the server did not answer in time", cause);
}

function aborted(signal: AbortSignal | undefined): Error {
  return unavailable("redis", "the caller aborted it", signal?.reason);
}
