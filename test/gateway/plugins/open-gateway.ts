// A host with the hooks of a gateway and some of its plugins, for their tests: requests, answers and pieces of streams go
// through the hooks as the gateway would send them.

import { join } from "node:path";
import type { TestContext } from "node:test";

import {
  type Host,
  type JsonObject,
  type LlmRequest,
  type LlmResult,
  type LoadOptions,
  type RequestContext,
  type Services,
  createHost,
  createServices,
  hook,
  standardHooks,
} from "../../../src/index.ts";

const PREBUILT = join(import.meta.dirname, "..", "..", "..", "guests", "prebuilt");

const hooksOf = (spelling: "all" | "flat" | "snake" | "go") =>
  ({
    llm: standardHooks.llm({ spelling }),
    completed: hook.all<JsonObject>({ name: ["on_completion"], onFailure: "closed" }),
    used: hook.all<JsonObject>({ name: ["on_usage"], onFailure: "closed" }),
  }) as const;

export type Gateway = Host<ReturnType<typeof hooksOf>>;

/** What a gateway of a test is made of. */
export interface GatewayOptions {
  readonly spelling?: "all" | "flat" | "snake" | "go";
  readonly services?: Services;
  /** Milliseconds since 1970. */
  readonly clock?: () => number;
}

/** A host without plugins; closed after the test. */
export async function openGateway(t: TestContext, { spelling = "all", clock, services }: GatewayOptions = {}): Promise<Gateway> {
  const shared = services ?? createServices(clock === undefined ? {} : { clock });
  const host = await createHost({ hooks: hooksOf(spelling), services: shared });
  t.after(async () => {
    await host.close({ abort: true });
    if (services === undefined) await shared.close();
  });
  return host;
}

/** Loads a plugin of the gateway by its file, with all that plugins of the gateway may need. */
export async function loadInto(host: Gateway, file: string, config: LoadOptions["config"] = {}, options: LoadOptions = {}): Promise<void> {
  const name = file.replace(/\..*$/, "").replace("gateway_", "");
  await host.plugins.load(join(PREBUILT, `${file}.wasm`), {
    name,
    config,
    permissions: { kv: "read-write", cache: "read-write", clock: true, crypto: true, attributes: { read: ["*"], write: ["*"] } },
    ...options,
  });
}

/** A request to a model with these messages. */
export function chat(input: unknown, more: Partial<LlmRequest> = {}): LlmRequest {
  return { request_type: "chat_completion", provider: "openai", model: "gpt-5", input, params: {}, ...more };
}

/** A request with one message of the user. */
export const say = (content: unknown, more: Partial<LlmRequest> = {}): LlmRequest => chat([{ role: "user", content }], more);

/** A whole answer. */
export function completion(message: JsonObject, more: JsonObject = {}): JsonObject {
  return {
    id: "chatcmpl-1",
    object: "chat.completion",
    created: 1_700_000_000,
    model: "gpt-5",
    choices: [{ index: 0, message: { role: "assistant", ...message }, finish_reason: "stop" }],
    usage: { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
    ...more,
  };
}

/** One piece of a stream. */
export function chunk(delta: JsonObject, finish: string | null = null, index = 0): JsonObject {
  return {
    id: "chatcmpl-1",
    object: "chat.completion.chunk",
    created: 1_700_000_000,
    model: "gpt-5",
    choices: [{ index, delta, finish_reason: finish }],
  };
}

/** What plugins make of a request, and of the answer that the model gives to it. */
export interface Passed {
  /** The request as the model gets it; undefined if it does not get it. */
  readonly sent: LlmRequest | undefined;
  readonly result: LlmResult;
}

/** One attempt with a whole answer. */
export async function pass(
  host: Gateway,
  request: LlmRequest,
  answer: LlmResult | ((sent: LlmRequest) => LlmResult),
  context: RequestContext = host.request(),
): Promise<Passed> {
  let sent: LlmRequest | undefined;
  const result = await host.hooks.llm(
    request,
    async (input) => {
      sent = input;
      return typeof answer === "function" ? answer(input) : answer;
    },
    { request: context },
  );
  return { sent, result };
}

/** One attempt with a stream; gives the pieces as clients get them. */
export async function passStream(
  host: Gateway,
  request: LlmRequest,
  pieces: readonly JsonObject[],
  context: RequestContext = host.request(),
): Promise<JsonObject[]> {
  using bracket = await host.hooks.llm.open({ ...request, request_type: "chat_completion_stream" }, { request: context });
  if (bracket.early !== undefined) throw new Error("the plugins answered");
  const out: JsonObject[] = [];
  for (const piece of pieces) {
    // oxlint-disable-next-line no-await-in-loop -- pieces come one after the other
    const ending = await bracket.end({ ok: true, output: { response: piece } });
    if (!ending.ok) throw ending.error;
    if (ending.output.response === undefined) throw new Error(JSON.stringify(ending.output.error));
    out.push(ending.output.response);
  }
  return out;
}

interface Choice {
  readonly index: number;
  readonly delta: {
    readonly content?: string | null;
    readonly reasoning?: string;
    readonly tool_calls?: readonly { readonly index: number; readonly function?: { readonly arguments?: string } }[];
  };
}

/** All text of a kind that pieces have, by choice (and tool call). */
export function spoken(pieces: readonly JsonObject[], kind: "content" | "reasoning" | "arguments" = "content"): Record<string, string> {
  const texts: Record<string, string> = {};
  for (const { index, delta } of pieces.flatMap((piece) => piece["choices"] as readonly Choice[])) {
    if (kind !== "arguments") texts[index] = (texts[index] ?? "") + (delta[kind] ?? "");
    else
      for (const call of delta.tool_calls ?? []) {
        const key = `${index}.${call.index}`;
        texts[key] = (texts[key] ?? "") + (call.function?.arguments ?? "");
      }
  }
  return texts;
}

/** Numbers that look random and are the same every time (xorshift32). */
export function randomNumbers(seed: number): (below: number) => number {
  let x = seed | 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}
