// Servers on this machine: one that speaks HTTP, and one that sends whatever a test wants.

import { once } from "node:events";
import { type IncomingMessage, type RequestListener, createServer as createHttpServer } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { type AddressInfo, type Server, type Socket, createServer as createRawServer } from "node:net";

import type { Certificate } from "./certificate.ts";

/** A server that listens; it is closed, connections too, at the end of the scope. */
export interface Listening extends AsyncDisposable {
  readonly port: number;
  /** Connections that were made so far. */
  readonly connections: number;
  /** Those that are open. */
  readonly open: ReadonlySet<Socket>;
  /** Resolves when none is open. */
  readonly allClosed: () => Promise<void>;
}

/** An HTTP server on a loopback address. */
export function httpServer(listener: RequestListener, host = "127.0.0.1"): Promise<Listening> {
  return listen(createHttpServer(listener), host);
}

/** An HTTPS server. */
export function httpsServer(certificate: Certificate, listener: RequestListener, host = "127.0.0.1"): Promise<Listening> {
  return listen(createHttpsServer({ ...certificate }, listener), host);
}

/** A server that answers each piece of each connection's input with what a function does. */
export function rawServer(answer: (socket: Socket, input: string, connection: number) => void, host = "127.0.0.1"): Promise<Listening> {
  let connections = 0;
  const server = createRawServer((socket) => {
    const connection = ++connections;
    socket.on("data", (bytes) => answer(socket, bytes.toString("latin1"), connection));
  });
  return listen(server, host);
}

async function listen(server: Server, host: string): Promise<Listening> {
  const open = new Set<Socket>();
  let connections = 0;
  server.on("connection", (socket: Socket) => {
    connections++;
    open.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      open.delete(socket);
      server.emit("one closed");
    });
  });
  server.listen(0, host);
  await once(server, "listening");
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    open,
    allClosed: async () => {
      while (open.size > 0) await once(server, "one closed");
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of open) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

/** The body of a request. */
export async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of message as AsyncIterable<Buffer>) pieces.push(piece);
  return Buffer.concat(pieces);
}

/** A server that tells what it got. */
export function mirror(): Promise<Listening> {
  return httpServer(async (message, response) => {
    const body = await bodyOf(message);
    response.end(JSON.stringify({ method: message.method, url: message.url, headers: message.rawHeaders, body: body.toString() }));
  });
}
