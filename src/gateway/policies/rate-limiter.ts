// How many requests and tokens a client may use in a window of time; counted in a store, which several processes may share.

import { MortiseError, type Store, isMortiseError } from "mortise";

import { checkKeys, checkWhole, invalidOption } from "./check-options.ts";

type Awaitable<T> = T | Promise<T>;

/** What may be used in one window. Windows begin at multiples of their length since 1970, for all processes alike. */
export interface RateLimit {
  /** Requests that are let in. @default unlimited */
  readonly requests?: number | undefined;
  /** Of input and output together. @default unlimited */
  readonly tokens?: number | undefined;
  /** Milliseconds, up to 31 days. @default 60,000 */
  readonly windowMs?: number | undefined;
}

export interface RateLimiterOptions {
  /** Where is counted; processes that share it share the limits. */
  readonly store: Store;
  /** For clients without limits of their own. @default none */
  readonly limits?: readonly RateLimit[] | undefined;
  /** By name of the client. @default none */
  readonly clients?: Readonly<Record<string, readonly RateLimit[]>> | undefined;
  /** What becomes of requests when the store cannot be used: refused, or let in uncounted. @default "closed" */
  readonly onStoreFailure?: "closed" | "open" | undefined;
  /** Is told of failures of the store that nobody else hears of. @default the gateway's log */
  readonly onError?: ((error: unknown) => void) | undefined;
  /** Milliseconds since 1970. @default Date.now */
  readonly clock?: (() => number) | undefined;
}

/** Namespace in the store. */
const NAMESPACE = "gateway:rates";
const DEFAULT_WINDOW_MS = 60_000;
const MAX_WINDOW_MS = 31 * 86_400_000;
const MAX_LIMIT = 1_000_000_000_000;

/** One number that is counted. */
interface Counted {
  readonly unit: "requests" | "tokens";
  readonly limit: number;
  readonly windowMs: number;
}

/** Where a counter stands. */
interface Standing extends Counted {
  /** With this request. */
  readonly used: number;
  /** End of the window. */
  readonly endsAt: number;
}

/** A request that was let in. */
export interface Admission {
  /** `x-ratelimit-*`, of the window that is nearest to its limit, in OpenAI's form; none for a client without limits. */
  readonly headers: Readonly<Record<string, string>>;
  /** Counts what was used, in place of the estimate. Never fails: failures of the store go to `onError`. */
  settle(tokens: number): Awaitable<void>;
}

const UNLIMITED: Admission = { headers: {}, settle: () => undefined };

/** Counts what clients use. */
export class RateLimiter {
  readonly #store: Store;
  readonly #clock: () => number;
  readonly #open: boolean;
  readonly #onError: (error: unknown) => void;
  readonly #common: readonly Counted[];
  readonly #own: ReadonlyMap<string, readonly Counted[]>;

  /** @throws MortiseError MORTISE_INVALID_OPTION */
  constructor(options: RateLimiterOptions) {
    checkKeys(options, "rateLimits", ["store", "limits", "clients", "onStoreFailure", "onError", "clock"]);
    const { store, limits = [], clients = {}, onStoreFailure = "closed", onError = (): void => undefined, clock = Date.now } = options;
    if (typeof (store as Partial<Store> | undefined)?.increment !== "function") throw invalidOption("rateLimits.store", typeof store, "a store");
    if (onStoreFailure !== "closed" && onStoreFailure !== "open")
      throw invalidOption("rateLimits.onStoreFailure", String(onStoreFailure), '"closed" or "open"');
    this.#store = store;
    this.#clock = clock;
    this.#open = onStoreFailure === "open";
    this.#onError = onError;
    this.#common = readLimits(limits, "rateLimits.limits");
    this.#own = new Map(Object.entries(clients).map(([name, own]) => [name, readLimits(own, `rateLimits.clients.${name}`)]));
  }

  /**
   * Lets a request in, at once where the store answers at once. What a refused request counted is taken back.
   *
   * @param client its name, never its key; `tokens` is an estimate that `settle` corrects, so that requests under way count
   * @throws MortiseError MORTISE_GATEWAY_RATE_LIMIT with `retryAfterMs` and `headers`; MORTISE_STORE_UNAVAILABLE where that refuses
   */
  admit(client: string, { tokens = 0, signal }: { readonly tokens?: number; readonly signal?: AbortSignal } = {}): Awaitable<Admission> {
    const counted = this.#own.get(client) ?? this.#common;
    if (counted.length === 0) return UNLIMITED;
    const now = this.#clock();
    const estimate = Number.isSafeInteger(tokens) && tokens > 0 ? tokens : 0;
    try {
      const sums = counted.map((each) => this.#add(client, each, chargeOf(each, estimate), now, signal));
      if (sums.some((sum) => sum instanceof Promise)) return this.#later(client, counted, estimate, now, sums);
      return this.#decide(client, counted, estimate, now, sums as bigint[]);
    } catch (error) {
      return this.#unavailable(error);
    }
  }

  async #later(client: string, counted: readonly Counted[], estimate: number, now: number, sums: readonly Awaitable<bigint>[]): Promise<Admission> {
    // All have ended before anything is decided, so that what is taken back was counted.
    const settled = await Promise.allSettled(sums.map((sum) => Promise.resolve(sum)));
    const failed = settled.find((each) => each.status === "rejected");
    if (failed !== undefined) return this.#unavailable(failed.reason);
    return this.#decide(
      client,
      counted,
      estimate,
      now,
      settled.map((each) => (each as PromiseFulfilledResult<bigint>).value),
    );
  }

  #unavailable(error: unknown): Admission {
    const refuses = isMortiseError(error) && error.code === "MORTISE_GATEWAY_RATE_LIMIT";
    if (refuses || !this.#open) throw error;
    this.#onError(error);
    return UNLIMITED;
  }

  #add(client: string, { unit, windowMs }: Counted, delta: number, now: number, signal?: AbortSignal): Awaitable<bigint> {
    const window = Math.floor(now / windowMs);
    const key = `${windowMs}:${window}:${unit}:${client}`;
    // Twice its length: what comes late, or from a process whose clock is behind, still finds the window.
    return this.#store.increment(NAMESPACE, key, BigInt(delta), { ttlMs: windowMs * 2, signal });
  }

  #decide(client: string, counted: readonly Counted[], estimate: number, now: number, sums: readonly bigint[]): Admission {
    const standings = counted.map((each, index): Standing => ({
      ...each,
      used: Number(sums[index] ?? 0n),
      endsAt: (Math.floor(now / each.windowMs) + 1) * each.windowMs,
    }));
    const over = standings.filter((each) => isOver(each, chargeOf(each, estimate)));
    const [last] = over.toSorted((a, b) => b.endsAt - a.endsAt);
    if (last === undefined) return { headers: headersOf(standings, now), settle: (tokens) => this.#settle(client, counted, estimate, now, tokens) };
    for (const each of counted) void this.#quietly(() => this.#add(client, each, -chargeOf(each, estimate), now));
    throw new MortiseError("MORTISE_GATEWAY_RATE_LIMIT", {
      client,
      unit: last.unit,
      limit: last.limit,
      windowMs: last.windowMs,
      retryAfterMs: Math.max(1, Math.ceil(last.endsAt - now)),
      headers: headersOf(standings, now),
    });
  }

  #settle(client: string, counted: readonly Counted[], estimate: number, admittedAt: number, tokens: number): Awaitable<void> {
    const used = Number.isSafeInteger(tokens) && tokens >= 0 ? Math.min(tokens, MAX_LIMIT) : estimate;
    const waits = counted
      .filter(({ unit }) => unit === "tokens")
      .map((each) => {
        const delta = used - chargeOf(each, estimate);
        // What was used counts where it ends; what was not used is given back where it was counted.
        return delta === 0 ? undefined : this.#quietly(() => this.#add(client, each, delta, delta > 0 ? this.#clock() : admittedAt));
      })
      .filter((each) => each !== undefined);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  /** Does what nobody waits for. */
  #quietly(add: () => Awaitable<bigint>): Promise<void> | undefined {
    try {
      const sum = add();
      return sum instanceof Promise ? sum.then(() => undefined, this.#onError) : undefined;
    } catch (error) {
      this.#onError(error);
      return undefined;
    }
  }
}

/** What a request counts: one, or its tokens, as far as they can fit at all. */
function chargeOf({ unit, limit }: Counted, tokens: number): number {
  return unit === "requests" ? 1 : Math.min(tokens, limit);
}

/** Over the limit with this request; or used up before it, where it counts nothing yet. */
function isOver({ used, limit }: Standing, charge: number): boolean {
  return used > limit || used - charge >= limit;
}

function headersOf(standings: readonly Standing[], now: number): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {};
  for (const unit of ["requests", "tokens"] as const) {
    const [nearest] = standings.filter((each) => each.unit === unit).toSorted((a, b) => a.limit - a.used - (b.limit - b.used));
    if (nearest === undefined) continue;
    headers[`x-ratelimit-limit-${unit}`] = String(nearest.limit);
    headers[`x-ratelimit-remaining-${unit}`] = String(Math.max(0, nearest.limit - nearest.used));
    headers[`x-ratelimit-reset-${unit}`] = duration(nearest.endsAt - now);
  }
  return headers;
}

/** As OpenAI writes it: `6m0s`, `1.5s`, `20ms`. */
function duration(ms: number): string {
  const whole = Math.max(1, Math.ceil(ms));
  if (whole < 1000) return `${whole}ms`;
  const minutes = Math.floor(whole / 60_000);
  const seconds = (whole - minutes * 60_000) / 1000;
  return minutes === 0 ? `${seconds}s` : `${minutes}m${seconds}s`;
}

function readLimits(limits: readonly RateLimit[], option: string): readonly Counted[] {
  return limits.flatMap((each, index) => {
    const place = `${option}[${index}]`;
    checkKeys(each, place, ["requests", "tokens", "windowMs"]);
    const { requests, tokens, windowMs = DEFAULT_WINDOW_MS } = each;
    checkWhole(windowMs, `${place}.windowMs`, 1, MAX_WINDOW_MS);
    if (requests === undefined && tokens === undefined) throw invalidOption(place, "without a limit", "an object with requests, tokens, or both");
    const counted: Counted[] = [];
    for (const unit of ["requests", "tokens"] as const) {
      const limit = unit === "requests" ? requests : tokens;
      if (limit === undefined) continue;
      checkWhole(limit, `${place}.${unit}`, 0, MAX_LIMIT);
      counted.push({ unit, limit, windowMs });
    }
    return counted;
  });
}
