// Metrics for Prometheus to fetch, on this machine unless the operator says otherwise.

import { type IncomingMessage, type RequestListener, type ServerResponse, createServer } from "node:http";
import { BlockList, isIP } from "node:net";

import { invalidOption } from "../api/limits.ts";

/** Options of {@link serveMetrics}. */
export interface MetricsServerOptions {
  /** Port; 0 takes any that is free. @default 0 */
  readonly port?: number;
  /** Address to listen at. Other addresses than those of this machine show the metrics to whoever can reach them. @default "127.0.0.1" */
  readonly host?: string;
  /** @default "/metrics" */
  readonly path?: string;
}

/** A server that answers with metrics. It does not keep the process alive. */
export interface MetricsServer {
  readonly url: string;
  /** Ends it, and every connection. */
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const OPTIONS: readonly string[] = ["port", "host", "path"];
/** Milliseconds for a request to arrive. */
const REQUEST_MS = 5000;
const MAX_CONNECTIONS = 64;

const loopback = new BlockList();
loopback.addSubnet("127.0.0.0", 8);
loopback.addAddress("::1", "ipv6");

/** Answers GET and HEAD with metrics, for a server of one's own; everything else with 405. */
export function metricsHandler(source: { prometheus(): string | Promise<string> }): RequestListener {
  return async ({ method }, response) => {
    if (method !== "GET" && method !== "HEAD") {
      answer(response, 405, "only GET and HEAD\n", { allow: "GET, HEAD" });
      return;
    }
    let text: string;
    try {
      text = await source.prometheus();
    } catch (error) {
      answer(response, 500, `${error instanceof Error ? error.message : String(error)}\n`);
      return;
    }
    answer(response, 200, text, { "content-type": CONTENT_TYPE });
  };
}

/**
 * Serves metrics. On an address of this machine only requests to such an address are answered: a web page that has its own
 * name resolved to it reads nothing.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION; Error of node:net where the address cannot be listened at
 */
export async function serveMetrics(source: { prometheus(): string | Promise<string> }, options: MetricsServerOptions = {}): Promise<MetricsServer> {
  const { port = 0, host = "127.0.0.1", path = "/metrics" } = options;
  for (const key of Object.keys(options)) if (!OPTIONS.includes(key)) throw invalidOption(key, "unknown", `one of ${OPTIONS.join(", ")}`);
  if (!(Number.isSafeInteger(port) && port >= 0 && port < 65_536)) throw invalidOption("port", String(port), "0 to 65535");
  if (typeof host !== "string" || host === "") throw invalidOption("host", typeof host, "an address");
  if (typeof path !== "string" || !path.startsWith("/")) throw invalidOption("path", typeof path, "text that begins with /");
  const handler = metricsHandler(source);
  const local = isLoopback(host);
  const server = createServer({ requestTimeout: REQUEST_MS, headersTimeout: REQUEST_MS }, (request, response) => {
    if (local && !isLoopback(hostOf(request))) answer(response, 403, "not the name of this machine\n");
    else if (request.url?.split("?")[0] !== path) answer(response, 404, `metrics are at ${path}\n`);
    else handler(request, response);
  });
  server.maxConnections = MAX_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.unref();
  const address = server.address();
  const bound = typeof address === "object" && address !== null ? address.port : port;
  const close = (): Promise<void> =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { url: `http://${isIP(host) === 6 ? `[${host}]` : host}:${bound}${path}`, close, [Symbol.asyncDispose]: close };
}

/** Name in the request's `host`, without brackets and port. */
function hostOf({ headers }: IncomingMessage): string {
  const { host = "" } = headers;
  const name = /^\[([^\]]*)\](?::\d+)?$|^([^:]*)(?::\d+)?$/.exec(host);
  return name?.[1] ?? name?.[2] ?? "";
}

function isLoopback(host: string): boolean {
  const version = isIP(host);
  return version === 0 ? host.toLowerCase() === "localhost" : loopback.check(host, version === 6 ? "ipv6" : "ipv4");
}

function answer(response: ServerResponse, status: number, text: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", "cache-control": "no-store", ...headers });
  response.end(text);
}
