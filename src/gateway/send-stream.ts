// Sends a stream to the client, piece by piece as the client takes them; plugins may look at each.

import { type ChainDecision, type HttpRequest, type HttpStreamChunk, MortiseError } from "mortise";

import { failureOf } from "./failure.ts";
import type { Chunk, Piece } from "./given.ts";
import { type HttpSession, shownRequest } from "./http-session.ts";
import { LineHolder } from "./line-holder.ts";
import type { Begun } from "./llm-attempt.ts";
import { toChunk } from "./read-answer.ts";
import { answerHeaders, errorReply, sendReply } from "./reply.ts";
import { StreamCost } from "./stream-cost.ts";
import type { Took } from "./tally.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion, CompletionChunk } from "./types.ts";
import { UsageRemover } from "./usage-remover.ts";
import type { StreamWriter } from "./wires/client-wire.ts";
import { type ChunkAssembler, assembleChunks } from "./wires/common/assemble-chunks.ts";

/** Bytes or characters of a stream that is put together; a longer one is sent all the same, but told as one that is cut. */
const MAX_ASSEMBLED = 32 << 20;
/** The longest that a timer takes. */
const MAX_TIMER_MS = 0x7fff_ffff;
/** Proxies in between are asked not to collect the stream. */
const STREAM_HEADERS: readonly string[] = ["cache-control", "no-cache, no-transform", "x-accel-buffering", "no"];

/** What a stream is sent with. */
export interface StreamParts {
  readonly turn: Turn;
  readonly asked: Asked;
  readonly session: HttpSession | undefined;
  readonly begun: Begun;
  /** Plugins look at each piece that goes out. */
  readonly asksChunks: boolean;
  /** The answer is put together for observers. */
  readonly assembles: boolean;
  /** Somebody counts tokens. */
  readonly counts: boolean;
}

/** How a stream ended. */
export interface StreamEnd {
  /** What was sent in the common form, if that is wanted. */
  readonly completion?: Completion | undefined;
  /** Bytes that it was put together from. */
  readonly answerBytes: number;
  readonly took: Took;
  /** What broke it off. */
  readonly error?: unknown;
}

/** Sends it. */
export async function sendStream(parts: StreamParts): Promise<StreamEnd> {
  const { turn, begun } = parts;
  const outlet = new Outlet(parts);
  let error: unknown;
  try {
    for (let piece = begun.first; piece !== undefined; piece = await begun.stream.next()) {
      if (turn.exchange.isGone) break;
      const pending = outlet.send(piece);
      if (pending !== undefined) await pending; // oxlint-disable-line no-await-in-loop -- the client takes one piece after the other
    }
    if (turn.exchange.isGone) error = turn.exchange.signal.reason;
    else outlet.end();
  } catch (thrown) {
    error = turn.exchange.isGone ? turn.exchange.signal.reason : thrown;
    outlet.fail(error);
  } finally {
    begun.stream.close(error);
  }
  await parts.session?.afterStream(200, outlet.headers);
  return { error, completion: outlet.completion(), answerBytes: outlet.assembled, took: outlet.cost.took() };
}

/** The way of pieces to the client. */
class Outlet {
  readonly headers: readonly string[];
  readonly cost: StreamCost;
  readonly #parts: StreamParts;
  readonly #writer: StreamWriter;
  #assembly: ChunkAssembler | undefined;
  /** Bytes or characters that it was made from. */
  #assembled = 0;
  /** In the place of an answer that is too long to be put together. */
  #truncated: Completion | undefined;
  /** The request as plugins are shown it with each piece. */
  #request: HttpRequest | undefined;
  #hasBegun = false;
  #isRaw = false;
  /** A line that is not complete waits for its end: if that never comes, it must not swallow the event that says so. */
  readonly #lines = new LineHolder();
  /** Takes out the usage that the client has not asked for. */
  readonly #remover: UsageRemover | undefined;

  constructor(parts: StreamParts) {
    const { turn, asked, assembles, counts } = parts;
    this.cost = new StreamCost(turn, counts);
    this.#remover = asked.addsUsage ? new UsageRemover() : undefined;
    this.#parts = parts;
    this.headers = [...answerHeaders(turn, "text/event-stream; charset=utf-8"), ...STREAM_HEADERS];
    this.#writer = turn.codec.stream(asked.request, turn.answerIds());
    this.#assembly = assembles ? assembleChunks() : undefined;
  }

  /** A promise where the client or a plugin must be waited for. */
  send(piece: Piece): undefined | Promise<void> {
    if (piece instanceof Uint8Array) return this.#sendBytes(piece);
    if (this.#parts.asksChunks) return this.#sendAsked(piece);
    let text = "";
    for (const { chunk, data } of piece) {
      this.cost.note(chunk);
      text += this.#textOf(chunk, data);
    }
    return this.#write(text);
  }

  #sendBytes(bytes: Uint8Array): undefined | Promise<void> {
    this.#isRaw = true;
    if (this.#assembly === undefined) this.cost.pass(bytes);
    else {
      for (const { chunk } of this.cost.read(bytes)) this.#assembly.push(chunk);
      this.#grow(bytes.length);
    }
    const lines = this.#lines.push(bytes);
    return this.#write(this.#remover === undefined ? lines : this.#remover.lines(lines));
  }

  #grow(by: number): void {
    if (this.#assembly === undefined || (this.#assembled += by) <= MAX_ASSEMBLED) return;
    this.#truncated = { ...this.#assembly.completion(), choices: [], truncated: true };
    this.#assembly = undefined;
  }

  async #sendAsked(piece: readonly Chunk[]): Promise<void> {
    let text = "";
    for (const { chunk, data } of piece) {
      this.cost.note(chunk);
      const pending = this.#ask(chunk);
      const asked = pending instanceof Promise ? await pending : pending; // oxlint-disable-line no-await-in-loop -- plugins see pieces in order
      if (asked !== undefined) text += this.#textOf(asked, asked === chunk ? data : undefined);
    }
    await this.#write(text);
  }

  /** What plugins make of a chunk; undefined if they drop it. @throws MortiseError if they end the stream, or fail */
  #ask(chunk: CompletionChunk): CompletionChunk | undefined | Promise<CompletionChunk | undefined> {
    const { turn, session } = this.#parts;
    const request = (this.#request ??= shownRequest(turn, session));
    const decision = turn.core.host.hooks.httpStreamChunk.start({ request, chunk }, { request: turn.context });
    return decision instanceof Promise ? decision.then((settled) => chunkOf(settled, chunk)) : chunkOf(decision, chunk);
  }

  #textOf(chunk: CompletionChunk, data: string | undefined): string {
    this.#assembly?.push(chunk);
    const text = this.#written(chunk, data);
    this.#grow(text.length);
    return text;
  }

  #written(chunk: CompletionChunk, data: string | undefined): string {
    // It may have come on several lines, which must not become lines of their own.
    if (data === undefined || data.includes("\n")) return this.#writer.push(chunk);
    const kept = this.#remover === undefined ? data : this.#remover.data(data);
    return kept === undefined ? "" : `data: ${kept}\n\n`;
  }

  #write(piece: Uint8Array | string): undefined | Promise<void> {
    const { exchange } = this.#parts.turn;
    if (piece.length === 0) return undefined;
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      exchange.begin(200, this.headers);
    }
    return exchange.write(piece) ? undefined : this.#drained();
  }

  /** Waits for the client, but for no longer than the request may take: one that does not read must not hold it for good. */
  async #drained(): Promise<void> {
    const { exchange, timeLeftMs } = this.#parts.turn;
    const tooLate = setTimeout(() => exchange.destroy(), Math.min(Math.max(0, timeLeftMs), MAX_TIMER_MS));
    await exchange.drained();
    clearTimeout(tooLate);
  }

  end(): void {
    const { exchange } = this.#parts.turn;
    const rest = this.#lines.rest();
    if (!this.#isRaw) void this.#write(this.#writer.end());
    else void this.#write(this.#remover?.lines(rest) ?? rest);
    if (!this.#hasBegun) exchange.begin(200, this.headers);
    exchange.end();
  }

  /** As a response of its own if nothing has been sent, else as the last event. */
  fail(error: unknown): void {
    const { turn } = this.#parts;
    if (turn.exchange.isGone) return;
    if (!this.#hasBegun) return sendReply(turn.exchange, errorReply(turn, error));
    const event = this.#writer.fail(failureOf(error));
    // The event before may lack its end, and its line too, if that was too long to wait for it.
    void this.#write(this.#isRaw ? `\n\n${event}` : event);
    turn.exchange.end();
  }

  get assembled(): number {
    return this.#assembly === undefined ? 0 : this.#assembled;
  }

  completion(): Completion | undefined {
    return this.#assembly?.completion() ?? this.#truncated;
  }
}

/** What a decision makes of a chunk. @throws MortiseError MORTISE_HOOK_REJECTED */
function chunkOf(decision: ChainDecision<HttpStreamChunk, null>, chunk: CompletionChunk): CompletionChunk | undefined {
  switch (decision.action) {
    case "continue":
      return chunk;
    case "replace":
      return toChunk(decision.value.chunk, chunk);
    case "answer":
      return undefined;
    case "reject":
      throw new MortiseError("MORTISE_HOOK_REJECTED", { hook: "httpStreamChunk", plugin: decision.plugin, reason: decision.reason });
  }
}
