// Generation 3: the plugin builds requests and reads responses, and the host sends them, under the allow-list.

import type { HttpRequest, HttpResponse, StreamingHttpService } from "../api/http.ts";
import { buildRequest } from "./build-request.ts";
import { classify } from "./classify.ts";
import { readChatResponse, readEmbeddings, readTexts } from "./chat-shapes.ts";
import type { Dialect } from "./dialect.ts";
import { isSuccess, parseRequest, responseBox } from "./http-wire.ts";
import type { Operation } from "./operation.ts";
import { providerError, translated } from "./provider-errors.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import { toJson, writeChatRequest } from "./request-json.ts";
import { type SpeechParts, speak, transcribe } from "./speech.ts";
import { statusError } from "./status-errors.ts";
import { type StreamParts, streamChat } from "./stream-3.ts";
import type { ChatRequest, ChatResponse } from "./types.ts";

/** What the generation works with. */
export interface Parts3 extends Omit<StreamParts, "send" | "classify"> {
  /** A plugin for what keeps an instance busy for long, made when it is needed. */
  readonly aside: () => Promise<ProviderGuest>;
}

/** The operations of a provider of generation 3. */
export function generation3(parts: Parts3): Dialect {
  const { guest } = parts;
  const speech = async (): Promise<SpeechParts> => ({ guest: await parts.aside() });
  return {
    chat: (operation, request) => chat(parts, operation, request),
    chatStream: (operation, request) =>
      streamChat({ ...parts, classify: (op, response) => classify(parts, op, response, "chat_request") }, operation, request),
    listModels: async (operation) => {
      const shape = guest.shape("parse_list_models_response");
      const input = `{"cfg":${operation.cfg}}`;
      if (guest.has("list_models_static")) {
        const fixed = await guest.json("list_models_static", input, operation);
        if (fixed !== null) return readTexts(fixed, guest.shape("list_models_static"));
      }
      const response = await ask(parts, operation, "list_models_request", input);
      return readTexts(await guest.json("parse_list_models_response", responseBox(response), operation), shape);
    },
    embed: async (operation, inputs) => {
      const response = await ask(parts, operation, "embed_request", `{"cfg":${operation.cfg},"inputs":${toJson("inputs", inputs)}}`);
      const shape = guest.shape("parse_embed_response");
      return readEmbeddings(await guest.json("parse_embed_response", parseRequest(operation.cfg, response), operation), shape, inputs.length);
    },
    complete: async (operation, request) => {
      const response = await ask(parts, operation, "complete_request", `{"cfg":${operation.cfg},"req":${toJson("request", request)}}`);
      const shape = guest.shape("parse_complete_response");
      const value = shape.record(await guest.json("parse_complete_response", parseRequest(operation.cfg, response), operation), "the answer");
      return shape.text(value["text"], "text");
    },
    transcribe: async (operation, request) => transcribe(await speech(), operation, request),
    speech: async (operation, request) => speak(await speech(), operation, request),
  };
}

/** Sends a request that a function built; a response without success is an error. */
async function ask({ guest, http, now }: Parts3, operation: Operation, fn: string, input: string): Promise<HttpResponse> {
  const response = await send(http, guest, operation, fn, await buildRequest(guest, operation, fn, input));
  if (!isSuccess(response.status)) {
    const context = { nowMs: now(), hidden: operation.hidden };
    throw providerError({ plugin: guest.name, function: fn }, statusError(response, context));
  }
  return response;
}

async function chat(parts: Parts3, operation: Operation, request: ChatRequest): Promise<ChatResponse> {
  const { guest, http } = parts;
  const built = await buildRequest(guest, operation, "chat_request", writeChatRequest(operation.cfg, request));
  const response = await send(http, guest, operation, "chat_request", built);
  if (!isSuccess(response.status)) throw await classify(parts, operation, response, "chat_request");
  const answer = await guest.json("parse_chat_response", parseRequest(operation.cfg, response), operation);
  return readChatResponse(answer, guest.shape("parse_chat_response"));
}

async function send(http: StreamingHttpService, guest: ProviderGuest, operation: Operation, fn: string, request: HttpRequest): Promise<HttpResponse> {
  try {
    return await http.request(request, operation.httpCall(fn));
  } catch (error) {
    throw translated({ plugin: guest.name, function: fn }, error);
  }
}
