// One exchange from its path to its answer.

import { MortiseError } from "mortise";

import type { KnownClient } from "./client-keys.ts";
import type { Core } from "./core.ts";
import type { Exchange } from "./exchange.ts";
import { failureOf } from "./failure.ts";
import { serveModels } from "./models.ts";
import { checkName } from "./own-names.ts";
import { errorHeaders, sendJson } from "./respond.ts";
import { requestIdOf } from "./request-id.ts";
import { type Route, errorApiOf, methodsOf, routeOf } from "./routes.ts";
import { serveModel } from "./serve-model.ts";
import { Turn } from "./turn.ts";
import { codecOf } from "./codecs.ts";

/** Milliseconds after which a client that finds the gateway full may come again. */
const RETRY_MS = 1000;

/** Answers an exchange. It never rejects. */
export async function serve(core: Core, exchange: Exchange): Promise<void> {
  const id = requestIdOf(exchange.headers["x-request-id"]);
  try {
    await dispatch(core, exchange, id);
  } catch (error) {
    try {
      refuse(core, exchange, id, error);
    } catch {
      // An answer has begun already: nothing can be said any more.
      exchange.destroy();
    }
  }
}

/** Answers with an error before there is a turn. */
function refuse(core: Core, exchange: Exchange, id: string, error: unknown): void {
  const failure = failureOf(error);
  const headers = errorHeaders(id, failure);
  const { allowed } = error instanceof MortiseError ? error.details : {};
  if (typeof allowed === "string") headers.push("allow", allowed);
  if (failure.status === 401) headers.push("www-authenticate", "Bearer");
  exchange.send(failure.status, headers, JSON.stringify(codecOf(errorApiOf(exchange.path, exchange.headers)).error(failure, id)));
  const fields = { request_id: id, status: failure.status, method: exchange.method, path: exchange.path, code: failure.code };
  core.logger?.warn(fields, failure.message);
}

function dispatch(core: Core, exchange: Exchange, id: string): Promise<void> | void {
  const { method, path, headers } = exchange;
  const route = routeOf(path);
  if (route === undefined) throw new MortiseError("MORTISE_GATEWAY_PATH", { path });
  if (route.kind === "health") return only(exchange, route, id, () => sendJson(exchange, id, 200, { status: "ok" }));
  if (route.kind === "ready") return only(exchange, route, id, () => sendReady(core, exchange, id));
  if (core.names !== undefined) checkName(core.names, core.keys !== undefined, headers["host"]);
  if (method === "OPTIONS") return exchange.send(204, ["allow", methodsOf(route), "x-request-id", id], "");
  const client = core.keys?.identify(headers);
  checkMethod(exchange, route);
  if (route.kind !== "api") return serveModels(core, exchange, id, route);
  return admitted(core, new Turn(core, exchange, id, route.api, client satisfies KnownClient | undefined));
}

function only(exchange: Exchange, route: Route, id: string, answer: () => void): void {
  if (exchange.method === "OPTIONS") return exchange.send(204, ["allow", methodsOf(route), "x-request-id", id], "");
  checkMethod(exchange, route);
  answer();
}

function sendReady({ state }: Core, exchange: Exchange, id: string): void {
  if (state.isClosing) sendJson(exchange, id, 503, { status: "closing" });
  else sendJson(exchange, id, 200, { status: "ready", requests: state.running });
}

function checkMethod({ method, path }: Exchange, route: Route): void {
  if (route.kind === "api" ? method === "POST" : method === "GET" || method === "HEAD") return;
  throw new MortiseError("MORTISE_GATEWAY_METHOD", { path, method, allowed: methodsOf(route) });
}

/** Serves a turn if there is room for it. */
async function admitted(core: Core, turn: Turn): Promise<void> {
  const { state, limits } = core;
  if (state.isClosing) throw full("the gateway is closing");
  if (state.running >= limits.requests) throw full(`the gateway serves ${limits.requests} already`);
  state.running++;
  const release = turn.setup.hold();
  try {
    await serveModel(turn);
  } finally {
    state.running--;
    release();
  }
}

function full(reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_FULL", { reason, retryAfterMs: RETRY_MS });
}
