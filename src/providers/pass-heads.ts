// Heads of requests that pass through: a plugin builds one for a configuration, an interface and a kind of answer, and the host keeps it.

import type { HttpRequest } from "../api/http.ts";
import type { GuardedHttp, PreparedRequest } from "../services/http/guarded-http.ts";
import { readRequestBox } from "./http-wire.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import { providerError } from "./provider-errors.ts";

/** Interfaces of model servers that requests can pass through in. */
export const PASS_APIS = ["openai.chat", "openai.responses", "openai.embeddings", "anthropic.messages"] as const;
/** One of {@link PASS_APIS}. */
export type PassApi = (typeof PASS_APIS)[number];

/** The function that gives heads, an extension of generation 3. */
export const PASS_FUNCTION = "passthrough_request";

/** Configurations whose heads are kept; each has a key in it, and keys change. */
const MAX_CONFIGS = 128;

/** What heads are asked for with. */
export interface HeadQuestion {
  /** The configuration as JSON text. */
  readonly cfg: string;
  readonly api: PassApi;
  readonly stream: boolean;
}

/** What ends a question. */
export interface HeadTime {
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
}

/** The heads of one provider. */
export class PassHeads {
  readonly #guest: ProviderGuest;
  readonly #http: GuardedHttp;
  /** By configuration, the oldest first; then by interface and kind of answer. */
  readonly #kept = new Map<string, Map<string, PreparedRequest>>();

  constructor(guest: ProviderGuest, http: GuardedHttp) {
    this.#guest = guest;
    this.#http = http;
  }

  /** A head that is known. */
  known({ cfg, api, stream }: HeadQuestion): PreparedRequest | undefined {
    return this.#kept.get(cfg)?.get(stream ? STREAMS[api] : api);
  }

  /**
   * Asks the plugin for a head, which is checked and kept.
   *
   * @throws MortiseError MORTISE_PROVIDER_ERROR of the type `not_implemented` for an interface that the plugin has no head
   *   for, MORTISE_PROVIDER_OUTPUT, MORTISE_HTTP_DENIED, _INVALID or _LIMIT for its head, or why the plugin was stopped
   */
  async ask(question: HeadQuestion, time: HeadTime): Promise<PreparedRequest> {
    const request = await readHead(this.#guest, question, time);
    const giver = { plugin: this.#guest.name, function: PASS_FUNCTION };
    if (request === undefined)
      throw providerError(giver, { type: "not_implemented", message: `the plugin has no head for the interface "${question.api}"` });
    const prepared = this.#http.prepare(request, giver);
    this.#keep(question, prepared);
    return prepared;
  }

  #keep({ cfg, api, stream }: HeadQuestion, prepared: PreparedRequest): void {
    let heads = this.#kept.get(cfg);
    if (heads === undefined) {
      const [oldest] = this.#kept.keys();
      if (this.#kept.size >= MAX_CONFIGS && oldest !== undefined) this.#kept.delete(oldest);
      heads = new Map();
      this.#kept.set(cfg, heads);
    }
    heads.set(stream ? STREAMS[api] : api, prepared);
  }
}

const STREAMS: Readonly<Record<PassApi, string>> = {
  "openai.chat": "openai.chat stream",
  "openai.responses": "openai.responses stream",
  "openai.embeddings": "openai.embeddings stream",
  "anthropic.messages": "anthropic.messages stream",
};

const NULL = new TextEncoder().encode("null");

/** The head that a plugin builds; undefined if it has none for the interface. @throws as {@link PassHeads.ask} */
export async function readHead(guest: ProviderGuest, { cfg, api, stream }: HeadQuestion, time: HeadTime): Promise<HttpRequest | undefined> {
  const output = await guest.call(PASS_FUNCTION, `{"cfg":${cfg},"api":"${api}","stream":${stream}}`, time);
  const bytes = output.bytes();
  const shape = guest.shape(PASS_FUNCTION);
  if (bytes.length === NULL.length && NULL.every((byte, at) => byte === bytes[at])) return undefined;
  const request = readRequestBox(bytes, shape);
  if (request.body !== undefined) throw shape.fault("req.body", "empty: the body is the client's");
  return request;
}
