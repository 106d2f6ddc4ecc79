// Sends a stream to the client, piece by piece as the client takes them; plugins may look at each.

import { type ChainDecision, type HttpRequest, type HttpStreamChunk, type JsonObject, MortiseError } from "mortise";

import { EventReader } from "./event-stream.ts";
import { failureOf } from "./failure.ts";
import type { Chunk, Piece } from "./given.ts";
import { type HttpSession, shownRequest } from "./http-session.ts";
import type { Begun } from "./llm-attempt.ts";
import { toChunk } from "./read-answer.ts";
import { answerHeaders, errorReply, sendReply } from "./reply.ts";
import type { Asked, Turn } from "./turn.ts";
import type { Completion, CompletionChunk } from "./types.ts";
import { textChars, usageAtEnd } from "./usage.ts";
import type { StreamWriter } from "./wires/client-wire.ts";
import { type ChunkAssembler, assembleChunks } from "./wires/common/assemble-chunks.ts";

const NEWLINE = 0x0a;
/** Bytes of a line that are held until it is complete. */
const MAX_HELD_BYTES = 1 << 20;
const NOTHING = new Uint8Array(0);
/** Bytes or characters of a stream that is put together; a longer one is sent all the same, but not told. */
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
}

/** How a stream ended. */
export interface StreamEnd {
  /** What was sent in the common form, if that is wanted. */
  readonly completion?: Completion | undefined;
  /** What it took, as far as its end says so. */
  readonly usage?: JsonObject | undefined;
  /** Characters that the model said, where the answer was put together. */
  readonly chars: number;
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
  return { error, completion: outlet.completion(), usage: outlet.usage(), chars: outlet.chars };
}

/** The way of pieces to the client. */
class Outlet {
  readonly headers: readonly string[];
  readonly #parts: StreamParts;
  readonly #writer: StreamWriter;
  #assembly: ChunkAssembler | undefined;
  /** Bytes or characters that it was made from. */
  #assembled = 0;
  /** Characters that the model said. */
  #chars = 0;
  /** Reads for observers what is sent on unread. */
  #observer: EventReader | undefined;
  /** The request as plugins are shown it with each piece. */
  #request: HttpRequest | undefined;
  #hasBegun = false;
  #isRaw = false;
  /** The beginning of a line whose end has not come. */
  #held: Uint8Array = NOTHING;
  /** The last pieces of what is sent on unread, in whose end the usage may be; or the usage itself. */
  #last: readonly Uint8Array[] = [];
  #usage: JsonObject | undefined;

  constructor(parts: StreamParts) {
    const { turn, asked, assembles } = parts;
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
    for (const { chunk, data } of piece) text += this.#textOf(chunk, data);
    return this.#write(text);
  }

  #sendBytes(bytes: Uint8Array): undefined | Promise<void> {
    this.#isRaw = true;
    this.#last = [this.#last.at(-1) ?? NOTHING, bytes];
    this.#observe(bytes);
    // A line that is not complete waits for its end: if that never comes, it must not swallow the event that says so.
    const end = bytes.lastIndexOf(NEWLINE) + 1;
    const held = this.#held;
    if (end === 0 && held.length + bytes.length < MAX_HELD_BYTES) {
      this.#held = held.length === 0 ? bytes : Buffer.concat([held, bytes]);
      return undefined;
    }
    const to = end === 0 ? bytes.length : end;
    this.#held = bytes.subarray(to);
    const whole = to === bytes.length ? bytes : bytes.subarray(0, to);
    return this.#write(held.length === 0 ? whole : Buffer.concat([held, whole]));
  }

  #observe(bytes: Uint8Array): void {
    if (this.#assembly === undefined) return;
    this.#observer ??= new EventReader(this.#parts.turn.codec.streamReader(), false);
    for (const { chunk } of this.#observer.read(bytes)) this.#assemble(chunk);
    this.#grow(bytes.length);
  }

  #assemble(chunk: CompletionChunk): void {
    if (this.#assembly === undefined) return;
    this.#assembly.push(chunk);
    for (const { delta } of chunk.choices) this.#chars += textChars(delta);
  }

  #grow(by: number): void {
    if (this.#assembly !== undefined && (this.#assembled += by) > MAX_ASSEMBLED) this.#assembly = undefined;
  }

  get chars(): number {
    return this.#chars;
  }

  async #sendAsked(piece: readonly Chunk[]): Promise<void> {
    let text = "";
    for (const { chunk, data } of piece) {
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
    this.#assemble(chunk);
    this.#usage = chunk.usage ?? this.#usage;
    // It may have come on several lines, which must not become lines of their own.
    const text = data === undefined || data.includes("\n") ? this.#writer.push(chunk) : `data: ${data}\n\n`;
    this.#grow(text.length);
    return text;
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
    void this.#write(this.#isRaw ? this.#held : this.#writer.end());
    if (!this.#hasBegun) exchange.begin(200, this.headers);
    exchange.end();
  }

  /** As a response of its own if nothing has been sent, else as the last event. */
  fail(error: unknown): void {
    const { turn } = this.#parts;
    if (turn.exchange.isGone) return;
    if (!this.#hasBegun) return sendReply(turn.exchange, errorReply(turn, error));
    const event = this.#writer.fail(failureOf(error));
    // The event before may lack its end.
    void this.#write(this.#isRaw ? `\n${event}` : event);
    turn.exchange.end();
  }

  completion(): Completion | undefined {
    return this.#assembly?.completion();
  }

  usage(): JsonObject | undefined {
    const { core } = this.#parts.turn;
    return this.#isRaw && (core.logger !== undefined || core.rates !== undefined) ? usageAtEnd(Buffer.concat(this.#last)) : this.#usage;
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
