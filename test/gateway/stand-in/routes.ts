// Which interface a path belongs to. Whatever comes before the last parts of a path is left aside, so that any base URL works.

import type { IncomingHttpHeaders } from "node:http";

import { type Answer, CREATED, type Reply, type SseEvent, data, named } from "./answer.ts";
import { chatReply, embeddingsReply } from "./chat.ts";
import { errorBody } from "./errors.ts";
import { messagesReply } from "./messages.ts";
import type { Asked } from "./request.ts";
import { responsesReply } from "./responses.ts";

/** One operation. */
export interface Route {
  readonly kind: "chat" | "responses" | "embeddings" | "messages" | "count" | "models";
  readonly vendor: "openai" | "anthropic";
  /** The model that is asked for, of `models`. */
  readonly model?: string;
  reply(asked: Asked, answer: Answer): Reply;
  /** What says in a stream that it fails. */
  readonly failure: SseEvent;
}

const OVERLOADED = "stand-in fault in the stream";

const POSTS: readonly (readonly [end: string, Route])[] = [
  ["/chat/completions", { kind: "chat", vendor: "openai", reply: chatReply, failure: data(errorBody("openai", 503, OVERLOADED)) }],
  [
    "/responses",
    {
      kind: "responses",
      vendor: "openai",
      reply: responsesReply,
      failure: named({ type: "error", code: "server_error", message: OVERLOADED, param: null, sequence_number: 99 }),
    },
  ],
  ["/embeddings", { kind: "embeddings", vendor: "openai", reply: embeddingsReply, failure: data(null) }],
  [
    "/messages",
    {
      kind: "messages",
      vendor: "anthropic",
      reply: messagesReply,
      failure: { event: "error", data: JSON.stringify(errorBody("anthropic", 529, OVERLOADED)) },
    },
  ],
  ["/messages/count_tokens", { kind: "count", vendor: "anthropic", reply: ({ words }) => ({ json: { input_tokens: words } }), failure: data(null) }],
];

/** The operation, if there is one. Models are Anthropic's for clients that name a version of its interface. */
export function routeOf(method: string, path: string, headers: IncomingHttpHeaders): Route | undefined {
  if (method === "POST") return POSTS.find(([end]) => path.endsWith(end))?.[1];
  const models = method === "GET" ? /\/models(?:\/(.+))?$/.exec(path) : null;
  if (models === null) return undefined;
  const model = models[1] === undefined ? {} : { model: decodeURIComponent(models[1]) };
  const vendor = headers["anthropic-version"] === undefined ? "openai" : "anthropic";
  return { kind: "models", vendor, ...model, reply: () => ({ json: {} }), failure: data(null) };
}

/** The list of models, or the one that is asked for; undefined if there is none. */
export function modelsReply({ vendor, model }: Route, models: readonly string[]): object | undefined {
  const openai = (id: string): object => ({ id, object: "model", created: CREATED, owned_by: "stand-in" });
  const anthropic = (id: string): object => ({ type: "model", id, display_name: id, created_at: new Date(CREATED * 1000).toISOString() });
  const make = vendor === "openai" ? openai : anthropic;
  if (model !== undefined) return models.includes(model) ? make(model) : undefined;
  const list = models.map((id) => make(id));
  if (vendor === "openai") return { object: "list", data: list };
  return { data: list, has_more: false, first_id: models[0] ?? null, last_id: models.at(-1) ?? null };
}
