// Parameters of the common form as the configuration of one request to a provider.

import type { JsonObject, Tool } from "mortise";

import { REQUEST, at, isAbsent, isObject } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";

/**
 * Parameters that a provider gets under their own name, if its schema has it. Everything else that a client may invent stays
 * out: a configuration also says which server is asked, with which key and headers, and that is not for clients to say.
 */
const PASSED = [
  // OpenAI
  "temperature",
  "top_p",
  "n",
  "seed",
  "stop",
  "frequency_penalty",
  "presence_penalty",
  "logit_bias",
  "logprobs",
  "top_logprobs",
  "reasoning_effort",
  "verbosity",
  "user",
  "metadata",
  "store",
  "service_tier",
  "safety_identifier",
  "modalities",
  "audio",
  "prediction",
  "web_search_options",
  "prompt_cache_key",
  "prompt_cache_retention",
  // Anthropic
  "top_k",
  "thinking",
  "output_config",
  "cache_control",
  "container",
  "context_management",
  "mcp_servers",
  "inference_geo",
  "speed",
  // other servers with OpenAI's wire
  "reasoning",
  "min_p",
  "repetition_penalty",
  "chat_template_kwargs",
] as const;

/** The configuration in QueryMT's words, and OpenAI's where it has none. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function providerConfig(model: string, params: JsonObject, system: readonly string[]): JsonObject {
  const { max_completion_tokens: maxTokens, max_tokens: oldMaxTokens, parallel_tool_calls: parallel, tool_choice: choice, thinking } = params;
  const budget = isObject(thinking) && thinking["type"] === "enabled" ? thinking["budget_tokens"] : undefined;
  return {
    model,
    ...(system.length === 0 ? {} : { system }),
    ...Object.fromEntries(PASSED.flatMap((name) => (isAbsent(params[name]) ? [] : [[name, params[name]]]))),
    ...field("max_tokens", maxTokens ?? oldMaxTokens),
    ...field("tool_choice", providerChoice(choice)),
    ...field("enable_parallel_tool_use", parallel),
    ...field("reasoning_budget_tokens", budget),
    ...answerFormat(params["response_format"]),
  };
}

/** A schema has a place of its own; that the answer be any JSON does not. */
function answerFormat(format: unknown): JsonObject {
  if (!isObject(format) || format["type"] === "text") return {};
  return isObject(format["json_schema"]) ? { json_schema: format["json_schema"] } : { response_format: format };
}

/** A choice among some tools is told by giving no others; see {@link providerTools}. */
function providerChoice(choice: unknown): unknown {
  return isObject(choice) && isObject(choice["allowed_tools"]) ? choice["allowed_tools"]["mode"] : choice;
}

/** Functions. @throws MortiseError MORTISE_GATEWAY_REQUEST for tools of other kinds, which providers do not know */
export function providerTools({ tools, tool_choice: choice }: JsonObject): readonly Tool[] {
  if (isAbsent(tools)) return [];
  const path = at(undefined, "tools");
  const allowed = allowedNames(choice);
  return REQUEST.list(tools, path).flatMap((value, index) => {
    const where = at(path, index);
    const tool = REQUEST.object(value, where);
    if (tool["type"] !== "function") throw REQUEST.fault(at(where, "type"), 'must be "function" for this provider');
    const inner = at(where, "function");
    const { name, description, parameters, strict } = REQUEST.object(tool["function"], inner);
    const known = REQUEST.name(name, at(inner, "name"));
    if (allowed?.has(known) === false) return [];
    // An empty schema takes any object. That it is to be followed strictly is more than QueryMT's type says.
    const described = {
      name: known,
      description: typeof description === "string" ? description : "",
      parameters: parameters ?? { type: "object", properties: {} },
    };
    return [{ type: "function", function: { ...described, ...field("strict", strict) } } as const];
  });
}

function allowedNames(choice: unknown): ReadonlySet<unknown> | undefined {
  if (!isObject(choice) || !isObject(choice["allowed_tools"]) || !Array.isArray(choice["allowed_tools"]["tools"])) return undefined;
  return new Set(
    choice["allowed_tools"]["tools"].map((tool: unknown) => (isObject(tool) && isObject(tool["function"]) ? tool["function"]["name"] : undefined)),
  );
}
