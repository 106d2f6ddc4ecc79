// A request to a model: plugins around it, the attempts at an answer, and the way back to the client.

import { MortiseError } from "mortise";

import { admit, enterGate } from "./admission.ts";
import { attemptAll } from "./attempts.ts";
import type { Core } from "./core.ts";
import { Targets } from "./fallbacks.ts";
import { type HttpSession, openHttpSession } from "./http-session.ts";
import { type Attempted, attemptLlm } from "./llm-attempt.ts";
import { tellObservers } from "./observers.ts";
import { BodyRoom } from "./pending-bodies.ts";
import type { Attempt } from "./policies/attempt.ts";
import type { Pass } from "./policies/gate.ts";
import { parseAnswer } from "./read-answer.ts";
import { type Reply, errorReply, replyOf, sendReply } from "./reply.ts";
import { readBody } from "./request-body.ts";
import { sendStream } from "./send-stream.ts";
import { checkSpelling } from "./spelling.ts";
import { tookWhole } from "./tally.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion } from "./types.ts";

/** How a request ended, for logs and observers. */
export interface Outcome {
  readonly asked?: Asked | undefined;
  readonly status: number;
  readonly completion?: Completion | undefined;
  /** Bytes of the answer, about. */
  readonly answerBytes?: number | undefined;
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
  let pass: Pass | undefined;
  const room = new BodyRoom(core.bodies, turn.client);
  try {
    checkBodyType(exchange.headers);
    // First of all, so that bodies of one client do not wait in the place of others'.
    const entering = enterGate(turn);
    pass = entering instanceof Promise ? await entering : entering;
    // Who did not wait has begun just now.
    const readsAt = pass === undefined ? turn.beganMs : core.clock();
    let bytes = await exchange.body(core.limits.bodyBytes, room);
    turn.readingMs = core.clock() - readsAt;
    turn.tally.bodyBytes = bytes.length;
    if (core.rates !== undefined) turn.admitted = await admit(turn, bytes.length);
    if (!core.host.hooks.http.isIdle) {
      session = await openHttpSession(turn, bytes);
      const early = session.early(turn.id);
      if (early !== undefined) return sent(turn, early, {});
      session.checkUnmoved(exchange);
      bytes = session.request.body ?? bytes;
    }
    const body = readBody(bytes);
    checkSpelling(body.json);
    const counts = isCounted(core);
    const request = turn.codec.read(body.json);
    // Streams of chat completions say what they took only if they are asked.
    const addsUsage = counts && turn.api === "chat" && request.stream && !request.streamUsage;
    asked = { body, request, addsUsage, headers: session?.request.headers };
    const asksChunks = asked.request.stream && !core.host.hooks.httpStreamChunk.isIdle;
    const attempted = await attempts(turn, asked, asksChunks);
    if (attempted.kind === "stream") {
      const assembles = !core.host.hooks.completed.isIdle;
      const { error, completion, answerBytes, took } = await sendStream({ turn, asked, session, begun: attempted, asksChunks, assembles, counts });
      turn.tally.took(took);
      return { asked, status: 200, completion, answerBytes, error };
    }
    const { whole } = attempted;
    if (counts || core.logger !== undefined) turn.tally.took(tookWhole(turn.api, whole));
    const reply = replyOf(turn, asked, whole);
    await session?.after(reply);
    return sent(turn, reply, { asked, completion: completionOf(turn, whole), answerBytes: reply.body.length });
  } catch (error) {
    return await failed(turn, session, asked, error);
  } finally {
    turn.admitted.settle(turn.tally.total);
    pass?.leave();
    room.leave();
    session?.[Symbol.dispose]();
  }
}

/** True if somebody counts tokens, and would count too few if an answer did not say what it took. */
function isCounted({ rates, host: { hooks } }: Core): boolean {
  return rates !== undefined || !hooks.used.isIdle || !hooks.completed.isIdle;
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
