// The quick way for benchmarks: whole answers of a fixed size, made once, so that they cost little more than node:http does.

import type { IncomingMessage, ServerResponse } from "node:http";

import { answerTo } from "./answer.ts";
import type { Behaviour } from "./behaviour.ts";
import { makeBody } from "./body.ts";
import { readAsked } from "./request.ts";
import { type Route, routeOf } from "./routes.ts";
import type { Outgoing } from "./send.ts";

/** Text of a fixed size. */
export function fixedText(bytes: number): string {
  return "stand in ".repeat(Math.ceil(bytes / 9)).slice(0, bytes);
}

/** True for a request that wants a stream, without reading its JSON. */
export function wantsStream(bytes: Buffer): boolean {
  return bytes.includes('"stream":true') || bytes.includes('"stream": true');
}

/** The answer of a fixed size to a route. */
export function fixedAnswer(route: Route, stream: boolean, behaviour: Behaviour): Outgoing {
  const asked = readAsked({ model: "stand-in", stream, messages: [{ role: "user", content: "stand-in" }] });
  const reply = route.reply(asked, answerTo(asked, { text: fixedText(behaviour.bytes ?? 0), chunks: behaviour.chunks }));
  const body = makeBody(reply, behaviour, route.failure);
  const [only] = body.pieces;
  const length = body.pieces.length === 1 && only instanceof Uint8Array ? { "content-length": String(only.length) } : {};
  return { status: 200, headers: length, body };
}

const QUICK = new Set(["bytes", "chunks", "burst"]);

/** What is known of a path, so that nothing has to be found out again. */
interface Quick {
  readonly headers: readonly string[];
  readonly bytes: Uint8Array;
}

/** Answers by path, as long as nothing is asked for that makes a difference. */
export class FixedAnswers {
  readonly #behaviour: Behaviour;
  readonly #byPath = new Map<string, Quick | undefined>();

  private constructor(behaviour: Behaviour) {
    this.#behaviour = behaviour;
  }

  /** Undefined for a behaviour that does more than this can. */
  static for(behaviour: Behaviour): FixedAnswers | undefined {
    return behaviour.bytes !== undefined && Object.keys(behaviour).every((name) => QUICK.has(name)) ? new FixedAnswers(behaviour) : undefined;
  }

  /** True for a request that it may answer. */
  takes(request: IncomingMessage): boolean {
    return request.method === "POST" && request.headers["x-stand-in"] === undefined && this.#quick(request.url ?? "") !== undefined;
  }

  answer(request: IncomingMessage, response: ServerResponse): void {
    const quick = this.#quick(request.url ?? "");
    response.sendDate = false;
    response.writeHead(200, quick?.headers as string[]);
    response.end(quick?.bytes);
  }

  #quick(url: string): Quick | undefined {
    if (this.#byPath.has(url)) return this.#byPath.get(url);
    const route = routeOf("POST", url.split("?", 1)[0] ?? "", {});
    let quick: Quick | undefined;
    if (route !== undefined) {
      const [bytes] = fixedAnswer(route, false, this.#behaviour).body.pieces;
      if (bytes instanceof Uint8Array) quick = { headers: ["content-type", "application/json", "content-length", String(bytes.length)], bytes };
    }
    if (this.#byPath.size < 100) this.#byPath.set(url, quick);
    return quick;
  }
}
