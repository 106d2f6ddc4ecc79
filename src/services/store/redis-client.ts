// The part of `@redis/client` that the store uses, and how a client of its own is made.

import { printable } from "../../api/errors.ts";
import { invalidOption } from "../../api/limits.ts";
import { unavailable } from "./unavailable.ts";

/** A client of `@redis/client` 5 or newer, or something that works like one. */
export interface RedisClient {
  /** Connected, with everything said that a connection begins with. */
  readonly isReady: boolean;
  sendCommand(args: readonly (string | Buffer)[], options?: { readonly typeMapping?: Readonly<Record<number, unknown>> }): Promise<unknown>;
  on(event: string, listener: (error: unknown) => void): unknown;
  off(event: string, listener: (error: unknown) => void): unknown;
}

/** A client that this store made. */
export interface OwnRedisClient extends RedisClient {
  connect(): Promise<unknown>;
  /** Ends it at once; what waits for an answer fails. */
  destroy(): void;
}

/** Milliseconds between two attempts to connect, at most. */
export const MAX_RETRY_MS = 1000;

/**
 * Loads `@redis/client` and gives what makes a client for a server, which connects anew by itself.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION for what is not the URL of a Redis server; MORTISE_STORE_UNAVAILABLE without the package
 */
export async function redisClients(url: string, connectTimeoutMs: number): Promise<() => OwnRedisClient> {
  // What is wrong with it is not said: it may hold a password.
  if (!isRedisUrl(url)) throw invalidOption("url", "something else", "a URL such as redis://localhost:6379, rediss://… or unix:///path");
  const { createClient } = await import("@redis/client").catch((error: unknown) => {
    throw unavailable("redis", 'the package "@redis/client" cannot be loaded; npm install @redis/client', error);
  });
  const socket = { connectTimeout: connectTimeoutMs, reconnectStrategy: (retries: number): number => Math.min(2 ** retries * 20, MAX_RETRY_MS) };
  // Nothing waits in the client for a connection: the store answers at once that there is none. Messages about maintenance
  // are for one vendor's servers, and asking for them fails with some URLs.
  return () => createClient({ url, disableOfflineQueue: true, maintNotifications: "disabled", socket });
}

function isRedisUrl(url: string): boolean {
  if (typeof url !== "string") return false;
  // Paths of sockets with a user before them are no URLs by the standard, but the client reads them.
  return /^rediss?:\/\/./.test(url) ? URL.canParse(url) : /^unix:\/\/(?:[^/@]*@)?\/./.test(url);
}

/** What a client reports, in words; some of its errors have a code alone. */
export function redisReason(error: unknown): string {
  if (!(error instanceof Error)) return printable(error);
  if (error.message !== "") return printable(error.message);
  return "code" in error ? printable(error.code) : error.name;
}
