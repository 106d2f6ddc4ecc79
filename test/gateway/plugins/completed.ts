// What the gateway tells observers of a request that is over.

import type { JsonObject, LlmRequest, LlmResult, RequestContext } from "../../../src/index.ts";
import { type Gateway, completion, pass } from "./open-gateway.ts";

/** A run of the gateway. */
export const RUN = "00112233aabbccdd";

/** The message for a request and what came of it. */
export function completed(request: LlmRequest, result: LlmResult, context: RequestContext, more: JsonObject = {}): JsonObject {
  const { response = null, error } = result;
  return {
    gateway: RUN,
    number: 1,
    request_id: context.id,
    client: context.attributes.get("client") ?? null,
    api: "chat",
    provider: request.provider,
    model: request.model,
    stream: false,
    request,
    response,
    error: error === undefined ? null : { kind: "upstream", message: error.error.message, status: error.status_code ?? 500 },
    usage: response?.["usage"] ?? null,
    attempts: 1,
    duration_ms: 12,
    ...more,
  };
}

/** A whole answer that took so many tokens. */
export const answerOf = (tokens: number, content = "Fine."): LlmResult => ({
  response: completion({ content }, { usage: { prompt_tokens: 1, completion_tokens: tokens - 1, total_tokens: tokens } }),
});

/** A request from its beginning to its end, as the gateway does it. */
export async function exchange(
  host: Gateway,
  request: LlmRequest,
  answer: LlmResult,
  context: RequestContext,
  more: JsonObject = {},
): Promise<LlmResult> {
  const { result } = await pass(host, request, answer, context);
  const { request: _request, response, ...told } = completed(request, result, context, more);
  await host.hooks.used({ ...told, answered: response !== null }, { request: context });
  await host.hooks.completed(completed(request, result, context, more), { request: context });
  return result;
}
