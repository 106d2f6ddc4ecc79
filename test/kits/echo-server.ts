// A web server on loopback that says what it was asked.

import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface EchoServer extends AsyncDisposable {
  /** Address and port, without a path. */
  readonly url: string;
}

/**
 * Answers `/echo` with 201, a header `x-kit: oak` and the request's method, header `x-plugin` and body in quotes, and
 * everything else with 404.
 */
export async function startEchoServer(): Promise<EchoServer> {
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on("data", (part: Buffer) => parts.push(part));
    request.on("end", () => {
      if (request.url !== "/echo") {
        response.writeHead(404).end("nothing here");
        return;
      }
      const body = JSON.stringify(Buffer.concat(parts).toString());
      response.writeHead(201, { "x-kit": "oak" }).end(`${request.method} ${String(request.headers["x-plugin"])} ${body}`);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
