// A gateway with the six plugins that are shipped, loaded as docs/gateway-plugins.md shows them, and clients with keys.

import { createHash } from "node:crypto";

import { type JsonObject, type LoadOptions, createMemoryStore, createServices } from "mortise";
import { type Config, parseConfig, resolveSecrets, toPluginOptions } from "mortise/config";
import type { GatewayOptions } from "mortise/gateway";

import { ROOT } from "../cli/run-cli.ts";
import { codeBlocks, readPage } from "../docs/pages.ts";
import type { StandInOptions } from "./stand-in/start-stand-in.ts";
import { PATHS, type Stage, eventsOf, post, startStage } from "./start-gateway.ts";

/** In the middle of a day. */
const NOON = Date.UTC(2024, 1, 28, 12);
const CLIENTS = ["ann", "bob"] as const;
type Client = (typeof CLIENTS)[number];
/** Interfaces with conversations. */
export const APIS = ["chat", "messages", "responses"] as const;
export type Api = (typeof APIS)[number];

/** What is other than in the page. */
export interface ShippedOptions {
  /** Configurations by the name of a plugin. */
  readonly configs?: Readonly<Record<string, NonNullable<LoadOptions["config"]>>>;
  readonly gateway?: Partial<GatewayOptions>;
  readonly standIn?: StandInOptions;
}

/** A gateway, and what its plugins share. */
export interface ShippedStage extends Stage {
  /** Milliseconds since 1970, for plugins. */
  readonly time: { now: number };
  /** Posts JSON, or text as it is, and reads the answer. */
  readonly ask: (
    api: Api,
    body: unknown,
    more?: { readonly client?: Client; readonly headers?: Readonly<Record<string, string>> },
  ) => Promise<Answer>;
  /** What the plugin `audit` says of its records. */
  readonly verify: () => Promise<JsonObject>;
  /** Tokens that the plugin `budget` has counted, by client. */
  readonly used: () => Readonly<Record<string, number>>;
}

/** An answer, whole or a stream. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: string;
  /** What the model says. */
  readonly text: string;
}

/** The page's plugins, each with its order and its permissions. */
export async function documentedPlugins(): Promise<Config> {
  const shown = codeBlocks(readPage("docs/gateway-plugins.md")).filter(({ info }) => info === "toml");
  return parseConfig(shown.map(({ body }) => body).join("\n"), { folder: ROOT });
}

/** Starts it. Clients are ann and bob; what one client asks, others are not told. */
export async function startShipped({ configs = {}, gateway = {}, standIn = {} }: ShippedOptions = {}): Promise<ShippedStage> {
  const time = { now: NOON };
  const store = createMemoryStore();
  const services = createServices({ clock: () => time.now, store });
  const clients = CLIENTS.map((name) => ({ name, sha256: createHash("sha256").update(keyOf(name)).digest("hex") }));
  const stage = await startStage({ services, clients, ...gateway }, standIn);
  const { plugins } = await documentedPlugins();
  for (const plugin of plugins) {
    const { source, options } = toPluginOptions(plugin, await resolveSecrets(plugin, { env: { AUDIT_KEY: "0123456789abcdef" } }));
    const config = { ...options.config, ...configs[options.name] };
    await stage.gateway.host.plugins.load(source, { ...options, config });
  }
  return {
    ...stage,
    time,
    async ask(api, body, { client = "ann", headers = {} } = {}) {
      const response = await post(stage.url + PATHS[api], body, { authorization: `Bearer ${keyOf(client)}`, ...headers });
      const text = await response.text();
      const isStream = response.headers.get("content-type")?.startsWith("text/event-stream") === true;
      return { status: response.status, headers: response.headers, body: text, text: isStream ? streamText(api, text) : wholeText(api, text) };
    },
    verify: async () => (await stage.gateway.host.plugins.get("audit")?.call("verify"))?.json() as JsonObject,
    used() {
      const keys = store.list("kv:budget", { prefix: "used:", limit: 100 });
      // used:window:length:client:model
      return Object.fromEntries(keys.map((key) => [key.split(":")[3], Number(Buffer.from(store.get("kv:budget", key) ?? []).toString())]));
    },
    async [Symbol.asyncDispose]() {
      await stage[Symbol.asyncDispose]();
      await services.close();
    },
  };
}

/** What is read, as soon as it passes; after many turns of the event loop as it is. Observers are not waited for by requests. */
export async function until<T>(read: () => T | Promise<T>, passes: (value: T) => boolean): Promise<T> {
  for (let turns = 0; ; turns++) {
    const value = await read();
    if (turns === 5000 || passes(value)) return value;
    await new Promise(setImmediate);
  }
}

function keyOf(client: Client): string {
  return `key of ${client}`.replaceAll(" ", "-");
}

// oxlint-disable typescript/no-explicit-any, typescript/no-unsafe-member-access -- answers of every shape; a test fails if they are wrong
function wholeText(api: Api, body: string): string {
  const json: any = JSON.parse(body);
  if (json.error != null) return "";
  const said = { chat: () => json.choices[0].message.content, messages: () => json.content[0].text, responses: () => json.output[0].content[0].text };
  return said[api]();
}

function streamText(api: Api, body: string): string {
  const said: Record<Api, (event: any) => string | undefined> = {
    chat: (event) => event.choices?.[0]?.delta?.content,
    messages: (event) => (event.type === "content_block_delta" ? event.delta.text : undefined),
    responses: (event) => (event.type === "response.output_text.delta" ? event.delta : undefined),
  };
  return eventsOf(body)
    .map((event) => said[api](event) ?? "")
    .join("");
}
