// Requests of Anthropic's messages, both ways.

import type { JsonObject, LlmRequest } from "mortise";

import type { ClientRequest } from "../../types.ts";
import { clientRequest } from "../common/client-request.ts";
import { type Path, REQUEST, at, isAbsent } from "../common/fields.ts";
import { withOthers } from "../common/other-fields.ts";
import { messageOf, partsOf } from "../common/parts.ts";
import { readAssistantBlock, writeAssistantBlock } from "./assistant-blocks.ts";
import { blocksOf, fromCommonContent, isBlock, toCommonBlock, toCommonContent } from "./blocks.ts";
import { readMessageParams, writeMessageParams } from "./message-params.ts";

/** @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function readMessageRequest(body: JsonObject): ClientRequest {
  const { model: _model, messages, system, stream: _stream, fallbacks: _fallbacks, ...rest } = body;
  const input: JsonObject[] = [];
  if (!isAbsent(system)) input.push({ role: "system", content: toCommonContent(system, REQUEST, at(undefined, "system")) });
  const path = at(undefined, "messages");
  const turns = REQUEST.list(messages, path);
  if (turns.length === 0) throw REQUEST.fault(path, "must have one message at least");
  for (const [index, turn] of turns.entries()) readTurn(turn, at(path, index), input);
  return clientRequest(body, { api: "messages", input, params: readMessageParams(rest), streamUsage: true });
}

function readTurn(value: unknown, path: Path, input: JsonObject[]): void {
  const { role: given, content, ...rest } = REQUEST.object(value, path);
  const role = REQUEST.oneOf(given, at(path, "role"), ["user", "assistant", "system"]);
  const where = at(path, "content");
  const first = input.length;
  if (typeof content === "string") input.push({ role, content });
  else if (!Array.isArray(content)) throw REQUEST.mismatch(content, where, "text or a list of blocks");
  else if (role === "assistant") input.push(messageOf(content.map((block, index) => readAssistantBlock(block, REQUEST, at(where, index)))));
  else readUserBlocks(role, content, where, input);
  input[first] = withOthers(input[first] ?? {}, rest, REQUEST, path);
}

/** Results of tools are messages of their own in the common form; what stands between them is as well. */
function readUserBlocks(role: string, blocks: readonly unknown[], path: Path, input: JsonObject[]): void {
  let run: JsonObject[] = [];
  const endRun = (): void => {
    if (run.length > 0) input.push({ role, content: run });
    run = [];
  };
  for (const [index, block] of blocks.entries()) {
    const where = at(path, index);
    if (!isBlock(block, "tool_result")) {
      run.push(toCommonBlock(block, REQUEST, where));
      continue;
    }
    endRun();
    const { type: _type, tool_use_id: id, content, ...rest } = block;
    const result = {
      role: "tool",
      tool_call_id: REQUEST.name(id, at(where, "tool_use_id")),
      content: isAbsent(content) ? "" : toCommonContent(content, REQUEST, at(where, "content")),
    };
    input.push(withOthers(result, rest, REQUEST, where));
  }
  if (run.length > 0 || blocks.length === 0) input.push({ role, content: run });
}

/** The body for a server of Anthropic's. @throws MortiseError MORTISE_GATEWAY_REQUEST */
export function writeMessageRequest(llm: LlmRequest, request: ClientRequest): JsonObject {
  const path = at(undefined, "messages");
  const params = REQUEST.object(llm.params ?? {}, at(undefined, "params"));
  const system: (string | readonly JsonObject[])[] = [];
  const messages: JsonObject[] = [];
  let results: JsonObject[] | undefined;
  for (const [index, value] of REQUEST.list(llm.input, path).entries()) {
    const where = at(path, index);
    const message = REQUEST.object(value, where);
    const { role, content } = message;
    if (role === "system" || role === "developer") system.push(fromCommonContent(content, REQUEST, at(where, "content")));
    else if (role === "tool") {
      results ??= startResults(messages);
      results.push(writeResult(message, where));
    } else if (role === "user" && results !== undefined) {
      // What the user says after results of tools is in the same message.
      results.push(...blocksOf(fromCommonContent(content, REQUEST, at(where, "content"))));
      results = undefined;
    } else {
      results = undefined;
      messages.push(
        role === "assistant" ? writeAssistant(message, where) : { role: "user", content: fromCommonContent(content, REQUEST, at(where, "content")) },
      );
    }
  }
  return {
    model: llm.model,
    ...(system.length === 0 ? {} : { system: system.length === 1 ? system[0] : system.flatMap(blocksOf) }),
    messages,
    ...writeMessageParams(params),
    ...(request.stream ? { stream: true } : {}),
  };
}

function startResults(messages: JsonObject[]): JsonObject[] {
  const content: JsonObject[] = [];
  messages.push({ role: "user", content });
  return content;
}

function writeResult(message: JsonObject, path: Path): JsonObject {
  const { role: _role, tool_call_id: id, content, name: _name, ...rest } = message;
  return {
    type: "tool_result",
    tool_use_id: REQUEST.name(id, at(path, "tool_call_id")),
    content: fromCommonContent(content, REQUEST, at(path, "content")),
    ...rest,
  };
}

/** Thinking without a signature is left out: Anthropic's servers refuse what they did not sign. */
function writeAssistant(message: JsonObject, path: Path): JsonObject {
  if (typeof message["content"] === "string" && Object.keys(message).length === 2) return { role: "assistant", content: message["content"] };
  const parts = partsOf(message, REQUEST, path).filter((part) => part.kind !== "thinking" || part.signature !== undefined);
  return { role: "assistant", content: parts.map((part) => writeAssistantBlock(part, REQUEST)) };
}
