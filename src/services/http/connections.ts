// Connections of one service: made to addresses that were checked, kept for a while, and never handed to a stricter request.

import { createRequire } from "node:module";
import { type LookupFunction, type Socket, type TcpNetConnectOpts, connect as connectPlain, isIP } from "node:net";
import { type ConnectionOptions, connect as connectSecure } from "node:tls";
import { callbackify } from "node:util";

import type { Client, Dispatcher } from "undici";

import { CountedSocket, type Excess } from "./counted-socket.ts";
import { networkReason } from "./failures.ts";
import { type RequestLookup, permittedAddresses } from "./name-lookup.ts";
import { hostOf, portOf } from "./target.ts";
import type { Head, Passage } from "./transport.ts";

/** What connections are made with. */
export interface ConnectionOptionsOfService {
  readonly maxHeaderBytes: number;
  /** Connections at a time, beside those that requests under way hold. */
  readonly maxConnections: number;
  readonly ca: string | readonly string[] | undefined;
  readonly lookup: RequestLookup;
}

/**
 * An idle connection is kept for less time than servers usually keep theirs, which is 5 seconds; for one second less than the
 * server says, where it does.
 */
const IDLE_MS = 4000;
const MOST_IDLE_MS = 60_000;
const MARGIN_MS = 1000;
/** Silence after which the system asks whether the other side is still there. */
const PROBE_MS = 60_000;

/**
 * The client of one connection. The package's door would take over the `fetch` of the whole process, proxies and all, when it
 * is loaded; this module of it does nothing but what it is for, and is loaded for the first connection.
 */
function loadClient(): typeof Client {
  loaded ??= createRequire(import.meta.url)("undici/lib/dispatcher/client.js") as typeof Client;
  return loaded;
}

let loaded: typeof Client | undefined;

/** One connection with its parser. */
export class Connection {
  /** Requests with the same key may use it. */
  readonly key: string;
  readonly counted: CountedSocket;
  /** What is too much of the response under way. */
  excess: ((excess: Excess) => void) | undefined;
  readonly #client: Client;

  constructor(key: string, origin: string, socket: Socket, maxHeaderBytes: number) {
    this.key = key;
    this.counted = new CountedSocket(socket, maxHeaderBytes, (excess) => this.excess?.(excess));
    let isTaken = false;
    this.#client = new (loadClient())(origin, {
      // A client makes another connection by itself when the first is lost; ours are checked for one request each.
      connect: (_options, callback) => {
        if (isTaken) callback(LOST, null);
        else queueMicrotask(() => callback(null, socket));
        isTaken = true;
      },
      maxHeaderSize: maxHeaderBytes,
      pipelining: 1,
      keepAliveTimeout: IDLE_MS,
      keepAliveMaxTimeout: MOST_IDLE_MS,
      keepAliveTimeoutThreshold: MARGIN_MS,
      // Requests have their own deadlines.
      headersTimeout: 0,
      bodyTimeout: 0,
      allowH2: false,
      // Said here, since the environment could say otherwise.
      useMilo: false,
    });
  }

  get isOpen(): boolean {
    return !this.counted.socket.destroyed;
  }

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(options, handler);
  }

  destroy(): void {
    this.counted.socket.destroy();
    this.#client.destroy(null, () => {});
  }
}

/** The connection was closed before the request was sent. */
const LOST = Object.assign(new Error("The connection is closed"), { code: "ECONNRESET" });

/** Says of two requests that one may use the connection of the other. Kinds are part of it: a connection that one request may have is none for a stricter one. */
export function keyOf({ url, kinds }: Head): string {
  return `${url.origin} ${[...kinds].toSorted().join()}`;
}

/** All connections of one service. */
export class Connections {
  readonly #options: ConnectionOptionsOfService;
  /** Those that wait for a request, by key, and all of them, the longest idle first. */
  readonly #idle = new Map<string, Connection[]>();
  readonly #idleOrder = new Set<Connection>();
  readonly #all = new Set<Connection>();
  /** What makes TLS handshakes shorter, by key. */
  readonly #sessions = new Map<string, Buffer>();
  #closed = false;

  constructor(options: ConnectionOptionsOfService) {
    this.#options = options;
  }

  /** An idle connection, the one that was used last. */
  take(key: string): Connection | undefined {
    const idle = this.#idle.get(key);
    for (let found = idle?.pop(); found !== undefined; found = idle?.pop()) {
      this.#idleOrder.delete(found);
      if (found.isOpen) return found;
    }
    return undefined;
  }

  /** Takes a connection back that is in step with its server. */
  giveBack(connection: Connection): void {
    connection.excess = undefined;
    if (this.#closed) return connection.destroy();
    const { key } = connection;
    const idle = this.#idle.get(key);
    if (idle === undefined) this.#idle.set(key, [connection]);
    else idle.push(connection);
    this.#idleOrder.add(connection);
    this.#makeRoom(0);
  }

  /** Makes a connection, which belongs to the request until then. @throws what `fail` is to tell */
  async open(key: string, head: Head, passage: Passage): Promise<Connection> {
    this.#makeRoom(1);
    const socket = await this.#connect(key, head, passage);
    const connection = new Connection(key, head.url.origin, socket, this.#options.maxHeaderBytes);
    this.#all.add(connection);
    socket.once("close", () => this.#forget(connection));
    // An error between two requests is nobody's.
    socket.on("error", () => {});
    return connection;
  }

  close(): void {
    this.#closed = true;
    for (const connection of this.#all) connection.destroy();
  }

  #makeRoom(room: number): void {
    for (const oldest of this.#idleOrder) {
      if (this.#all.size + room <= this.#options.maxConnections) return;
      this.#forget(oldest);
      oldest.destroy();
    }
  }

  #forget(connection: Connection): void {
    this.#all.delete(connection);
    if (!this.#idleOrder.delete(connection)) return;
    const { key } = connection;
    const idle = this.#idle.get(key)?.filter((one) => one !== connection) ?? [];
    if (idle.length === 0) this.#idle.delete(key);
    else this.#idle.set(key, idle);
  }

  #connect(key: string, head: Head, passage: Passage): Promise<Socket> {
    const { url } = head;
    const { ending } = passage;
    const isSecure = url.protocol === "https:";
    const { promise, resolve, reject } = Promise.withResolvers<Socket>();
    if (ending.reason !== undefined) throw ending.reason;
    const socket = isSecure ? this.#connectSecure(key, head, passage) : connectPlain(this.#plainOptions(head, passage));
    const fail = (error: Error): void => {
      socket.destroy();
      reject(ending.reason ?? error);
    };
    ending.watch(fail);
    socket.once("error", fail);
    socket.once(isSecure ? "secureConnect" : "connect", () => {
      socket.off("error", fail);
      ending.watch(undefined);
      socket.setNoDelay(true).setKeepAlive(true, PROBE_MS);
      resolve(socket);
    });
    return promise;
  }

  #plainOptions(head: Head, passage: Passage): TcpNetConnectOpts {
    const { url } = head;
    return { host: hostOf(url), port: portOf(url), lookup: guardedLookup(head, passage, this.#options.lookup) };
  }

  #connectSecure(key: string, head: Head, passage: Passage): Socket {
    const { ca } = this.#options;
    const session = this.#sessions.get(key);
    const settings: ConnectionOptions = {
      ...this.#plainOptions(head, passage),
      ALPNProtocols: ["http/1.1"],
      // Said here, since the environment could say otherwise.
      rejectUnauthorized: true,
      ...(isIP(hostOf(head.url)) === 0 ? { servername: hostOf(head.url) } : {}),
      ...(ca === undefined ? {} : { ca: typeof ca === "string" ? ca : [...ca] }),
      ...(session === undefined ? {} : { session }),
    };
    const socket = connectSecure(settings);
    socket.on("session", (latest: Buffer) => {
      this.#sessions.delete(key);
      this.#sessions.set(key, latest);
      const [oldest] = this.#sessions.keys();
      if (this.#sessions.size > MAX_SESSIONS && oldest !== undefined) this.#sessions.delete(oldest);
    });
    return socket;
  }
}

const MAX_SESSIONS = 100;

/** The lookup of a new connection: what it returns is what is connected to, whatever the name says a moment later. */
function guardedLookup({ url, kinds }: Head, { report, ending }: Passage, lookup: RequestLookup): LookupFunction {
  const find = callbackify(async (hostname: string) => {
    const answer = await permittedAddresses(lookup, hostname, kinds, ending.signal).catch((error: unknown) => {
      throw report.failed(url, networkReason(error), error);
    });
    if ("refused" in answer) throw report.denied(url.hostname, answer.refused);
    return answer.addresses;
  });
  return (hostname, settings, callback) =>
    find(hostname, (error, addresses) => {
      const [first] = addresses ?? [];
      if (error !== null || first === undefined) callback(error, "");
      else if (settings.all === true) callback(null, [...addresses]);
      else callback(null, first.address, first.family);
    });
}
