// One request to a model on its way through the gateway.

import { randomUUID } from "node:crypto";

import type { LlmRequest, RequestContext } from "mortise";

import { type Admitted, UNCOUNTED } from "./admission.ts";
import type { KnownClient } from "./client-keys.ts";
import type { Core, Setup } from "./core.ts";
import type { Exchange } from "./exchange.ts";
import type { Targets } from "./fallbacks.ts";
import type { RequestBody } from "./request-body.ts";
import { Tally } from "./tally.ts";
import type { ClientApi, ClientRequest } from "./types.ts";
import { type Codec, codecOf } from "./codecs.ts";

/** What a client asks, in its own words and in the common form. */
export interface Asked {
  readonly body: RequestBody;
  readonly request: ClientRequest;
  /** The server is asked for a usage at the end of the stream that the client has not asked for, and does not get. */
  readonly addsUsage: boolean;
  /** Headers as plugins made them, under the names that the client wrote; undefined where none was asked. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** Characters of the header `cache-control` that plugins are told of. */
const MAX_DIRECTIVES = 256;
/** Headers with which clients ask for more than their interface has; longer ones are not passed on either. */
const BETA_HEADERS: Readonly<Record<ClientApi, string>> = {
  chat: "openai-beta",
  responses: "openai-beta",
  embeddings: "openai-beta",
  messages: "anthropic-beta",
};
const MAX_BETA = 1024;

/** The state of one request. */
export class Turn {
  readonly core: Core;
  /** Providers and routes, as they were when the request came. */
  readonly setup: Setup;
  readonly exchange: Exchange;
  readonly id: string;
  readonly api: ClientApi;
  readonly codec: Codec;
  /** Name of the client, and the header that had its key, if clients have keys. */
  readonly client: string | undefined;
  readonly keyHeader: string | undefined;
  readonly beganMs: number;
  /** Milliseconds that its body took: what a slow client takes for that is taken from nobody's time. */
  readingMs = 0;
  /** Who was asked last. */
  provider = "";
  model = "";
  attempts = 0;
  /** Who is asked, and who after that; undefined until the request has been read. */
  targets: Targets | undefined;
  /** The name that the model's server gave the request. */
  upstreamId: string | undefined;
  /** A plugin has had the model asked once more. */
  isRepaired = false;
  /** What answers took. */
  readonly tally = new Tally();
  /** Counts that for the client. */
  admitted: Admitted = UNCOUNTED;
  /** Headers for the answer, whatever it is: names and values in turn. */
  readonly headers: string[] = [];
  #context: RequestContext | undefined;

  constructor(core: Core, exchange: Exchange, id: string, api: ClientApi, client: KnownClient | undefined) {
    this.core = core;
    this.setup = core.setup;
    this.exchange = exchange;
    this.id = id;
    this.api = api;
    this.codec = codecOf(api);
    this.client = client?.name;
    this.keyHeader = client?.header;
    this.beganMs = core.clock();
  }

  /** What travels through all hooks; made when the first hook needs it. */
  get context(): RequestContext {
    return (this.#context ??= this.#newContext());
  }

  #newContext(): RequestContext {
    const { traceparent, "cache-control": cacheControl = "", [BETA_HEADERS[this.api]]: beta = "" } = this.exchange.headers;
    return this.core.host.request({
      id: this.id,
      ...(traceparent !== undefined && { traceparent }),
      attributes: {
        api: this.api,
        ...(this.client !== undefined && { client: this.client }),
        ...(cacheControl !== "" && cacheControl.length <= MAX_DIRECTIVES && { "cache-control": cacheControl.toLowerCase() }),
        ...(beta !== "" && beta.length <= MAX_BETA && { beta }),
      },
      timeoutMs: this.timeLeftMs,
      signal: this.exchange.signal,
    });
  }

  /** Milliseconds until the request must be over. */
  get timeLeftMs(): number {
    return this.core.limits.timeoutMs - (this.core.clock() - this.beganMs - this.readingMs);
  }

  /** An attempt begins. */
  asks(llm: Pick<LlmRequest, "provider" | "model">): void {
    this.attempts++;
    this.redirected(llm);
  }

  /** Notes who is asked. */
  redirected({ provider, model }: Pick<LlmRequest, "provider" | "model">): void {
    this.provider = provider;
    this.model = model;
    if (this.#context === undefined) return;
    const { attributes } = this.#context;
    attributes.set("provider", provider);
    attributes.set("model", model);
    attributes.set("attempt", String(this.attempts));
  }

  /** What an answer is known by that the gateway makes itself. */
  answerIds(): { readonly id: string; readonly created: number } {
    return { id: `chatcmpl-${randomUUID()}`, created: Math.floor(Date.now() / 1000) };
  }
}
