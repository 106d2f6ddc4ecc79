// Parameters of OpenAI's responses and those of the common form. What needs a state at the server is refused.

import type { JsonObject } from "mortise";

import { type Path, REQUEST, at, isAbsent, isObject } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";
import { refuseOthers, withOthers } from "../common/other-fields.ts";

/** Fields that are refused, and why. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  ["previous_response_id", "is not supported: the gateway keeps no responses, so send the whole conversation as input"],
  ["conversation", "is not supported: the gateway keeps no conversations, so send the whole conversation as input"],
  ["prompt", "is not supported: the gateway keeps no prompts, so send instructions and input"],
  ["context_management", "is not supported: the gateway keeps no context"],
]);

/** Parameters in the common form. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readResponseParams(given: JsonObject): JsonObject {
  for (const [name, reason] of REFUSED) if (!isAbsent(given[name])) throw REQUEST.fault(at(undefined, name), reason);
  if (REQUEST.given(given["background"], at(undefined, "background"), REQUEST.flag) === true)
    throw REQUEST.fault(at(undefined, "background"), "is not supported: the gateway answers while the client waits");
  const { previous_response_id: _response, conversation: _conversation, prompt: _prompt, context_management: _context, ...stateless } = given;
  const { background: _background, store, max_output_tokens: maxTokens, ...others } = stateless;
  REQUEST.given(store, at(undefined, "store"), REQUEST.flag);
  const { text, reasoning, tools, tool_choice: choice, ...rest } = others;
  for (const name of ["temperature", "top_p"]) REQUEST.given(rest[name], at(undefined, name), REQUEST.number);
  REQUEST.given(rest["top_logprobs"], at(undefined, "top_logprobs"), REQUEST.count);
  REQUEST.given(rest["parallel_tool_calls"], at(undefined, "parallel_tool_calls"), REQUEST.flag);
  REQUEST.given(rest["metadata"], at(undefined, "metadata"), REQUEST.object);
  REQUEST.given(rest["include"], at(undefined, "include"), REQUEST.texts);
  const own = {
    ...field("max_completion_tokens", REQUEST.given(maxTokens, at(undefined, "max_output_tokens"), REQUEST.positive)),
    ...readText(text),
    ...readReasoning(reasoning),
    ...field("tools", REQUEST.given(tools, at(undefined, "tools"), readTools)),
    ...field("tool_choice", readChoice(choice)),
  };
  return withOthers(own, rest, REQUEST, undefined);
}

function readText(value: unknown): JsonObject {
  const path = at(undefined, "text");
  const text = REQUEST.given(value, path, REQUEST.object);
  if (text === undefined) return {};
  const where = at(path, "format");
  const { format: given, verbosity: wanted, ...more } = text;
  const format = REQUEST.given(given, where, REQUEST.object);
  const verbosity = {
    ...field("verbosity", REQUEST.given(wanted, at(path, "verbosity"), REQUEST.text)),
    ...(Object.keys(more).length === 0 ? {} : { text: more }),
  };
  if (format === undefined) return verbosity;
  const { type: named, ...described } = format;
  const type = REQUEST.oneOf(named, at(where, "type"), ["text", "json_object", "json_schema"]);
  if (type !== "json_schema") return { response_format: withOthers({ type }, described, REQUEST, where), ...verbosity };
  REQUEST.name(described["name"], at(where, "name"));
  REQUEST.object(described["schema"], at(where, "schema"));
  REQUEST.given(described["strict"], at(where, "strict"), REQUEST.flag);
  return { response_format: { type, json_schema: described }, ...verbosity };
}

function readReasoning(value: unknown): JsonObject {
  const path = at(undefined, "reasoning");
  const reasoning = REQUEST.given(value, path, REQUEST.object);
  if (reasoning === undefined) return {};
  const { effort, ...rest } = reasoning;
  return {
    ...field("reasoning_effort", REQUEST.given(effort, at(path, "effort"), REQUEST.text)),
    ...(Object.keys(rest).length === 0 ? {} : { reasoning: rest }),
  };
}

function readTools(value: unknown, path: Path): readonly JsonObject[] {
  return REQUEST.list(value, path).map((one, index) => {
    const where = at(path, index);
    const { type, name, description, parameters, strict, ...rest } = REQUEST.object(one, where);
    if (REQUEST.name(type, at(where, "type")) !== "function")
      throw REQUEST.fault(at(where, "type"), 'must be "function": tools that are built into a server are not supported');
    const described = {
      name: REQUEST.name(name, at(where, "name")),
      ...field("description", REQUEST.given(description, at(where, "description"), REQUEST.text)),
      ...field("parameters", REQUEST.given(parameters, at(where, "parameters"), REQUEST.object)),
      ...field("strict", REQUEST.given(strict, at(where, "strict"), REQUEST.flag)),
    };
    return withOthers({ type, function: described }, rest, REQUEST, where);
  });
}

function readChoice(value: unknown): unknown {
  if (isAbsent(value)) return undefined;
  const path = at(undefined, "tool_choice");
  if (typeof value === "string") return REQUEST.oneOf(value, path, ["none", "auto", "required"]);
  const { type: given, name, mode, tools: listed, ...rest } = REQUEST.object(value, path);
  const type = REQUEST.oneOf(given, at(path, "type"), ["function", "allowed_tools"]);
  const isFunction = type === "function";
  refuseOthers({ ...rest, ...(isFunction ? { mode, tools: listed } : { name }) }, REQUEST, path);
  if (isFunction) return { type, function: { name: REQUEST.name(name, at(path, "name")) } };
  const where = at(path, "tools");
  const tools = REQUEST.list(listed, where).map((one, index) => {
    const { type: kind, name: allowed, ...more } = REQUEST.object(one, at(where, index));
    refuseOthers(more, REQUEST, at(where, index));
    const known = { name: REQUEST.name(allowed, at(at(where, index), "name")) };
    return { type: REQUEST.oneOf(kind, at(at(where, index), "type"), ["function"]), function: known };
  });
  return { type, allowed_tools: { mode: REQUEST.oneOf(mode, at(path, "mode"), ["auto", "required"]), tools } };
}

/** {@link readResponseParams} the other way round. */
export function writeResponseParams(params: JsonObject): JsonObject {
  const { max_completion_tokens: maxTokens, response_format: format, verbosity, reasoning_effort: effort, ...others } = params;
  const { reasoning, text: said, tools, tool_choice: choice, stream_options: _options, ...rest } = others;
  const text = { ...(isObject(said) ? said : {}), ...field("format", writeFormat(format)), ...field("verbosity", verbosity) };
  const thinking = { ...(isObject(reasoning) ? reasoning : {}), ...field("effort", effort) };
  return {
    ...rest,
    ...field("max_output_tokens", maxTokens),
    ...(Object.keys(text).length === 0 ? {} : { text }),
    ...(Object.keys(thinking).length === 0 ? {} : { reasoning: thinking }),
    ...(Array.isArray(tools) ? { tools: tools.map(writeTool) } : {}),
    ...field("tool_choice", writeChoice(choice)),
  };
}

function writeFormat(format: unknown): unknown {
  if (!isObject(format)) return undefined;
  const { type, json_schema: described } = format;
  return isObject(described) ? { type, ...described } : { type };
}

/** A tool of the common form; the interface wants `parameters` and `strict` to be there. */
export function writeTool(tool: unknown): unknown {
  if (!isObject(tool) || !isObject(tool["function"])) return tool;
  return { type: "function", parameters: null, strict: null, ...tool["function"] };
}

/** A choice of the common form. */
export function writeChoice(choice: unknown): unknown {
  if (!isObject(choice)) return choice;
  const { function: chosen, allowed_tools: allowed } = choice;
  if (isObject(chosen)) return { type: "function", name: chosen["name"] };
  if (!isObject(allowed) || !Array.isArray(allowed["tools"])) return choice;
  const tools = allowed["tools"].map((tool: unknown) =>
    isObject(tool) && isObject(tool["function"]) ? { type: "function", name: tool["function"]["name"] } : tool,
  );
  return { type: "allowed_tools", mode: allowed["mode"], tools };
}
