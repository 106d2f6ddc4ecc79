// What every interface's request has: a model, whether to stream, and Bifrost's list of other models to try.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientApi, ClientRequest } from "../../types.ts";
import { type Path, REQUEST, at, isAbsent } from "./fields.ts";

/** Models to try after the first: `"provider/model"`, or `{provider, model}`. */
function readFallbacks(value: unknown, path: Path): readonly unknown[] {
  const list = REQUEST.list(value, path);
  for (const [index, one] of list.entries()) {
    if (typeof one === "string" && one !== "") continue;
    const { provider, model } = REQUEST.object(one, at(path, index));
    REQUEST.name(provider, at(at(path, index), "provider"));
    REQUEST.name(model, at(at(path, index), "model"));
  }
  return list;
}

/** What a wire found in a body. */
export interface FoundRequest {
  readonly api: ClientApi;
  readonly input: unknown;
  readonly params: JsonObject;
  /** The client wants the usage at the end of a stream. */
  readonly streamUsage: boolean;
}

/** @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function clientRequest(body: JsonObject, { api, input, params, streamUsage }: FoundRequest): ClientRequest {
  const model = REQUEST.name(body["model"], at(undefined, "model"));
  const stream = REQUEST.given(body["stream"], at(undefined, "stream"), REQUEST.flag) ?? false;
  const { fallbacks } = body;
  const llm: LlmRequest = {
    request_type: api === "embeddings" ? "embedding" : stream ? "chat_completion_stream" : "chat_completion",
    provider: "",
    model,
    input,
    params,
    ...(isAbsent(fallbacks) ? {} : { fallbacks: readFallbacks(fallbacks, at(undefined, "fallbacks")) }),
  };
  return { api, llm, stream, streamUsage: stream && streamUsage, body };
}
