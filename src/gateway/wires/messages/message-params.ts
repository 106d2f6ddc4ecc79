// Parameters of Anthropic's messages and those of the common form.

import type { JsonObject } from "mortise";

import { type Path, REQUEST, at, isAbsent, isObject } from "../common/fields.ts";
import { field } from "../common/omit-absent.ts";
import { refuseOthers, withOthers } from "../common/other-fields.ts";

/** Name of the schema that Anthropic's `output_config.format` does not name. */
const SCHEMA_NAME = "output";

/** Parameters in the common form; those that it does not have stay as they are. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readMessageParams(given: JsonObject): JsonObject {
  const { max_tokens: maxTokens, stop_sequences: stop, tools, tool_choice: choice, output_config: output, ...rest } = given;
  for (const name of ["temperature", "top_p"]) REQUEST.given(rest[name], at(undefined, name), REQUEST.number);
  REQUEST.given(rest["top_k"], at(undefined, "top_k"), REQUEST.count);
  REQUEST.given(rest["metadata"], at(undefined, "metadata"), REQUEST.object);
  const thinking = REQUEST.given(rest["thinking"], at(undefined, "thinking"), REQUEST.object);
  if (thinking !== undefined) {
    REQUEST.name(thinking["type"], at(at(undefined, "thinking"), "type"));
    REQUEST.given(thinking["budget_tokens"], at(at(undefined, "thinking"), "budget_tokens"), REQUEST.positive);
  }
  const own = {
    max_completion_tokens: REQUEST.positive(maxTokens, at(undefined, "max_tokens")),
    ...field("stop", REQUEST.given(stop, at(undefined, "stop_sequences"), REQUEST.texts)),
    ...field("tools", REQUEST.given(tools, at(undefined, "tools"), readTools)),
    ...readChoice(choice),
    ...readOutput(output),
  };
  return withOthers(own, rest, REQUEST, undefined);
}

function readTools(value: unknown, path: Path): readonly JsonObject[] {
  return REQUEST.list(value, path).map((tool, index) => readTool(REQUEST.object(tool, at(path, index)), at(path, index)));
}

/** Tools that run at Anthropic have a type of their own, and no schema. */
function readTool(tool: JsonObject, path: Path): JsonObject {
  const { type, name, description, input_schema: schema, strict, ...rest } = tool;
  REQUEST.name(name, at(path, "name"));
  if (!isAbsent(type) && type !== "custom") return tool;
  const described = {
    name,
    ...field("description", REQUEST.given(description, at(path, "description"), REQUEST.text)),
    parameters: REQUEST.object(schema, at(path, "input_schema")),
    ...field("strict", REQUEST.given(strict, at(path, "strict"), REQUEST.flag)),
  };
  return withOthers({ type: "function", function: described }, rest, REQUEST, path);
}

function readChoice(value: unknown): JsonObject {
  const path = at(undefined, "tool_choice");
  const choice = REQUEST.given(value, path, REQUEST.object);
  if (choice === undefined) return {};
  const { type: given, name, disable_parallel_tool_use: isSerial, ...rest } = choice;
  const type = REQUEST.oneOf(given, at(path, "type"), ["auto", "any", "tool", "none"]);
  const serial = REQUEST.given(isSerial, at(path, "disable_parallel_tool_use"), REQUEST.flag);
  const parallel = serial === true ? { parallel_tool_calls: false } : {};
  refuseOthers(type === "tool" ? rest : { ...rest, name }, REQUEST, path);
  if (type === "tool") return { tool_choice: { type: "function", function: { name: REQUEST.name(name, at(path, "name")) } }, ...parallel };
  return { tool_choice: type === "any" ? "required" : type, ...parallel };
}

function readOutput(value: unknown): JsonObject {
  const path = at(undefined, "output_config");
  const output = REQUEST.given(value, path, REQUEST.object);
  if (output === undefined) return {};
  const { format: given, effort, ...rest } = output;
  const where = at(path, "format");
  const format = REQUEST.given(given, where, REQUEST.object);
  const { type, schema: described, ...more } = format ?? {};
  const isSchema = type === "json_schema";
  const schema = isSchema ? { name: SCHEMA_NAME, ...more, schema: REQUEST.object(described, at(where, "schema")) } : undefined;
  const kept = { ...rest, ...(isSchema ? {} : field("format", format)) };
  return {
    ...field("reasoning_effort", REQUEST.given(effort, at(path, "effort"), REQUEST.text)),
    ...(schema === undefined ? {} : { response_format: { type: "json_schema", json_schema: schema } }),
    ...(Object.keys(kept).length === 0 ? {} : { output_config: kept }),
  };
}

/** {@link readMessageParams} the other way round. */
export function writeMessageParams(params: JsonObject): JsonObject {
  const { max_completion_tokens: maxTokens, stop, tools, tool_choice: choice, parallel_tool_calls: parallel, ...others } = params;
  const { response_format: format, reasoning_effort: effort, output_config: output, stream_options: _options, ...rest } = others;
  const schema = isObject(format) && isObject(format["json_schema"]) ? format["json_schema"]["schema"] : undefined;
  const config = {
    ...(isObject(output) ? output : {}),
    ...field("effort", effort),
    ...(isAbsent(schema) ? {} : { format: { type: "json_schema", schema } }),
  };
  return {
    ...rest,
    ...field("max_tokens", maxTokens),
    ...(isAbsent(stop) ? {} : { stop_sequences: typeof stop === "string" ? [stop] : stop }),
    ...(Array.isArray(tools) ? { tools: tools.map(writeTool) } : {}),
    ...writeChoice(choice, parallel === false),
    ...(Object.keys(config).length === 0 ? {} : { output_config: config }),
  };
}

function writeTool(tool: unknown): unknown {
  if (!isObject(tool) || tool["type"] !== "function" || !isObject(tool["function"])) return tool;
  const { type: _type, function: described, ...rest } = tool;
  const { name, description, parameters, strict } = described;
  return { name, ...field("description", description), input_schema: parameters ?? { type: "object" }, ...field("strict", strict), ...rest };
}

function writeChoice(choice: unknown, isSerial: boolean): JsonObject {
  if (isAbsent(choice) && !isSerial) return {};
  // Anthropic's choice of no tool has no say on parallel calls.
  const parallel = isSerial && choice !== "none" ? { disable_parallel_tool_use: true } : {};
  if (isObject(choice) && isObject(choice["function"])) return { tool_choice: { type: "tool", name: choice["function"]["name"], ...parallel } };
  return { tool_choice: { type: choice === "required" ? "any" : choice === "none" ? "none" : "auto", ...parallel } };
}
