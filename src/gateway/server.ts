// The gateway's HTTP server.

import { type Server, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Core } from "./core.ts";
import { NodeExchange } from "./node-exchange.ts";
import type { ListenOptions } from "./options.ts";
import { serve } from "./serve.ts";

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);
/** Names of this machine in the header `host`. */
const LOCAL_NAMES: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];
/** Milliseconds that an idle connection is kept. SDKs keep theirs for less. */
const KEEP_ALIVE_MS = 65_000;
/** Milliseconds between looks at idle connections of a server that closes. */
const SWEEP_MS = 20;
/** Milliseconds for the head of a request, and for all of it. */
const HEADERS_MS = 30_000;
const REQUEST_MS = 300_000;

/** A server that listens. */
export interface Listening {
  readonly url: string;
  readonly port: number;
  /** Takes no new connections; settled when all have ended. */
  close(): Promise<void>;
  /** Breaks all connections off. */
  abort(): void;
}

/** @throws Error of the system if it cannot listen */
export async function listen(core: Core, { host = "127.0.0.1", port = 0, names }: ListenOptions = {}): Promise<Listening> {
  const isLocal = LOOPBACK.has(host);
  core.names =
    names === undefined ? (isLocal && core.keys === undefined ? new Set(LOCAL_NAMES) : undefined) : new Set(names.map((name) => name.toLowerCase()));
  const server = createServer(
    { maxHeaderSize: core.limits.headerBytes, keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS },
    (request, response) => {
      if (core.state.isClosing) response.shouldKeepAlive = false;
      void serve(core, new NodeExchange(request, response));
    },
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 4096 }, resolve);
  });
  const address = server.address() as AddressInfo;
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${address.port}`,
    port: address.port,
    close: () => closed(server),
    abort: () => server.closeAllConnections(),
  };
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // Connections whose request has ended meanwhile would be kept for the next one.
    const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MS);
    server.close(() => {
      clearInterval(sweep);
      resolve();
    });
    server.closeIdleConnections();
  });
}
