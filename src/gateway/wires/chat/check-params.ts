// Checks the parameters of chat completions that are known; others pass as they are.

import type { JsonObject } from "mortise";

import { type Fields, type Path, at, isAbsent } from "../common/fields.ts";

type Check = (value: unknown, path: Path, fields: Fields) => void;

const number: Check = (value, path, fields) => fields.number(value, path);
const count: Check = (value, path, fields) => fields.count(value, path);
const positive: Check = (value, path, fields) => fields.positive(value, path);
const text: Check = (value, path, fields) => fields.text(value, path);
const flag: Check = (value, path, fields) => fields.flag(value, path);
const object: Check = (value, path, fields) => fields.object(value, path);

const CHECKS: ReadonlyMap<string, Check> = new Map<string, Check>([
  ["temperature", number],
  ["top_p", number],
  ["top_k", count],
  ["n", positive],
  ["max_tokens", positive],
  ["max_completion_tokens", positive],
  ["presence_penalty", number],
  ["frequency_penalty", number],
  ["seed", (value, path, fields) => checkInteger(value, path, fields)],
  ["logprobs", flag],
  ["top_logprobs", count],
  ["logit_bias", object],
  ["stop", checkStop],
  ["parallel_tool_calls", flag],
  ["reasoning_effort", text],
  ["verbosity", text],
  ["service_tier", text],
  ["user", text],
  ["store", flag],
  ["metadata", object],
  ["modalities", (value, path, fields) => fields.texts(value, path)],
  ["stream_options", checkStreamOptions],
  ["tools", checkTools],
  ["tool_choice", checkToolChoice],
  ["response_format", checkResponseFormat],
]);

/** @throws the fault of `fields` */
export function checkParams(params: JsonObject, fields: Fields): void {
  for (const name of Object.keys(params)) {
    const value = params[name];
    if (!isAbsent(value)) CHECKS.get(name)?.(value, at(undefined, name), fields);
  }
}

function checkInteger(value: unknown, path: Path, fields: Fields): void {
  if (!Number.isInteger(value)) throw fields.mismatch(value, path, "a whole number");
}

function checkStop(value: unknown, path: Path, fields: Fields): void {
  if (typeof value === "string") return;
  if (!Array.isArray(value)) throw fields.mismatch(value, path, "text or a list of texts");
  fields.texts(value, path);
}

function checkStreamOptions(value: unknown, path: Path, fields: Fields): void {
  fields.given(fields.object(value, path)["include_usage"], at(path, "include_usage"), fields.flag);
}

/** Tools of the common form: functions are checked, types of other systems pass. */
function checkTools(value: unknown, path: Path, fields: Fields): void {
  const tools = fields.list(value, path);
  for (let index = 0; index < tools.length; index++) {
    const where = at(path, index);
    const tool = fields.object(tools[index], where);
    if (fields.name(tool["type"], at(where, "type")) !== "function") continue;
    const inner = at(where, "function");
    const described = fields.object(tool["function"], inner);
    fields.name(described["name"], at(inner, "name"));
    fields.given(described["description"], at(inner, "description"), fields.text);
    fields.given(described["parameters"], at(inner, "parameters"), fields.object);
    fields.given(described["strict"], at(inner, "strict"), fields.flag);
  }
}

function checkToolChoice(value: unknown, path: Path, fields: Fields): void {
  if (typeof value === "string") {
    fields.oneOf(value, path, ["none", "auto", "required"]);
    return;
  }
  const choice = fields.object(value, path);
  if (fields.name(choice["type"], at(path, "type")) !== "function") return;
  const inner = at(path, "function");
  fields.name(fields.object(choice["function"], inner)["name"], at(inner, "name"));
}

function checkResponseFormat(value: unknown, path: Path, fields: Fields): void {
  const format = fields.object(value, path);
  if (fields.name(format["type"], at(path, "type")) !== "json_schema") return;
  const inner = at(path, "json_schema");
  const described = fields.object(format["json_schema"], inner);
  fields.name(described["name"], at(inner, "name"));
  fields.given(described["schema"], at(inner, "schema"), fields.object);
  fields.given(described["strict"], at(inner, "strict"), fields.flag);
}
