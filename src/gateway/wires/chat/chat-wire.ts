// OpenAI's chat completions: the common form itself, so that little is to be done.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientRequest, Completion, CompletionChunk } from "../../types.ts";
import type { ClientWire, StreamReader, StreamWriter } from "../client-wire.ts";
import { clientRequest } from "../common/client-request.ts";
import { ANSWER, REQUEST, at, isAbsent, isObject } from "../common/fields.ts";
import { parseEvent } from "../common/parse-event.ts";
import { dataEvent } from "../common/server-sent-events.ts";
import { openaiError, openaiErrorObject } from "../common/wire-errors.ts";
import { checkMessages } from "./check-messages.ts";
import { checkParams } from "./check-params.ts";

/** The end of a stream. */
const DONE = "[DONE]";

function read(body: JsonObject): ClientRequest {
  const { model: _model, messages, stream: _stream, fallbacks: _fallbacks, max_tokens: maxTokens, ...rest } = body;
  const input = checkMessages(messages, REQUEST, at(undefined, "messages"));
  checkParams(body, REQUEST);
  const params = isAbsent(maxTokens) || !isAbsent(rest["max_completion_tokens"]) ? rest : { ...rest, max_completion_tokens: maxTokens };
  const options = body["stream_options"];
  return clientRequest(body, { api: "chat", input, params, streamUsage: isObject(options) && options["include_usage"] === true });
}

/** `max_tokens` under the name that the client used: many servers know only one of the two. */
function write(llm: LlmRequest, request: ClientRequest): JsonObject {
  const params = REQUEST.object(llm.params ?? {}, at(undefined, "params"));
  const { max_completion_tokens: maxTokens, ...rest } = params;
  const name = isAbsent(request.body["max_tokens"]) || !isAbsent(request.body["max_completion_tokens"]) ? "max_completion_tokens" : "max_tokens";
  return {
    model: llm.model,
    messages: checkMessages(llm.input, REQUEST, at(undefined, "messages")),
    ...rest,
    ...(isAbsent(maxTokens) ? {} : { [name]: maxTokens }),
    ...(request.stream ? { stream: true } : {}),
  };
}

/** Chunks go out as they are, but for a usage that was not asked for. */
function chatStream({ streamUsage }: ClientRequest): StreamWriter {
  return {
    push(chunk) {
      if (streamUsage || chunk.usage === undefined) return `data: ${JSON.stringify(chunk)}\n\n`;
      if (chunk.choices.length === 0 && chunk.usage !== null) return "";
      const { usage: _usage, ...rest } = chunk;
      return dataEvent(rest);
    },
    end: () => `data: ${DONE}\n\n`,
    fail: (failure) => dataEvent({ error: openaiErrorObject(failure) }),
  };
}

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM */
function readResponse(body: JsonObject): Completion {
  // Some servers tell errors with status 200.
  if (isObject(body["error"])) throw ANSWER.toldError(body["error"]);
  const choices = ANSWER.list(body["choices"], at(undefined, "choices"));
  for (let index = 0; index < choices.length; index++) {
    const path = at(at(undefined, "choices"), index);
    ANSWER.object(ANSWER.object(choices[index], path)["message"], at(path, "message"));
  }
  return body as Completion;
}

function readChunk(chunk: JsonObject): CompletionChunk {
  const choices = ANSWER.list(chunk["choices"], at(undefined, "choices"));
  for (let index = 0; index < choices.length; index++) ANSWER.object(choices[index], at(at(undefined, "choices"), index));
  return chunk as CompletionChunk;
}

const READER: StreamReader = {
  push({ data }) {
    if (data === DONE) return [];
    const chunk = parseEvent(data);
    if (isObject(chunk["error"])) throw ANSWER.toldError(chunk["error"]);
    return [readChunk(chunk)];
  },
};

/** OpenAI's chat completions. */
export const CHAT_WIRE: ClientWire = {
  api: "chat",
  read,
  body: write,
  response: (completion) => completion,
  stream: chatStream,
  error: openaiError,
  readResponse,
  streamReader: () => READER,
};
