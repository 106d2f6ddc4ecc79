// A server that records what it is sent, and answers what a test says.

import type { IncomingHttpHeaders, ServerResponse } from "node:http";

import { readKitPrebuilt } from "../../../scripts/kits-manifest.ts";
import { type ShippedProviderName, kitNamed } from "../../../scripts/kits-table.ts";
import {
  type ChatRequest,
  type Plugin,
  type Provider,
  type ProviderOptions,
  type StreamChunk,
  isMortiseError,
  loadPlugin,
  loadProvider,
} from "mortise";
import { type Listening, bodyOf, httpServer } from "../../http/servers.ts";

/** A request as it came. */
export interface Sent {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Record<string, unknown>;
}

export interface VendorServer extends AsyncDisposable {
  readonly url: string;
  /** The entry that grants it. */
  readonly host: string;
  readonly sent: Sent[];
  readonly listening: Listening;
}

export type Reply = (response: ServerResponse, sent: Sent) => void | Promise<void>;

export async function vendorServer(reply: Reply): Promise<VendorServer> {
  const sent: Sent[] = [];
  const listening = await httpServer(async (message, response) => {
    const text = (await bodyOf(message)).toString();
    const body = text === "" ? {} : (JSON.parse(text) as Record<string, unknown>);
    const one: Sent = { method: message.method ?? "", path: message.url ?? "", headers: message.headers, body };
    sent.push(one);
    await reply(response, one);
  });
  const host = `127.0.0.1:${listening.port}`;
  return { url: `http://${host}`, host, sent, listening, [Symbol.asyncDispose]: () => listening[Symbol.asyncDispose]() };
}

/** Answers with JSON, or with text or bytes as they are. */
export function json(body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Reply {
  return (response) => {
    response.writeHead(status, { "content-type": "application/json", ...headers });
    response.end(typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body));
  };
}

/** Answers with a stream in pieces of a size. */
export function stream(text: string, pieceBytes = Number.MAX_SAFE_INTEGER): Reply {
  return async (response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      response.write(bytes.subarray(at, at + pieceBytes));
      if (pieceBytes < bytes.length) await new Promise((resolve) => setImmediate(resolve));
    }
    response.end();
  };
}

export const KEY = "sk-very-secret-4711";

/** A shipped provider for a server. */
export function loadShipped(kit: ShippedProviderName, { url, host }: VendorServer, path = "/v1", options: ProviderOptions = {}): Promise<Provider> {
  return loadProvider(readKitPrebuilt(kitNamed(kit)), {
    name: kit,
    apiKey: KEY,
    permissions: { hosts: [host] },
    ...options,
    config: { model: "small", base_url: `${url}${path}`, ...options.config },
  });
}

/** The same module as a plugin, for calling its functions one by one. */
export function loadGuest(kit: ShippedProviderName): Promise<Plugin> {
  return loadPlugin(readKitPrebuilt(kitNamed(kit)), { abi: "querymt", name: kit });
}

export function say(text: string, rest: Partial<ChatRequest> = {}): ChatRequest {
  return { messages: [{ role: "User", content: [{ type: "text", text }] }], ...rest };
}

export async function collect(chunks: AsyncIterable<StreamChunk>): Promise<StreamChunk[]> {
  const all: StreamChunk[] = [];
  for await (const chunk of chunks) all.push(chunk);
  return all;
}

export interface End {
  readonly code: string;
  readonly message: string;
  readonly payload: Record<string, unknown>;
  readonly retryable: unknown;
  readonly retryAfterSecs: unknown;
}

/** How a promise failed. */
export async function endOf(promise: Promise<unknown>): Promise<End> {
  try {
    await promise;
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    const { code, message, details } = error;
    const payload = (details["payload"] ?? {}) as Record<string, unknown>;
    return { code, message, payload, retryable: details["retryable"], retryAfterSecs: details["retryAfterSecs"] };
  }
  throw new Error("it succeeded");
}
