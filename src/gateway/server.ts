// The gateway's HTTP server.

import { type Server, createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";

import type { Core } from "./core.ts";
import { NodeExchange } from "./node-exchange.ts";
import type { ListenOptions } from "./options.ts";
import { ownNames } from "./own-names.ts";
import { serve } from "./serve.ts";

/** Milliseconds that an idle connection is kept. SDKs keep theirs for less. */
const KEEP_ALIVE_MS = 65_000;
/** Milliseconds between looks at idle connections of a server that closes. */
const SWEEP_MS = 20;
/** Milliseconds for the head of a request, and for all of it. */
const HEADERS_MS = 30_000;
const REQUEST_MS = 300_000;
/** Milliseconds beyond the time of a request after which a connection on which nothing goes to and fro is closed. */
const STUCK_MS = 1000;
/** The longest that a timer takes. */
const MAX_TIMER_MS = 0x7fff_ffff;

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
  const server = createServer(
    { maxHeaderSize: core.limits.headerBytes, keepAliveTimeout: KEEP_ALIVE_MS, headersTimeout: HEADERS_MS, requestTimeout: REQUEST_MS },
    (request, response) => {
      if (core.state.isClosing) response.shouldKeepAlive = false;
      void serve(core, new NodeExchange(request, response));
    },
  );
  // A client that never takes its answer would keep it here for good; requests that are waited for end before that.
  server.setTimeout(Math.min(core.limits.timeoutMs + STUCK_MS, MAX_TIMER_MS));
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ host, port, backlog: 4096 }, resolve);
  });
  const sockets = new Set<Socket>();
  server.on("connection", (socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  // To the server, a connection is idle as well whose answer is on its way: it would be cut off, also by closing the server.
  const closeIdle = server.closeIdleConnections.bind(server);
  server.closeIdleConnections = () => {
    for (const { writableLength } of sockets) if (writableLength > 0) return;
    closeIdle();
  };
  const { address, port: bound } = server.address() as AddressInfo;
  core.names = ownNames(host, address, names);
  const shown = host.includes(":") ? `[${host}]` : host;
  return {
    url: `http://${shown}:${bound}`,
    port: bound,
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
  });
}
