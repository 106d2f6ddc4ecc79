// Generation 2: the plugin makes its requests itself, with the functions of the host, and drives its streams.

import { readChatResponse, readEmbeddings, readTexts } from "./chat-shapes.ts";
import { ChunkQueue } from "./chunk-queue.ts";
import type { Dialect } from "./dialect.ts";
import type { Operation } from "./operation.ts";
import { ProviderCall } from "./provider-call.ts";
import { providerError } from "./provider-errors.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import { toJson, writeChatRequest } from "./request-json.ts";
import { long, speak, transcribe } from "./speech.ts";
import type { ChatRequest, StreamChunk } from "./types.ts";

/** Milliseconds in which a plugin can wind up a stream that nobody reads any more, before it is stopped. */
const GRACE_MS = 1000;

/** The operations of a provider of generation 2. */
export function generation2(guest: ProviderGuest): Dialect {
  return {
    chat: async (operation, request) => {
      const { signal, timeLeftMs, cfg } = operation;
      const options = { signal, timeoutMs: timeLeftMs, call: new ProviderCall(timeLeftMs) };
      return readChatResponse(await guest.json("chat", writeChatRequest(cfg, request), options), guest.shape("chat"));
    },
    chatStream: (operation, request) => streamChat(guest, operation, request),
    listModels: async (operation) => {
      const { signal, timeLeftMs, cfg } = operation;
      const options = { signal, timeoutMs: timeLeftMs, call: new ProviderCall(timeLeftMs) };
      return readTexts(await guest.json("list_models", cfg, options), guest.shape("list_models"));
    },
    embed: async (operation, inputs) => {
      const value = await long(guest, operation, "embed", toJson("inputs", { inputs }));
      return readEmbeddings(value, guest.shape("embed"), inputs.length);
    },
    complete: async (operation, req) => {
      const shape = guest.shape("complete");
      const value = shape.record(await long(guest, operation, "complete", toJson("request", { req })), "the answer");
      return shape.text(value["text"], "text");
    },
    transcribe: (operation, request) => transcribe({ guest }, operation, request),
    speech: (operation, request) => speak({ guest }, operation, request),
  };
}

async function* streamChat(guest: ProviderGuest, operation: Operation, request: ChatRequest): AsyncGenerator<StreamChunk, void> {
  const queue = new ChunkQueue();
  const { timeLeftMs } = operation;
  const stop = new AbortController();
  const aborted = (): void => stop.abort(operation.signal.reason);
  if (operation.signal.aborted) aborted();
  else operation.signal.addEventListener("abort", aborted, { once: true });
  // Of generation 2 alone: a provider of today is asked for a stream by calling another function.
  const cfg = toJson("config", { ...(JSON.parse(operation.cfg) as object), stream: true });
  const call = new ProviderCall(timeLeftMs, queue);
  const running = guest.call("chat_stream", writeChatRequest(cfg, request), { signal: stop.signal, timeoutMs: timeLeftMs, call }).then(
    () => queue.end(queue.count === 0 ? nothingCame(guest) : undefined),
    (error: unknown) => queue.end(error),
  );
  try {
    for (let chunk = await queue.take(); chunk !== undefined; chunk = await queue.take()) yield chunk;
  } finally {
    queue.cancel();
    // Streams end for the plugin from here on; one that waits for the network sees it at once.
    call.end();
    const timer = setTimeout(() => stop.abort(), GRACE_MS);
    void running.finally(() => {
      clearTimeout(timer);
      operation.signal.removeEventListener("abort", aborted);
    });
  }
}

function nothingCame(guest: ProviderGuest): Error {
  const message = "Extism streaming ended before the first chunk";
  return providerError({ plugin: guest.name, function: "chat_stream" }, { type: "plugin_error", message });
}
