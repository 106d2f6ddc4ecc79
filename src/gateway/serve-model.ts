// A request to a model: plugins around it, the attempts at an answer, and the way back to the client.

import { type JsonObject, MortiseError } from "mortise";

import { type Admitted, admit } from "./admission.ts";
import { attemptAll } from "./attempts.ts";
import { Targets } from "./fallbacks.ts";
import type { Whole } from "./given.ts";
import { type HttpSession, openHttpSession } from "./http-session.ts";
import { type Attempted, attemptLlm } from "./llm-attempt.ts";
import { tellObservers } from "./observers.ts";
import type { Attempt } from "./policies/attempt.ts";
import { parseAnswer } from "./read-answer.ts";
import { type Reply, errorReply, replyOf, sendReply } from "./reply.ts";
import { readBody } from "./request-body.ts";
import { sendStream } from "./send-stream.ts";
import { checkSpelling } from "./spelling.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion } from "./types.ts";
import { tokensOf, usageAtEnd } from "./usage.ts";

/** How a request ended, for logs and observers. */
export interface Outcome {
  readonly asked?: Asked | undefined;
  readonly status: number;
  readonly completion?: Completion | undefined;
  /** Tokens that the answer took, where it says so. */
  readonly tokens?: number | undefined;
  readonly error?: unknown;
}

/** Answers a turn. It never rejects. */
export async function serveModel(turn: Turn): Promise<void> {
  const outcome = await answer(turn);
  tellObservers(turn, outcome);
}

async function answer(turn: Turn): Promise<Outcome> {
  const { exchange, core } = turn;
  let session: HttpSession | undefined;
  let asked: Asked | undefined;
  let admitted: Admitted | undefined;
  try {
    checkBodyType(exchange.headers);
    let bytes = await exchange.body(core.limits.bodyBytes);
    const admitting = admit(turn, bytes.length);
    admitted = admitting instanceof Promise ? await admitting : admitting;
    if (!core.host.hooks.http.isIdle) {
      session = await openHttpSession(turn, bytes);
      const early = session.early(turn.id);
      if (early !== undefined) return sent(turn, early, {});
      session.checkUnmoved(exchange);
      bytes = session.request.body ?? bytes;
    }
    const body = readBody(bytes);
    checkSpelling(body.json);
    asked = { body, request: turn.codec.read(body.json), headers: session?.request.headers };
    const asksChunks = asked.request.stream && !core.host.hooks.httpStreamChunk.isIdle;
    const attempted = await attempts(turn, asked, asksChunks);
    if (attempted.kind === "stream") {
      const assembles = !core.host.hooks.completed.isIdle || core.rates !== undefined;
      const { error, completion, usage, chars } = await sendStream({ turn, asked, session, begun: attempted, asksChunks, assembles });
      const tokens = tokensOf(completion?.usage ?? usage);
      // A client that leaves before the usage is told has got something all the same.
      admitted.settle(tokens, chars);
      return { asked, status: 200, completion, tokens, error };
    }
    const isCounted = core.rates !== undefined || core.logger !== undefined;
    const tokens = isCounted ? tokensOf(usageOf(attempted.whole)) : undefined;
    admitted.settle(tokens);
    const reply = replyOf(turn, asked, attempted.whole);
    await session?.after(reply);
    return sent(turn, reply, { asked, tokens, completion: completionOf(turn, attempted.whole) });
  } catch (error) {
    admitted?.settle(0);
    return failed(turn, session, asked, error);
  } finally {
    admitted?.leave();
    session?.[Symbol.dispose]();
  }
}

function usageOf({ bytes, result }: Whole): JsonObject | undefined {
  return result === undefined ? usageAtEnd(bytes ?? new Uint8Array(0)) : (result["usage"] as JsonObject | undefined);
}

function attempts(turn: Turn, asked: Asked, asksChunks: boolean): Promise<Attempted> {
  const { llm } = asked.request;
  const targets = new Targets(turn, llm);
  turn.targets = targets;
  const once = async (attempt: Attempt): Promise<Attempted> => {
    const { provider, model } = attempt.target;
    const routed = { ...llm, provider, model };
    try {
      return await attemptLlm(turn, asked, routed, attempt, asksChunks);
    } catch (error) {
      const messages = repairOf(turn, error);
      if (messages === undefined || !Array.isArray(llm.input)) throw error;
      turn.isRepaired = true;
      return attemptLlm(turn, asked, { ...routed, input: [...(llm.input as readonly unknown[]), ...messages] }, attempt, asksChunks);
    }
  };
  return attemptAll(turn, once, targets);
}

/** Messages with which a plugin wants the model asked again: that is done once. */
function repairOf({ isRepaired }: Turn, error: unknown): readonly unknown[] | undefined {
  if (isRepaired || !(error instanceof MortiseError) || error.code !== "MORTISE_GATEWAY_ANSWERED") return undefined;
  return error.details["retryWith"] as readonly unknown[] | undefined;
}

function sent(turn: Turn, reply: Reply, rest: Partial<Outcome>): Outcome {
  if (turn.exchange.isGone) return { ...rest, status: 499, error: turn.exchange.signal.reason };
  sendReply(turn.exchange, reply);
  return { ...rest, status: reply.status };
}

/** Plugins that saw the request see the error too; what they keep back becomes another error. */
async function failed(turn: Turn, session: HttpSession | undefined, asked: Asked | undefined, error: unknown): Promise<Outcome> {
  const { exchange } = turn;
  if (exchange.isGone) return { asked, status: 499, error: exchange.signal.reason };
  let reply = errorReply(turn, error);
  try {
    await session?.after(reply);
  } catch (other) {
    reply = errorReply(turn, other);
  }
  return sent(turn, reply, { asked, error });
}

/** The answer for observers, if there are any. */
function completionOf(
  turn: Turn,
  { bytes, result }: { readonly bytes?: Uint8Array | undefined; readonly result?: object | undefined },
): Completion | undefined {
  if (turn.core.host.hooks.completed.isIdle) return undefined;
  try {
    return (result ?? turn.codec.readResponse(parseAnswer(bytes))) as Completion;
  } catch {
    return undefined; // the client has it, and nobody else understands it
  }
}

/** A body that a form in a browser could send is none. @throws MortiseError MORTISE_GATEWAY_BODY_TYPE */
function checkBodyType({ "content-type": type, "content-encoding": coding }: Readonly<Record<string, string>>): void {
  if (coding !== undefined && coding !== "identity")
    throw new MortiseError("MORTISE_GATEWAY_BODY_TYPE", { header: "content-encoding", found: coding, wanted: "absent" });
  if (type === undefined || !/^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(type))
    throw new MortiseError("MORTISE_GATEWAY_BODY_TYPE", { header: "content-type", found: type ?? "missing", wanted: "application/json" });
}
