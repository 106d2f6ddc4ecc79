// Gateways for tests: real providers of Wasm in front of the stand-in, plugins, and clients.

import type { LoadOptions, Plugin } from "mortise";
import { type Gateway, type GatewayOptions, type ProviderSource, createGateway } from "mortise/gateway";

import { readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { type ShippedProviderName, kitNamed } from "../../scripts/kits-table.ts";
import { type Does, guest } from "../hooks/guests.ts";
import { textProvider } from "../providers/text-provider.ts";
import { type StandIn, type StandInOptions, startStandIn } from "./stand-in/start-stand-in.ts";

/** What the modules of {@link textProvider} import besides. */
const UNUSED = ["qmt_http_request", "qmt_http_stream_open", "qmt_http_stream_next", "qmt_http_stream_close", "qmt_yield_chunk", "qmt_log"];
/** No retries: a test that wants them says so. */
const ATTEMPTS = { retries: 0 };

/** A gateway, and the server behind it. */
export interface Stage extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly standIn: StandIn;
  /** Where the gateway listens. */
  readonly url: string;
  /** Loads a plugin whose exports do what is said of them. */
  plugin(name: string, exports: Readonly<Record<string, Does>>, options?: LoadOptions): Promise<Plugin>;
  /** Loads a plugin that notes what its exports are sent, and answers with a text or traps; gives what they were sent. */
  spy(name: string, exports: Readonly<Record<string, string>>, options?: LoadOptions): Promise<Sent>;
}

/** What a function of a plugin was sent, oldest first. */
// oxlint-disable-next-line typescript/no-explicit-any -- tests look into messages of every shape, and fail if they are wrong
export type Sent = (fn: string) => any[];

/** A provider that asks the stand-in. */
export function shipped(name: ShippedProviderName, { url }: Pick<StandIn, "url">, options: Partial<ProviderSource> = {}): ProviderSource {
  const { host } = new URL(url);
  const { options: own, ...rest } = options;
  const config = { base_url: `${url}/v1`, model: "stand-in", ...(name === "provider-openai" && { responses: true }) };
  return {
    source: readKitPrebuilt(kitNamed(name)),
    options: { apiKey: "sk-upstream", permissions: { hosts: [host] }, config, ...own },
    ...rest,
  };
}

/** Starts both. The providers are `oai` and `ant`, which speak OpenAI's and Anthropic's interface; models without a name go to the first. */
export async function startStage(options: Partial<GatewayOptions> = {}, behaviours: StandInOptions = {}): Promise<Stage> {
  const standIn = await startStandIn(behaviours);
  try {
    const gateway = await createGateway({
      providers: { oai: shipped("provider-openai", standIn), ant: shipped("provider-anthropic", standIn) },
      defaultProvider: "oai",
      attempts: ATTEMPTS,
      ...options,
    });
    const { url } = await gateway.start();
    return {
      gateway,
      standIn,
      url,
      plugin: async (name, exports, load = {}) => gateway.host.plugins.load(await guest(exports), { name, ...load }),
      spy: async (name, exports, load = {}) => {
        const { wasm, inputs, hostFunctions } = await textProvider(exports);
        const unused = Object.fromEntries(UNUSED.map((fn) => [fn, () => 0n]));
        const functions = { "extism:host/user": { ...unused, ...hostFunctions["extism:host/user"] } };
        await gateway.host.plugins.load(wasm, { name, hostFunctions: functions, abi: "extism", ...load });
        return (fn) => inputs(fn).map((text) => JSON.parse(text));
      },
      async [Symbol.asyncDispose]() {
        await gateway.close({ drainMs: 0 });
        await standIn.close();
      },
    };
  } catch (error) {
    await standIn.close();
    throw error;
  }
}

/** Bodies of requests that say a text. */
export const say = {
  chat: (text: string, more: object = {}) => ({ model: "m", messages: [{ role: "user", content: text }], ...more }),
  messages: (text: string, more: object = {}) => ({ model: "ant/m", max_tokens: 64, messages: [{ role: "user", content: text }], ...more }),
  responses: (text: string, more: object = {}) => ({ model: "m", input: text, ...more }),
  embeddings: (text: string, more: object = {}) => ({ model: "m", input: text, ...more }),
} as const;

export const PATHS = {
  chat: "/v1/chat/completions",
  messages: "/v1/messages",
  responses: "/v1/responses",
  embeddings: "/v1/embeddings",
} as const;

/** A request that posts JSON, or text as it is. */
export function posting(body: unknown, headers: Readonly<Record<string, string>> = {}): RequestInit {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return { method: "POST", headers: { "content-type": "application/json", ...headers }, body: text };
}

/** Posts JSON, or text as it is. */
export function post(url: string, body: unknown, headers?: Readonly<Record<string, string>>, signal?: AbortSignal): Promise<Response> {
  return fetch(url, { ...posting(body, headers), ...(signal !== undefined && { signal }) });
}

/** An answer in JSON. */
// oxlint-disable-next-line typescript/no-explicit-any -- tests look into answers of every shape, and fail if they are wrong
export async function json(response: Promise<Response> | Response): Promise<any> {
  return (await response).json();
}

/** The body of the server's n-th request. */
// oxlint-disable-next-line typescript/no-explicit-any -- as for answers
export function sentTo({ standIn }: Stage, index: number): any {
  return standIn.requests[index]?.json;
}

/** The data of a stream's events, parsed but for `[DONE]`. */
export function eventsOf(text: string): unknown[] {
  return text
    .split("\n\n")
    .flatMap((event) => event.split("\n").filter((line) => line.startsWith("data: ")))
    .map((line) => (line === "data: [DONE]" ? "[DONE]" : JSON.parse(line.slice("data: ".length))));
}

interface Delta {
  readonly choices?: readonly { readonly delta?: { readonly content?: string } }[];
}

/** The text of a stream of chat completions. */
export function textOf(stream: string): string {
  return eventsOf(stream)
    .map((event) => (event as Delta).choices?.[0]?.delta?.content ?? "")
    .join("");
}

/** A completion that plugins answer with. */
export function completion(text: string): object {
  return { choices: [{ index: 0, message: { role: "assistant", content: text }, finish_reason: "stop" }] };
}

/** Bytes as they are in the JSON of HTTP hooks. */
export function base64(value: unknown): string {
  return Buffer.from(typeof value === "string" ? value : JSON.stringify(value)).toString("base64");
}

/** What {@link base64} was made from. */
export function unbase64(text: string): string {
  return Buffer.from(text, "base64").toString();
}
