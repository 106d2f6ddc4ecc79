// What the stand-in does with a request: finds out how it should answer, and answers.

import type { IncomingMessage, ServerResponse } from "node:http";
import { setTimeout as wait } from "node:timers/promises";

import { answerTo } from "./answer.ts";
import { type Behaviour, checkBehaviour, readBehaviour } from "./behaviour.ts";
import { MARKER, makeBody } from "./body.ts";
import { errorBody } from "./errors.ts";
import { FixedAnswers, fixedAnswer, fixedText, wantsStream } from "./fixed-answers.ts";
import type { Outcome, Records, SeenRequest } from "./records.ts";
import { type Json, isJson, readAsked } from "./request.ts";
import { type Route, modelsReply, routeOf } from "./routes.ts";
import { type Outgoing, type Sleep, send } from "./send.ts";
import type { Behaviours, StandInOptions } from "./start-stand-in.ts";

const JSON_TYPE = "application/json";

/** What is known of a request when it is answered. */
interface Incoming {
  readonly route: Route | undefined;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly key: string;
  readonly bytes: Buffer;
}

/** A request while it is answered. */
interface Exchange {
  readonly response: ServerResponse;
  readonly left: AbortController;
  ended: ((outcome: Outcome) => void) | undefined;
  /** It is the stand-in that ends the connection. */
  drops: boolean;
}

/** Answers requests. */
export class Upstream {
  readonly #options: StandInOptions;
  readonly #records: Records;
  readonly #sleep: Sleep;
  /** Answers of a fixed size, made once. */
  readonly #prepared = new Map<string, Outgoing>();
  #failed = new Map<string, number>();
  #behaviour: Behaviour = {};
  #byModel: Readonly<Record<string, Behaviour>> = {};
  #byKey: Readonly<Record<string, Behaviour>> = {};
  #fixed: FixedAnswers | undefined;

  constructor(options: StandInOptions, records: Records) {
    this.#options = options;
    this.#records = records;
    this.#sleep = options.sleep ?? ((ms, signal) => wait(ms, undefined, { signal }));
    this.behave(options);
  }

  behave({ behaviour = {}, byModel = {}, byKey = {} }: Behaviours): void {
    for (const each of [behaviour, ...Object.values(byModel), ...Object.values(byKey)]) checkBehaviour(each);
    this.#behaviour = behaviour;
    this.#byModel = byModel;
    this.#byKey = byKey;
    this.#failed = new Map();
    this.#prepared.clear();
    const layered = Object.keys(byModel).length > 0 || Object.keys(byKey).length > 0 || this.#options.requireKey === true;
    this.#fixed = this.#options.keep === 0 && !layered ? FixedAnswers.for(behaviour) : undefined;
  }

  serve(request: IncomingMessage, response: ServerResponse): void {
    if (this.#fixed?.takes(request) !== true) return this.#serve(request, response);
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.once("end", () => {
      const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks);
      this.#records.opened();
      if (wantsStream(bytes)) return this.#exchange(request, response)(bytes);
      this.#fixed?.answer(request, response);
      this.#records.closed("answered", "200");
    });
  }

  #serve(request: IncomingMessage, response: ServerResponse): void {
    const { maxBodyBytes = 32 << 20 } = this.#options;
    const chunks: Buffer[] = [];
    let size = 0;
    this.#records.opened();
    const answer = this.#exchange(request, response);
    request.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= maxBodyBytes) chunks.push(chunk);
    });
    request.once("end", () => answer(size > maxBodyBytes ? undefined : Buffer.concat(chunks)));
  }

  /** Watches how a request ends; gives what answers it once its body is there, or undefined is given for one that is too large. */
  #exchange(request: IncomingMessage, response: ServerResponse): (bytes: Buffer | undefined) => void {
    const exchange: Exchange = { response, left: new AbortController(), ended: undefined, drops: false };
    response.once("close", () => {
      const outcome = response.writableFinished ? "answered" : exchange.drops ? "dropped" : "client left";
      exchange.left.abort();
      exchange.ended?.(outcome);
      this.#records.closed(outcome, response.headersSent ? String(response.statusCode) : "none");
    });
    return (bytes) => {
      const incoming = this.#incoming(request, bytes ?? Buffer.alloc(0));
      exchange.ended = this.#records.read(() => seenRequest(request, incoming));
      // What throws is that the client is gone.
      this.#answer(incoming, exchange, bytes === undefined ? refusal(incoming, 413) : undefined).catch(() => undefined);
    };
  }

  #incoming(request: IncomingMessage, bytes: Buffer): Incoming {
    const path = (request.url ?? "").split("?", 1)[0] ?? "";
    const bearer = /^Bearer (.+)$/i.exec(request.headers.authorization ?? "")?.[1];
    const key = bearer ?? String(request.headers["x-api-key"] ?? "");
    return { route: routeOf(request.method ?? "", path, request.headers), path, headers: request.headers, key, bytes };
  }

  async #answer(incoming: Incoming, exchange: Exchange, refused: Outgoing | undefined): Promise<void> {
    const { signal } = exchange.left;
    let behaviour: Behaviour = {};
    let outgoing = refused ?? this.#early(incoming);
    if (outgoing === undefined) {
      try {
        behaviour = this.#behaviourOf(incoming);
      } catch (error) {
        outgoing = refusal(incoming, 400, error instanceof Error ? error.message : String(error));
      }
    }
    const { latencyMs = 0, fault } = behaviour;
    if (latencyMs > 0) await this.#sleep(latencyMs, signal);
    outgoing ??= this.#reply(incoming, behaviour);
    exchange.drops = typeof fault === "string" && fault.startsWith("drop");
    await send(exchange.response, outgoing, { behaviour, sleep: this.#sleep, signal });
  }

  /** What is answered whatever the behaviour is. */
  #early(incoming: Incoming): Outgoing | undefined {
    const { route, path, key, bytes } = incoming;
    if (path === "/stand-in") return this.#control(bytes);
    if (route === undefined) return refusal(incoming, 404, `the stand-in has no ${path}`);
    return this.#options.requireKey === true && key === "" ? refusal(incoming, 401) : undefined;
  }

  /** `/stand-in`: counters; what is posted there is what it does from now on. */
  #control(bytes: Buffer): Outgoing {
    if (bytes.length > 0) this.behave(JSON.parse(bytes.toString()) as Behaviours);
    return whole(200, this.#records.counters);
  }

  #behaviourOf({ route, bytes, headers, key }: Incoming): Behaviour {
    const header = headers["x-stand-in"];
    const layers = Object.keys(this.#byModel).length > 0 || Object.keys(this.#byKey).length > 0 || header !== undefined;
    let behaviour = this.#behaviour;
    if (layers) {
      const model = route?.kind === "models" ? "" : String(parse(bytes)["model"]);
      const own = (table: Readonly<Record<string, Behaviour>>, name: string): Behaviour | undefined =>
        Object.hasOwn(table, name) ? table[name] : undefined;
      behaviour = {
        ...behaviour,
        ...own(this.#byModel, model),
        ...own(this.#byKey, key),
        ...(typeof header === "string" ? readBehaviour(header) : {}),
      };
    }
    return this.#withoutSpentFault(behaviour);
  }

  #withoutSpentFault(behaviour: Behaviour): Behaviour {
    const { fault, failFirst, scenario = "", ...well } = behaviour;
    if (fault === undefined || failFirst === undefined) return behaviour;
    const failed = this.#failed.get(scenario) ?? 0;
    if (failed >= failFirst) return well;
    this.#failed.set(scenario, failed + 1);
    return behaviour;
  }

  #reply(incoming: Incoming, behaviour: Behaviour): Outgoing {
    const { route, path, bytes } = incoming;
    if (route === undefined) return refusal(incoming, 404);
    const { fault } = behaviour;
    if (typeof fault === "number") return refusal(incoming, fault, undefined, retryHeaders(behaviour));
    if (fault === "redirect") return { ...whole(307, {}), headers: { location: `${path}?redirected` } };
    if (route.kind === "models") return modelsOutgoing(route, this.#options.models);
    if (behaviour.bytes !== undefined && fault === undefined) return this.#fixedOutgoing(route, bytes, behaviour);
    let json: Json;
    try {
      json = parse(bytes);
    } catch {
      return refusal(incoming, 400, "the body is not a JSON object");
    }
    if (fault === "error_in_stream" && json["stream"] !== true) return refusal(incoming, 529, undefined, retryHeaders(behaviour));
    const asked = readAsked(json);
    const text =
      fault === "bad_utf8" || fault === "huge_body"
        ? MARKER
        : (behaviour.text ?? (behaviour.bytes === undefined ? undefined : fixedText(behaviour.bytes)));
    const chunks = text === MARKER ? 1 : behaviour.chunks;
    const reply = route.reply(asked, answerTo(asked, { text, chunks }));
    const body = makeBody(reply, behaviour, route.failure);
    if (fault === "wrong_content_type")
      return { status: 200, headers: {}, body: { type: "text/html", pieces: [Buffer.from("<html>stand-in</html>")] } };
    return { status: 200, headers: {}, body };
  }

  /** An answer of a fixed size: the body of the request is only asked whether it wants a stream. */
  #fixedOutgoing(route: Route, bytes: Buffer, behaviour: Behaviour): Outgoing {
    const stream = wantsStream(bytes);
    const name = `${route.kind} ${stream} ${JSON.stringify(behaviour)}`;
    const known = this.#prepared.get(name);
    if (known !== undefined) return known;
    const outgoing = fixedAnswer(route, stream, behaviour);
    if (this.#prepared.size < 100) this.#prepared.set(name, outgoing);
    return outgoing;
  }
}

function parse(bytes: Buffer): Json {
  const json: unknown = JSON.parse(bytes.toString());
  if (!isJson(json)) throw new Error("the body is not a JSON object");
  return json;
}

function whole(status: number, json: unknown, headers: Readonly<Record<string, string>> = {}): Outgoing {
  return { status, headers, body: { type: JSON_TYPE, pieces: [Buffer.from(JSON.stringify(json))] } };
}

function refusal({ route }: Incoming, status: number, message?: string, headers: Readonly<Record<string, string>> = {}): Outgoing {
  return whole(status, errorBody(route?.vendor ?? "openai", status, message), headers);
}

function retryHeaders({ retryAfterSecs, retryAfterDateSecs, retryAfterMs }: Behaviour): Record<string, string> {
  return {
    ...(retryAfterSecs === undefined ? {} : { "retry-after": String(retryAfterSecs) }),
    ...(retryAfterDateSecs === undefined ? {} : { "retry-after": new Date(Date.now() + retryAfterDateSecs * 1000).toUTCString() }),
    ...(retryAfterMs === undefined ? {} : { "retry-after-ms": String(retryAfterMs) }),
  };
}

function modelsOutgoing(route: Route, models: readonly string[] = ["stand-in", "stand-in-small"]): Outgoing {
  const found = modelsReply(route, models);
  return found === undefined ? whole(404, errorBody(route.vendor, 404)) : whole(200, found);
}

function seenRequest(request: IncomingMessage, { path, key, bytes }: Incoming): Omit<SeenRequest, "outcome"> {
  const body = bytes.toString();
  let json: Json = {};
  try {
    json = parse(bytes);
  } catch {
    // What is no JSON is remembered as text.
  }
  const model = typeof json["model"] === "string" ? json["model"] : "";
  return { method: request.method ?? "", path, headers: request.headers, body, json, model, key, stream: json["stream"] === true };
}
