// A server that answers with what the wires write, for the vendors' own packages to read.

import { once } from "node:events";
import { type IncomingMessage, type ServerResponse, createServer } from "node:http";
import { text } from "node:stream/consumers";
import type { TestContext } from "node:test";

import { type JsonObject, isMortiseError } from "mortise";

import type { ClientRequest, Completion, CompletionChunk, Embeddings, Failure } from "../../../src/gateway/types.ts";
import {
  CLIENT_WIRES,
  completionToChunks,
  embeddingsResponse,
  modelObject,
  modelsList,
  modelsShape,
  readEmbeddings,
} from "../../../src/gateway/wires/index.ts";

const MODELS = [{ id: "m", created: 5, ownedBy: "p" }];
const PATHS = { "/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/messages": "messages" } as const;

/** What the server answers with; the request tells which. */
export interface Answers {
  readonly completion?: (request: ClientRequest) => Completion;
  /** @default those of the completion */
  readonly chunks?: readonly CompletionChunk[];
  /** In place of an answer; after the first chunk of a stream. */
  readonly failure?: Failure;
  readonly embeddings?: Embeddings;
}

/** A server that lives as long as the test. */
export interface AnsweringServer {
  readonly url: string;
  /** What was asked, in the common form. */
  readonly requests: readonly ClientRequest[];
}

/** Starts it. */
export async function startAnswering(t: TestContext, answers: Answers): Promise<AnsweringServer> {
  const requests: ClientRequest[] = [];
  const server = createServer((incoming, response) => void answer(incoming, response, answers, requests));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("the server has no port");
  return { url: `http://127.0.0.1:${address.port}`, requests };
}

function send(response: ServerResponse, status: number, body: JsonObject): void {
  response.writeHead(status, { "content-type": "application/json", "x-request-id": "req_1", "request-id": "req_1" }).end(JSON.stringify(body));
}

async function answer(incoming: IncomingMessage, response: ServerResponse, answers: Answers, requests: ClientRequest[]): Promise<void> {
  const path = new URL(incoming.url ?? "", "http://localhost").pathname;
  if (path === "/v1/models") return send(response, 200, modelsList(MODELS, modelsShape(incoming.headers)));
  if (path === "/v1/models/m") return send(response, 200, modelObject(MODELS[0] as (typeof MODELS)[number], modelsShape(incoming.headers)));
  const body = JSON.parse(await text(incoming)) as JsonObject;
  if (path === "/v1/embeddings" && answers.embeddings !== undefined)
    return send(response, 200, embeddingsResponse(answers.embeddings, readEmbeddings(body)));
  if (!Object.hasOwn(PATHS, path)) return send(response, 404, {});
  const wire = CLIENT_WIRES[PATHS[path as keyof typeof PATHS]];
  let request: ClientRequest;
  try {
    request = wire.read(body);
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    const { param } = error.details;
    const failure: Failure = { kind: "invalid_request", status: error.status, message: error.message, retryable: false, allowFallbacks: false };
    return send(response, error.status, wire.error(typeof param === "string" ? { ...failure, param } : failure, "req_1"));
  }
  requests.push(request);
  const { completion, failure } = answers;
  if (failure !== undefined && !request.stream) return send(response, failure.status, wire.error(failure, "req_1"));
  const whole = completion?.(request);
  if (whole === undefined) return send(response, 404, {});
  if (!request.stream) return send(response, 200, wire.response(whole, request));
  const writer = wire.stream(request, whole);
  const chunks = answers.chunks ?? completionToChunks(whole);
  response.writeHead(200, { "content-type": "text/event-stream" });
  if (failure !== undefined) response.end(writer.push(chunks[0] as CompletionChunk) + writer.fail(failure));
  else response.end(chunks.map((chunk) => writer.push(chunk)).join("") + writer.end());
}
