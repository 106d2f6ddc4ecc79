// The wires of a gateway's model hooks, as Bifrost's plugins speak them: pre_hook and post_hook.

import { isMortiseError } from "../../api/errors.ts";
import { type BracketEnd, errorView } from "../bracket-wire.ts";
import { CONTINUE, type Decision, withAttributes } from "../decision.ts";
import { isJsonObject, sameJson } from "../guest-json.ts";
import { type GuestAnswer, type Wire, toJson } from "../wire.ts";
import { contextChanges, contextJson, flag, present, readEnvelope, refuseError } from "./bifrost-context.ts";
import { type Spelling, llmRequestJson, llmResponseJson, readLlmRequest, readLlmResponse } from "./bifrost-spellings.ts";
import type { JsonObject, LlmError, LlmRequest, LlmResult } from "./bifrost-types.ts";

/** Fields of answers. */
const PRE_FIELDS: readonly string[] = ["context", "request", "short_circuit", "has_short_circuit", "error"];
const POST_FIELDS: readonly string[] = ["context", "response", "error", "has_error", "hook_error", "bifrost_error"];

/** The export of plugins that read the flat spelling: they are sent that alone, whatever others are sent. */
const FLAT = "reads_flat";

/** The wire for plugins that say which spelling they read; one for all of them. */
function wireFor<W>(make: (spelling: Spelling) => W): (plugin: { has(fn: string): boolean }) => W | undefined {
  let flat: W | undefined;
  return (plugin) => (plugin.has(FLAT) ? (flat ??= make("flat")) : undefined);
}

/** `pre_hook`: the request as it is, another one, or a result in its place. */
export function llmPreWire(spelling: Spelling): Wire<LlmRequest, LlmResult> {
  return {
    forPlugin: wireFor(llmPreWire),
    encode: (request) => ['{"context":', `,"request":${llmRequestJson(request, spelling)}}`],
    context: contextJson,
    unchanged: ["null", "{}"],
    decode(answer): Decision<LlmRequest, LlmResult> {
      const envelope = readEnvelope(answer, PRE_FIELDS);
      refuseError(envelope["error"], "error", answer);
      const attributes = contextChanges(envelope["context"], answer);
      const circuit = present(envelope["short_circuit"], "short_circuit", answer);
      const has = flag(envelope["has_short_circuit"], "has_short_circuit", answer) ?? circuit !== undefined;
      if (has) return withAttributes({ action: "answer", value: readShortCircuit(circuit, answer) }, attributes);
      if (Object.values(circuit ?? {}).some((value) => value !== null)) throw answer.fault('has a short circuit, but "has_short_circuit" is false');
      const changed = present(envelope["request"], "request", answer);
      const request = changed === undefined ? answer.given : readLlmRequest(changed, answer.given, answer);
      if (request === answer.given) return withAttributes(CONTINUE, attributes);
      return withAttributes({ action: "replace", value: request }, attributes);
    },
  };
}

/** `{"response": …}` or `{"error": …}`, in either spelling. */
function readShortCircuit(circuit: JsonObject | undefined, answer: GuestAnswer<LlmRequest>): LlmResult {
  const found = present(circuit?.["error"] ?? circuit?.["Error"], "error", answer);
  if (found !== undefined && !isTrulyEmpty(found)) return { error: readError(found, answer) };
  const given = present(circuit?.["response"] ?? circuit?.["Response"], "response", answer);
  const response = given && readLlmResponse(given, undefined, answer);
  if (response === undefined) throw answer.fault("has a short circuit with neither a response nor an error");
  return { response };
}

/** `post_hook`: the result as it is, or another one. An error that is taken away for a response is recovered from. */
export function llmPostWire(spelling: Spelling): Wire<BracketEnd<LlmRequest, LlmResult>, LlmResult> {
  return {
    forPlugin: wireFor(llmPostWire),
    encode(end) {
      const { response, error } = resultOf(end);
      const shown = response === undefined ? "null" : llmResponseJson(response, end.input, spelling);
      return ['{"context":', `,"response":${shown},"error":${toJson(error ?? {})},"has_error":${error !== undefined}}`];
    },
    context: contextJson,
    unchanged: ["null", "{}"],
    decode(answer): Decision<BracketEnd<LlmRequest, LlmResult>, LlmResult> {
      const envelope = readEnvelope(answer, POST_FIELDS);
      const { response, error } = resultOf(answer.given);
      // In the oldest form `error` is the plugin's own failure, and the model's error has a name of its own.
      const own = typeof envelope["error"] === "string" ? envelope["error"] : envelope["hook_error"];
      refuseError(own, "hook_error", answer);
      const stated = typeof envelope["error"] === "string" ? envelope["bifrost_error"] : (envelope["error"] ?? envelope["bifrost_error"]);
      const attributes = contextChanges(envelope["context"], answer);
      const found = present(stated, "error", answer);
      const saysError = flag(envelope["has_error"], "has_error", answer);
      const isError = found !== undefined && !isTrulyEmpty(found);
      const isSame = isError && sameJson(found, plain(error));
      if (saysError === true && !isError && error === undefined) throw answer.fault('has "has_error", but no error');
      if (saysError === false && isError && !isSame) throw answer.fault('has an error, but "has_error" is false');
      const given = present(envelope["response"], "response", answer);
      const newResponse = given && readLlmResponse(given, response, answer);
      if (isError && saysError !== false) {
        if (isSame) return withAttributes(CONTINUE, attributes);
        return withAttributes({ action: "answer", value: { error: readError(found, answer) } }, attributes);
      }
      if (newResponse === undefined || sameJson(newResponse, response)) return withAttributes(CONTINUE, attributes);
      return withAttributes({ action: "answer", value: { response: newResponse } }, attributes);
    },
  };
}

/** The result of an ending; an error that was thrown is the gateway's own. */
function resultOf({ ending }: BracketEnd<LlmRequest, LlmResult>): LlmResult {
  if (ending.ok) return ending.output;
  const { code, message } = errorView(ending);
  const status = isMortiseError(ending.error) ? { status_code: ending.error.status } : {};
  return { error: { is_bifrost_error: true, ...status, error: { message, ...(code === undefined ? {} : { code }) } } };
}

/** A value as its JSON has it. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

/** An error that says nothing: no status, no type, no message, nothing inside. It counts as none. */
function isTrulyEmpty({ status_code: status, type, error }: JsonObject): boolean {
  if ((status ?? 0) !== 0 || (type ?? "") !== "") return false;
  if (!isJsonObject(error)) return error === undefined || error === null;
  return Object.entries(error).every(([, value]) => value === null || value === "");
}

function readError(error: JsonObject, answer: GuestAnswer<unknown>): LlmError {
  const inner = error["error"];
  if (!isJsonObject(inner) || typeof inner["message"] !== "string") throw answer.fault("has an error without a message");
  const status = error["status_code"] ?? undefined;
  if (status !== undefined && !(typeof status === "number" && Number.isInteger(status) && status >= 400 && status <= 599))
    throw answer.fault("has an error whose status_code is not a number from 400 to 599");
  flag(error["allow_fallbacks"], "allow_fallbacks", answer);
  const entries = Object.entries(error).filter(([, value]) => value !== null);
  return { ...Object.fromEntries(entries), error: { ...inner, message: inner["message"] } };
}
