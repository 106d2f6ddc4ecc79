// Requests of the common form as QueryMT's providers take them. What their shapes cannot say is either in the configuration
// under OpenAI's name, or refused, if leaving it out would change what the model is told. Lost without a word are: names of
// messages, `detail` of images, `strict` of tools where a provider does not look at it, and marks for caches in system texts.

import type { ChatMessage, ChatRequest, Content, JsonObject, LlmRequest } from "mortise";

import { type Path, REQUEST, at } from "../common/fields.ts";
import { type Part, partsOf } from "../common/parts.ts";
import { providerConfig, providerTools } from "./provider-config.ts";
import { cacheOf, providerContent } from "./provider-content.ts";

/** In front of the data of thoughts that a server encrypted, where QueryMT has only a signature. */
export const REDACTED_PREFIX = "redacted:";

/** @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function toProviderRequest(llm: LlmRequest): ChatRequest {
  const params = REQUEST.object(llm.params ?? {}, at(undefined, "params"));
  const path = at(undefined, "messages");
  const system: string[] = [];
  const messages: ChatMessage[] = [];
  const names = new Map<string, string>();
  let results: Content[] | undefined;
  for (const [index, value] of REQUEST.list(llm.input, path).entries()) {
    const where = at(path, index);
    const message = REQUEST.object(value, where);
    const { role, content } = message;
    if (role === "tool" || role === "function") {
      // Results of parallel calls are one message.
      if (results === undefined) messages.push({ role: "User", content: (results = []) });
      results.push(resultOf(message, names, where));
      continue;
    }
    results = undefined;
    if (role === "system" || role === "developer") system.push(...systemTexts(content, at(where, "content")));
    else if (role === "assistant") {
      const parts = partsOf(message, REQUEST, where);
      for (const part of parts) if (part.kind === "call") names.set(part.id, part.name);
      messages.push({ role: "Assistant", content: parts.flatMap((part) => assistantContent(part, at(where, "content"))), ...cacheOf(message) });
    } else messages.push({ role: "User", content: providerContent(content, at(where, "content")), ...cacheOf(message) });
  }
  const tools = providerTools(params);
  return { messages, ...(tools.length === 0 ? {} : { tools }), config: providerConfig(llm.model, params, system) };
}

function systemTexts(content: unknown, path: Path): string[] {
  return providerContent(content, path).map((part, index) => {
    if (part.type !== "text") throw REQUEST.fault(at(path, index), "must be text");
    return part.text;
  });
}

function resultOf(message: JsonObject, names: ReadonlyMap<string, string>, path: Path): Content {
  const { content, is_error: isError } = message;
  // Functions of old were called by name alone; see the ids that calls without one get.
  const id =
    message["role"] === "function"
      ? `call_${REQUEST.name(message["name"], at(path, "name"))}`
      : REQUEST.name(message["tool_call_id"], at(path, "tool_call_id"));
  const name = names.get(id);
  return {
    type: "tool_result",
    id,
    ...(name === undefined ? {} : { name }),
    is_error: isError === true,
    content: providerContent(content, at(path, "content")),
  };
}

function assistantContent(part: Part, path: Path): Content[] {
  switch (part.kind) {
    case "text":
      return part.text === "" ? [] : [{ type: "text", text: part.text }];
    case "refusal":
      return [{ type: "text", text: part.text }];
    case "thinking":
      return [{ type: "thinking", text: part.text, ...(part.signature === undefined ? {} : { signature: part.signature }) }];
    case "redacted":
      return [{ type: "thinking", text: "", signature: REDACTED_PREFIX + part.data }];
    case "call":
      return [{ type: "tool_use", id: part.id, name: part.name, arguments: argumentsOf(part.arguments) }];
    case "other":
      return providerContent([part.block], path);
  }
}

/** Arguments that are no JSON stay the text that the model gave. */
function argumentsOf(text: string): unknown {
  if (text.trim() === "") return {};
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}
