// The providers that the SDKs are tried with: what stands behind each, what it does, and what it refuses.

import { createHash } from "node:crypto";

import { Anthropic } from "@anthropic-ai/sdk";
import { type Gateway, type ModelProvider, createGateway } from "mortise/gateway";
import { loadProvider } from "mortise";
import { OpenAI } from "openai";

import { readPrebuilt } from "../../../scripts/guests-manifest.ts";
import { guestNamed } from "../../../scripts/guests-table.ts";
import { readKitPrebuilt } from "../../../scripts/kits-manifest.ts";
import { type KitName, kitNamed } from "../../../scripts/kits-table.ts";
import type { Behaviour } from "../stand-in/behaviour.ts";
import { startStandIn } from "../stand-in/start-stand-in.ts";
import { startGoogle } from "./google-server.ts";
import { nativeProvider } from "./native-provider.ts";

/** Models that fail, and how. All servers know them. */
export const FAULTS: Readonly<Record<string, Behaviour>> = {
  "fault-400": { fault: 400 },
  "fault-401": { fault: 401 },
  "fault-429": { fault: 429, retryAfterSecs: 1 },
  "fault-once-openai": { fault: 429, retryAfterSecs: 1, failFirst: 1, scenario: "openai" },
  "fault-once-anthropic": { fault: 429, retryAfterSecs: 1, failFirst: 1, scenario: "anthropic" },
  "fault-500": { fault: 500 },
  "fault-503": { fault: 503 },
  "fault-silent": { fault: "never" },
  "fault-middle": { fault: "error_in_stream" },
  "fault-cut": { fault: "no_end" },
  "fault-stall": { fault: "stall" },
};

const CLIENT_KEY = "key-of-the-client";
const SERVER_KEY = "sk-of-the-gateway-4711";
/** Milliseconds that nobody has to wait for but a server that is silent. */
const ATTEMPT_MS = 400;

/** A server behind a provider. */
export interface Upstream {
  /** With the path that all requests have in common. */
  readonly url: string;
  readonly host: string;
  /** JSON of the requests, oldest first. */
  readonly bodies: () => readonly unknown[];
  readonly keys: () => readonly string[];
  /** Requests whose client went away. */
  readonly left: () => number;
  /** When no request is open. */
  readonly settled: () => Promise<void>;
  readonly close: () => Promise<void>;
}

/** What not every provider can do; a pattern is that of the refusal. */
export interface Abilities {
  /** Vectors. */
  readonly embeddings: true | RegExp;
  /** Vectors of so many numbers as are asked for. */
  readonly dimensions: true | RegExp;
  /** Answers by a schema. */
  readonly schema: true | RegExp;
  /** Thinking that is asked for, with its signature; or none, where the request is answered all the same. */
  readonly thinking: { readonly text: string; readonly signature: string } | "none";
  /** Where the server is shown an image; undefined if the provider passes it over. */
  readonly image: RegExp | undefined;
  /** There is a server behind it, which may fail. */
  readonly server: boolean;
  /** How the names of those operations begin whose clients take a stream that was cut for a whole one. */
  readonly missesCuts: readonly string[];
}

/** A provider that is tried. */
export interface Subject extends Abilities {
  readonly name: string;
  /** What it says to a text. */
  readonly says: (text: string) => string;
  /** What it calls a tool with whose schema has a `text`. */
  readonly calls: (text: string) => object;
  /** A model that it lists. */
  readonly lists: string;
  readonly open: () => Promise<{ readonly provider: ModelProvider & Partial<AsyncDisposable>; readonly upstream: Upstream | undefined }>;
}

async function standIn(): Promise<Upstream> {
  const server = await startStandIn({ byModel: FAULTS });
  return {
    url: `${server.url}/v1`,
    host: new URL(server.url).host,
    bodies: () => server.requests.map(({ json }) => json),
    keys: () => server.requests.map(({ key }) => key),
    left: () => server.counters.clientsLeft,
    settled: () => server.settled(),
    close: () => server.close(),
  };
}

async function openKit(kit: KitName, upstream: Upstream, more: object = {}): ReturnType<Subject["open"]> {
  const config = { base_url: upstream.url, model: "alpha", ...more };
  const source = readKitPrebuilt(kitNamed(kit));
  return { provider: await loadProvider(source, { name: kit, apiKey: SERVER_KEY, permissions: { hosts: [upstream.host] }, config }), upstream };
}

const same = (text: string): string => text;
const ALL = {
  embeddings: true,
  dimensions: true,
  schema: true,
  thinking: "none",
  server: true,
  missesCuts: [],
  says: same,
  calls: (text: string) => ({ text }),
} as const;
const OPENAI_IMAGE = /"image_url":\{"url":"data:image\/png;base64,iVBOR/;

export const SUBJECTS: readonly Subject[] = [
  {
    ...ALL,
    name: "provider-openai",
    lists: "stand-in-small",
    image: OPENAI_IMAGE,
    // The server's bytes go through as they are, and the package does not mind.
    missesCuts: ["openai, responses"],
    open: async () => openKit("provider-openai", await standIn(), { responses: true }),
  },
  {
    ...ALL,
    name: "provider-anthropic",
    lists: "stand-in-small",
    embeddings: /embed/,
    dimensions: /embed/,
    thinking: { text: "I say what I hear.", signature: "c3RhbmQtaW4=" },
    image: /"source":\{[^}]*"data":"iVBOR/,
    open: async () => openKit("provider-anthropic", await standIn()),
  },
  {
    ...ALL,
    name: "provider-google",
    lists: "small",
    thinking: { text: "I say what I hear.", signature: "" },
    image: /"inlineData":\{"mimeType":"image\/png","data":"iVBOR/,
    open: async () => openKit("provider-google", await startGoogle(FAULTS)),
  },
  {
    ...ALL,
    name: "echo",
    lists: "echo",
    image: undefined,
    server: false,
    says: (text) => `echo: ${text}`,
    calls: () => ({ text: "echo" }),
    open: async () => ({ provider: await loadProvider(readPrebuilt(guestNamed("provider_echo.c")), { name: "echo" }), upstream: undefined }),
  },
  {
    ...ALL,
    name: "provider2-rust, a kit of the second generation",
    lists: "stand-in-small",
    dimensions: /dimensions/,
    schema: /response_format/,
    // It says that the model stopped whatever the server says.
    missesCuts: [""],
    image: OPENAI_IMAGE,
    open: async () => openKit("provider2-rust", await standIn()),
  },
  {
    ...ALL,
    name: "code of the application",
    lists: "native",
    image: undefined,
    server: false,
    open: () => Promise.resolve({ provider: nativeProvider(), upstream: undefined }),
  },
];

/** A gateway with one provider, and the official clients for it. */
export interface Scene extends AsyncDisposable {
  readonly gateway: Gateway;
  readonly url: string;
  readonly upstream: Upstream | undefined;
  readonly openai: OpenAI;
  readonly anthropic: Anthropic;
  /** Clients with other options. */
  readonly openaiWith: (options: object) => OpenAI;
  readonly anthropicWith: (options: object) => Anthropic;
}

/** Opens it. Models are `alpha`, those that fail, and what the provider lists. */
export async function openScene(subject: Subject): Promise<Scene> {
  const { provider, upstream } = await subject.open();
  const sha256 = createHash("sha256").update(CLIENT_KEY).digest("hex");
  const gateway = await createGateway({
    providers: { p: { provider, models: ["alpha", "fault-*", subject.lists], onlyListed: true, breaker: false } },
    clients: [{ name: "sdk", sha256 }],
    attempts: { retries: 0, attemptTimeoutMs: ATTEMPT_MS },
  });
  const { url } = await gateway.start();
  const openaiWith = (options: object): OpenAI => new OpenAI({ apiKey: CLIENT_KEY, baseURL: `${url}/v1`, maxRetries: 0, ...options });
  const anthropicWith = (options: object): Anthropic => new Anthropic({ apiKey: CLIENT_KEY, baseURL: url, maxRetries: 0, ...options });
  return {
    gateway,
    url,
    upstream,
    openai: openaiWith({}),
    anthropic: anthropicWith({}),
    openaiWith,
    anthropicWith,
    [Symbol.asyncDispose]: async () => {
      await gateway.close({ drainMs: 0 });
      await provider[Symbol.asyncDispose]?.();
      await upstream?.close();
    },
  };
}

/** What the server was sent last, as JSON. */
export function lastSent({ upstream }: Scene): string {
  return JSON.stringify(upstream?.bodies().at(-1) ?? null);
}

export const PARAMETERS = { type: "object", properties: { text: { type: "string" } }, required: ["text"], additionalProperties: false } as const;
