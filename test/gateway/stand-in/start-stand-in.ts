// A stand-in for model servers: speaks OpenAI's and Anthropic's interfaces, answers the same each time, and fails as asked.
//
// It echoes the last text of the user, or of the last result of a tool; tokens are words. README.md has the rest.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

import type { Behaviour } from "./behaviour.ts";
import { type Counters, Records, type SeenRequest } from "./records.ts";
import type { Sleep } from "./send.ts";
import { Upstream } from "./upstream.ts";

/** What it does. */
export interface Behaviours {
  /** For all requests; those for a model, for a key, and of the header `x-stand-in` are laid over it, in that order. */
  readonly behaviour?: Behaviour;
  readonly byModel?: Readonly<Record<string, Behaviour>>;
  readonly byKey?: Readonly<Record<string, Behaviour>>;
}

export interface StandInOptions extends Behaviours {
  /** @default 0: any that is free */
  readonly port?: number;
  /** @default "127.0.0.1" */
  readonly host?: string;
  /** Answers requests without a key with 401. @default false */
  readonly requireKey?: boolean;
  /** Models of the list. @default "stand-in", "stand-in-small" */
  readonly models?: readonly string[];
  /** Requests that are remembered; 0 for benchmarks. @default 1000 */
  readonly keep?: number;
  /** Bytes of a request's body; beyond them 413. @default 32 MiB */
  readonly maxBodyBytes?: number;
  /** @default timers */
  readonly sleep?: Sleep;
}

export interface StandIn extends AsyncDisposable {
  /** Such as `http://127.0.0.1:1234`. */
  readonly url: string;
  readonly port: number;
  /** The last of them, oldest first. */
  readonly requests: readonly SeenRequest[];
  readonly counters: Counters;
  /** Changes what it does from now on; `failFirst` counts anew. */
  behave(options: Behaviours): void;
  /** When no request is open. */
  settled(): Promise<void>;
  /** Ends all connections. */
  close(): Promise<void>;
}

/** Starts it. Give the port of one that was closed to have it come back. */
export async function startStandIn(options: StandInOptions = {}): Promise<StandIn> {
  const { port = 0, host = "127.0.0.1", keep = 1000 } = options;
  const records = new Records(keep);
  const upstream = new Upstream(options, records);
  const server = createServer((request, response) => upstream.serve(request, response));
  server.keepAliveTimeout = 60_000;
  server.requestTimeout = 0;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen({ port, host, backlog: 4096 }, resolve);
  });
  const address = server.address() as AddressInfo;
  const close = async (): Promise<void> => {
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    server.closeAllConnections();
    await closed;
  };
  return {
    url: `http://${host}:${address.port}`,
    port: address.port,
    requests: records.requests,
    get counters() {
      return records.counters;
    },
    behave: (behaviours) => upstream.behave(behaviours),
    settled: () => records.settled(),
    close,
    [Symbol.asyncDispose]: close,
  };
}
