// Plugins around a client's request: what they see of it, and what they make of it.

import { type HttpRequest, type HttpResponse, MortiseError, type OpenBracket } from "mortise";

import type { Exchange } from "./exchange.ts";
import type { Reply } from "./reply.ts";
import type { Turn } from "./turn.ts";

/** Headers of a plugin's response that are the connection's. */
const OWN_HEADERS: ReadonlySet<string> = new Set(["connection", "content-length", "keep-alive", "transfer-encoding", "upgrade", "trailer", "date"]);

/** Statuses whose responses end with their head: what came after it could be taken for the next response. */
const NO_BODY: ReadonlySet<number> = new Set([204, 205, 304]);

/** A request that plugins have seen. */
export class HttpSession implements Disposable {
  /** The request as plugins made it. */
  readonly request: HttpRequest;
  readonly #bracket: OpenBracket<HttpRequest, HttpResponse>;

  constructor(bracket: OpenBracket<HttpRequest, HttpResponse>) {
    this.#bracket = bracket;
    this.request = bracket.input;
  }

  /** The response with which a plugin ended the request. @throws MortiseError why plugins stopped it */
  early(requestId: string): Reply | undefined {
    const { early } = this.#bracket;
    if (early === undefined) return undefined;
    if (early.ok) return replyOf(early.output, requestId);
    throw early.error;
  }

  /** @throws MortiseError MORTISE_GATEWAY_MOVED */
  checkUnmoved({ method, path }: Exchange): void {
    if (this.request.method !== method) throw new MortiseError("MORTISE_GATEWAY_MOVED", { what: "method", found: this.request.method });
    if (this.request.path !== path) throw new MortiseError("MORTISE_GATEWAY_MOVED", { what: "path", found: this.request.path });
  }

  /** Shows plugins the answer. @throws MortiseError why they keep it back */
  async after({ status, headers, body }: Reply): Promise<void> {
    if (!this.#bracket.asksAfter) return;
    const bytes = typeof body === "string" ? Buffer.from(body) : body;
    await this.#end({ status_code: status, headers: recordOf(headers), body: bytes });
  }

  /** Shows plugins that a stream is over. Nothing can be kept back any more: their failures are told on the channels alone. */
  async afterStream(status: number, headers: readonly string[]): Promise<void> {
    if (!this.#bracket.asksAfter) return;
    await this.#end({ status_code: status, headers: recordOf(headers), body: null }).catch(() => {});
  }

  async #end(output: HttpResponse): Promise<void> {
    const ending = await this.#bracket.end({ ok: true, output });
    if (!ending.ok) throw ending.error;
  }

  [Symbol.dispose](): void {
    this.#bracket[Symbol.dispose]();
  }
}

/** Asks plugins before a request is read. */
export async function openHttpSession(turn: Turn, body: Uint8Array): Promise<HttpSession> {
  return new HttpSession(await turn.core.host.hooks.http.open(requestOf(turn, body), { request: turn.context }));
}

/** The request that plugins are shown with each piece of a stream: without its body, which is the same each time. */
export function shownRequest(turn: Turn, session: HttpSession | undefined): HttpRequest {
  return session === undefined ? requestOf(turn, null) : { ...session.request, body: null };
}

function requestOf(turn: Turn, body: Uint8Array | null): HttpRequest {
  const { method, path, query } = turn.exchange;
  return { method, path, headers: shownHeaders(turn), query: Object.fromEntries(new URLSearchParams(query)), body };
}

/** Headers under the names that the client wrote, without those that have the key that is the gateway's own. */
function shownHeaders({ exchange, keyHeader }: Turn): Record<string, string> {
  const shown: Record<string, string> = {};
  const key = keyHeader === undefined ? undefined : exchange.headers[keyHeader]?.trim().split(" ").at(-1);
  for (const name of exchange.headerNames()) {
    const value = exchange.headers[name.toLowerCase()];
    if (value === undefined || name === "__proto__" || (key !== undefined && value.includes(key))) continue;
    shown[name] = value;
  }
  return shown;
}

function recordOf(headers: readonly string[]): Record<string, string> {
  const record: Record<string, string> = {};
  for (let index = 0; index < headers.length; index += 2) record[headers[index] as string] = headers[index + 1] as string;
  return record;
}

function replyOf({ status_code: status, headers, body }: HttpResponse, requestId: string): Reply {
  const flat = ["x-request-id", requestId];
  for (const [name, value] of Object.entries(headers)) {
    const lower = name.toLowerCase();
    if (!OWN_HEADERS.has(lower) && lower !== "x-request-id") flat.push(name, value);
  }
  return { status, headers: flat, body: NO_BODY.has(status) ? "" : (body ?? "") };
}
