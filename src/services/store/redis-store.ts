// Keys and values on a Redis server, which any number of machines can share.

import { isMortiseError } from "../../api/errors.ts";
import { invalidOption } from "../../api/limits.ts";
import type { Store, StoreUsage, WriteOptions } from "../../api/store.ts";
import { type ListOptions, byteRange, checkList, checkName, checkNamespace, checkValue, checkedTtl } from "./arguments.ts";
import { fits64, notANumber } from "./decimal.ts";
import { checkQuota, excessOver, quotaError } from "./quota.ts";
import { type RedisClient, redisClients, redisReason } from "./redis-client.ts";
import { type ConnectionOptions, RedisConnection } from "./redis-connection.ts";
import { REPLY, type RedisScript, SCRIPTS } from "./redis-scripts.ts";
import { unavailable } from "./unavailable.ts";

/** Options of {@link createRedisStore}; either `url` or `client`. */
export interface RedisStoreOptions {
  /** Server, such as `redis://user:password@localhost:6379/0`, `rediss://…` or `unix:///run/redis.sock`. */
  readonly url?: string;
  /** A client that the application has made with `@redis/client`, connects and closes; it should have no offline queue. */
  readonly client?: RedisClient;
  /** What all names on the server begin with; without braces, which mean something to clusters. @default "mortise:" */
  readonly prefix?: string;
  /** Milliseconds that an operation may take. @default 1000 */
  readonly timeoutMs?: number;
  /** Milliseconds that connecting may take. @default 5000 */
  readonly connectTimeoutMs?: number;
  /** Commands that may wait for an answer at a time; more fail at once. @default 4096 */
  readonly maxPending?: number;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** A store on a Redis server; all of its answers are promises. */
export interface RedisStore extends Store {
  get(namespace: string, key: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined>;
  set(namespace: string, key: string, value: Uint8Array, options?: WriteOptions): Promise<void>;
  delete(namespace: string, key: string, signal?: AbortSignal): Promise<boolean>;
  list(namespace: string, options: ListOptions): Promise<string[]>;
  compareAndSet(
    namespace: string,
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
    options?: WriteOptions,
  ): Promise<boolean>;
  increment(namespace: string, key: string, delta: bigint, options?: WriteOptions): Promise<bigint>;
  usage(namespace: string, signal?: AbortSignal): Promise<StoreUsage>;
  clear(namespace: string, signal?: AbortSignal): Promise<void>;
}

/**
 * Makes a store on a Redis server, 6.2 or newer. With `url` it connects now, and again by itself whenever it has to.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION; MORTISE_STORE_UNAVAILABLE if there is no `@redis/client`, or the server cannot be reached
 */
export async function createRedisStore(options: RedisStoreOptions): Promise<RedisStore> {
  const { url, client, prefix = "mortise:", clock = (): number => performance.now() } = options;
  if (typeof prefix !== "string" || !/^[^{}]*$/.test(prefix) || !prefix.isWellFormed())
    throw invalidOption("prefix", JSON.stringify(prefix), "text without braces");
  const timeoutMs = readNumber(options, "timeoutMs", 1000);
  const settings = { connectTimeoutMs: readNumber(options, "connectTimeoutMs", 5000), maxPending: readNumber(options, "maxPending", 4096), clock };
  if ((url === undefined) === (client === undefined))
    throw invalidOption("url", url === undefined ? "absent" : "given beside client", "given, or client");
  return new Redis(await connect(url, client, settings), prefix, timeoutMs, clock);
}

async function connect(url: string | undefined, client: RedisClient | undefined, settings: ConnectionOptions): Promise<RedisConnection> {
  if (client !== undefined) return RedisConnection.over(client, settings);
  return RedisConnection.connect(await redisClients(url ?? "", settings.connectTimeoutMs), settings);
}

function readNumber(options: RedisStoreOptions, name: "timeoutMs" | "connectTimeoutMs" | "maxPending", standard: number): number {
  const value = options[name] ?? standard;
  if (!(Number.isSafeInteger(value) && value > 0 && value < 2 ** 31)) throw invalidOption(name, String(value), "a whole number, 1 or more");
  return value;
}

type Argument = string | Buffer;
/** Sends a command within what is left of an operation's time. */
type Send = (args: readonly Argument[]) => Promise<unknown>;

class Redis implements RedisStore {
  readonly kind = "redis";
  readonly #connection: RedisConnection;
  readonly #prefix: string;
  readonly #timeoutMs: number;
  readonly #clock: () => number;

  constructor(connection: RedisConnection, prefix: string, timeoutMs: number, clock: () => number) {
    this.#connection = connection;
    this.#prefix = prefix;
    this.#timeoutMs = timeoutMs;
    this.#clock = clock;
  }

  async get(namespace: string, key: string, signal?: AbortSignal): Promise<Uint8Array<ArrayBuffer> | undefined> {
    checkName(namespace, key);
    const value = await this.#operate(signal, (send) => send(["GET", `${this.#root(namespace)}:v:${key}`]));
    // A copy: the client may have cut it out of something larger.
    return value instanceof Uint8Array ? new Uint8Array(value) : undefined;
  }

  async set(namespace: string, key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    await this.#write(namespace, key, value, options, ["any"]);
  }

  async delete(namespace: string, key: string, signal?: AbortSignal): Promise<boolean> {
    checkName(namespace, key);
    const [result] = await this.#run(SCRIPTS.remove, namespace, key, ["any"], signal);
    return result === REPLY.done;
  }

  async list(namespace: string, options: ListOptions): Promise<string[]> {
    checkNamespace(namespace);
    const { prefix, from, limit } = checkList(options);
    const { least, end } = byteRange(prefix, from);
    const to = Buffer.concat([Buffer.from("("), end]);
    const keys: string[] = [];
    return this.#operate(options.signal, async (send) => {
      let next: Buffer = Buffer.concat([Buffer.from("["), least]);
      while (keys.length < limit && next.length > 0) {
        // Keys that expired a moment ago are left out, so that it may take more than one turn.
        const [, rest, ...found] = await this.#evaluate(send, SCRIPTS.list, namespace, undefined, [next, to, String(limit - keys.length)]);
        keys.push(...found.map(String));
        next = rest as Buffer;
      }
      return keys;
    });
  }

  async compareAndSet(
    namespace: string,
    key: string,
    expected: Uint8Array | undefined,
    value: Uint8Array | undefined,
    options: WriteOptions = {},
  ): Promise<boolean> {
    checkName(namespace, key);
    const condition: Argument[] = expected === undefined ? ["absent"] : ["equal", Buffer.from(expected)];
    if (value !== undefined) return this.#write(namespace, key, value, options, condition);
    const [result] = await this.#run(SCRIPTS.remove, namespace, key, condition, options.signal);
    return result === REPLY.done;
  }

  async increment(namespace: string, key: string, delta: bigint, options: WriteOptions = {}): Promise<bigint> {
    checkName(namespace, key);
    if (!fits64(delta)) throw notANumber(this.kind, namespace, key, "range");
    const [result, ...rest] = await this.#run(SCRIPTS.increment, namespace, key, [String(delta), ...limitsOf(key, options)], options.signal);
    if (result === REPLY.none || result === REPLY.range) throw notANumber(this.kind, namespace, key, result === REPLY.none ? "none" : "range");
    this.#checkQuota(namespace, key, options, result, rest);
    return BigInt(String(rest[0]));
  }

  async usage(namespace: string, signal?: AbortSignal): Promise<StoreUsage> {
    checkNamespace(namespace);
    const [, keys, bytes] = await this.#run(SCRIPTS.usage, namespace, undefined, [], signal);
    return { keys: Number(keys), bytes: Number(bytes) };
  }

  async clear(namespace: string, signal?: AbortSignal): Promise<void> {
    checkNamespace(namespace);
    await this.#run(SCRIPTS.clear, namespace, undefined, [], signal);
  }

  close(): Promise<void> {
    this.#connection.close();
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** What names of a namespace begin with: the part in braces decides where a cluster keeps them, so that all are in one place. */
  #root(namespace: string): string {
    return `${this.#prefix}{${encodeURIComponent(namespace)}}`;
  }

  async #write(namespace: string, key: string, value: Uint8Array, options: WriteOptions, condition: readonly Argument[]): Promise<boolean> {
    checkName(namespace, key);
    checkValue(value);
    // The bytes are copied: they are sent later, and whoever gave them goes on using them.
    const args = [Buffer.from(value), ...limitsOf(key, options), ...condition];
    const [result, ...rest] = await this.#run(SCRIPTS.set, namespace, key, args, options.signal);
    this.#checkQuota(namespace, key, options, result, rest);
    return result === REPLY.done;
  }

  #checkQuota(namespace: string, key: string, { quota }: WriteOptions, result: unknown, [keys, bytes]: readonly unknown[]): void {
    if (result !== REPLY.quota) return;
    const excess = excessOver(quota, { keys: Number(keys), bytes: Number(bytes) });
    if (excess !== undefined) throw quotaError(this.kind, namespace, key, excess);
  }

  /** Runs a script, again for as long as it asks for it. */
  #run(script: RedisScript, namespace: string, key: string | undefined, args: readonly Argument[], signal?: AbortSignal): Promise<unknown[]> {
    return this.#operate(signal, async (send) => {
      for (;;) {
        const reply = await this.#evaluate(send, script, namespace, key, args);
        if (reply[0] !== REPLY.again) return reply;
      }
    });
  }

  async #evaluate(send: Send, { sha, text }: RedisScript, namespace: string, key: string | undefined, args: readonly Argument[]): Promise<unknown[]> {
    const root = this.#root(namespace);
    const books = [`${root}:sizes`, `${root}:index`, `${root}:expiries`, `${root}:total`];
    const values = `${root}:v:`;
    const rest = key === undefined ? ["4", ...books, values, ...args] : ["5", ...books, values + key, values, key, ...args];
    const reply = await send(["EVALSHA", sha, ...rest]).catch((error: unknown) => {
      if (!redisReason(error).startsWith("NOSCRIPT")) throw error;
      return send(["EVAL", text, ...rest]);
    });
    if (!Array.isArray(reply)) throw unavailable(this.kind, "the server gave an answer that makes no sense");
    return reply;
  }

  /** Gives all commands of an operation one deadline, and its failures a code. */
  async #operate<Result>(signal: AbortSignal | undefined, work: (send: Send) => Promise<Result>): Promise<Result> {
    const end = this.#clock() + this.#timeoutMs;
    try {
      return await work((args) => this.#connection.send(args, { timeoutMs: Math.max(0, end - this.#clock()), signal }));
    } catch (error) {
      throw isMortiseError(error) ? error : unavailable(this.kind, redisReason(error), error);
    }
  }
}

/** More than any namespace holds, in a form that every Lua reads. */
const NO_LIMIT = "1e300";

/** A write's limits, in the order in which scripts take them; the largest stands for none. */
function limitsOf(key: string, { ttlMs, quota }: WriteOptions): string[] {
  checkQuota(quota);
  const limit = (most: number | undefined): string => (most === undefined || most === Number.POSITIVE_INFINITY ? NO_LIMIT : String(most));
  return [String(Buffer.byteLength(key)), String(checkedTtl(ttlMs) ?? ""), limit(quota?.maxKeys), limit(quota?.maxBytes)];
}
