// One attempt at an answer: plugins before, the provider, plugins after. Nothing has been sent to the client yet.

import type { Ending, JsonObject, LlmRequest, LlmResult, OpenBracket } from "mortise";

import { askProvider } from "./ask-provider.ts";
import { failureOf } from "./failure.ts";
import type { Chunk, Given, Piece, PieceStream, Whole } from "./given.ts";
import { answered, llmErrorOf } from "./llm-error.ts";
import type { Attempt } from "./policies/attempt.ts";
import { parseAnswer, toChunk, toCompletion } from "./read-answer.ts";
import { ChunkCost } from "./stream-cost.ts";
import { tookWhole } from "./tally.ts";
import type { Asked, Turn } from "./turn.ts";
import { completionToChunks } from "./wires/common/assemble-chunks.ts";

type LlmEnding = Ending<LlmResult>;
type LlmBracket = OpenBracket<LlmRequest, LlmResult>;

/** A stream whose first piece is there: now the client can be told that there is an answer. */
export interface Begun {
  readonly kind: "stream";
  readonly first: Piece | undefined;
  readonly stream: PieceStream;
}

/** What an attempt gives. */
export type Attempted = { readonly kind: "whole"; readonly whole: Whole } | Begun;

/** @throws MortiseError why there is no answer: of the provider, of a plugin, or MORTISE_GATEWAY_ANSWERED */
export async function attemptLlm(turn: Turn, asked: Asked, llm: LlmRequest, attempt: Attempt, looks: boolean): Promise<Attempted> {
  const { llm: hook } = turn.core.host.hooks;
  if (hook.isIdle) {
    turn.asks(llm);
    return begin(await ask(turn, asked, llm, attempt, looks), attempt);
  }
  const { context } = turn;
  turn.asks(llm);
  const opening = hook.open(llm, { request: context });
  const bracket = opening instanceof Promise ? await opening : opening;
  let keeps = false;
  try {
    const attempted = await withPlugins(turn, asked, { bracket, shown: llm }, attempt, looks);
    keeps = attempted.kind === "stream";
    return attempted;
  } finally {
    // A stream has its plugins until it is over.
    if (!keeps) bracket[Symbol.dispose]();
  }
}

async function ask(turn: Turn, asked: Asked, llm: LlmRequest, attempt: Attempt, looks: boolean): Promise<Given> {
  const provider = turn.setup.providerOf(llm);
  // A plugin sends the request elsewhere.
  if (llm.provider !== attempt.asks.provider || llm.model !== attempt.asks.model) await attempt.moveTo({ provider: llm.provider, model: llm.model });
  return askProvider({ turn, asked, llm, provider, attempt, looks });
}

async function withPlugins(
  turn: Turn,
  asked: Asked,
  { bracket, shown }: { readonly bracket: LlmBracket; readonly shown: LlmRequest },
  attempt: Attempt,
  looks: boolean,
): Promise<Attempted> {
  const llm = bracket.input;
  turn.targets?.take(turn, attempt, shown, llm);
  const { early } = bracket;
  if (early !== undefined) return asAsked(turn, asked, bracket, { result: resultOf(llm, await bracket.end(early)) });
  let given: Given;
  try {
    if (llm.provider !== turn.provider || llm.model !== turn.model) turn.redirected(llm);
    given = await ask(turn, asked, llm, attempt, looks || bracket.asksAfter);
  } catch (error) {
    attempt.blame(error);
    return asAsked(turn, asked, bracket, { result: await afterError(turn, bracket, error) });
  }
  if (given.kind === "whole")
    return { kind: "whole", whole: bracket.asksAfter ? await afterWhole(turn, bracket, given.whole, attempt) : given.whole };
  return begin({ kind: "stream", stream: new PluginStream(turn, bracket, given.stream, attempt) }, attempt);
}

/** Waits for the first piece: a stream that fails before it is an attempt that failed. */
async function begin(given: Given, attempt: Attempt): Promise<Attempted> {
  if (given.kind === "whole") return given;
  const { stream } = given;
  try {
    const first = await stream.next();
    // Not before: what follows a stream that failed may hold nothing.
    const release = attempt.hold();
    return { kind: "stream", first, stream: { next: () => stream.next(), close: (error) => (stream.close(), release(error)) } };
  } catch (error) {
    stream.close();
    throw error;
  }
}

/** A whole answer, in pieces for a client that wants a stream. */
function asAsked(turn: Turn, { request }: Asked, bracket: LlmBracket, whole: Whole & { readonly result: JsonObject }): Attempted {
  if (!request.stream) return { kind: "whole", whole: { result: resultFor(turn, whole.result) } };
  return {
    kind: "stream",
    first: chunksOf(whole.result, turn),
    stream: { next: () => Promise.resolve(undefined), close: () => bracket[Symbol.dispose]() },
  };
}

/** What a plugin made, as a whole answer. */
function resultFor(turn: Turn, result: JsonObject): JsonObject {
  return turn.api === "embeddings" ? result : toCompletion(result, turn);
}

function chunksOf(result: JsonObject, turn: Turn): readonly Chunk[] {
  return completionToChunks(toCompletion(result, turn)).map((chunk) => ({ chunk }));
}

/** The answer with which plugins end. @throws their error */
function resultOf({ provider }: LlmRequest, ending: LlmEnding): JsonObject {
  if (!ending.ok) throw ending.error;
  const { response, error } = ending.output;
  if (error !== undefined) throw answered(error as typeof error & JsonObject, provider);
  return response;
}

/** Shows an error to plugins. @returns the answer of one that recovered. @throws the error that is left */
async function afterError(turn: Turn, bracket: LlmBracket, error: unknown): Promise<JsonObject> {
  if (!bracket.asksAfter) throw error;
  const shown: LlmEnding = { ok: true, output: { error: llmErrorOf(failureOf(error), bracket.input) } };
  const ending = await bracket.end(shown);
  if (ending === shown) throw error;
  return resultOf(bracket.input, ending);
}

async function afterWhole(turn: Turn, bracket: LlmBracket, whole: Whole, attempt: Attempt): Promise<Whole> {
  let result: JsonObject;
  try {
    result = whole.result ?? turn.codec.readResponse(parseAnswer(whole.bytes));
  } catch (error) {
    attempt.blame(error);
    return { result: resultFor(turn, await afterError(turn, bracket, error)) };
  }
  const shown: LlmEnding = { ok: true, output: { response: result } };
  const pending = bracket.end(shown);
  const ending = pending instanceof Promise ? await pending : pending;
  if (ending === shown) return { ...whole, result };
  try {
    return { result: resultFor(turn, resultOf(bracket.input, ending)) };
  } catch (error) {
    // Nobody gets it, but it was given.
    turn.tally.took(tookWhole(turn.api, { result }));
    throw error;
  }
}

/** A stream of which plugins see every piece. */
class PluginStream implements PieceStream {
  readonly #turn: Turn;
  readonly #bracket: LlmBracket;
  readonly #source: PieceStream;
  readonly #attempt: Attempt;
  #hasBegun = false;
  #isOver = false;

  constructor(turn: Turn, bracket: LlmBracket, source: PieceStream, attempt: Attempt) {
    this.#attempt = attempt;
    this.#turn = turn;
    this.#bracket = bracket;
    this.#source = source;
  }

  async next(): Promise<Piece | undefined> {
    if (this.#isOver) return undefined;
    let piece: Piece | undefined;
    try {
      piece = await this.#source.next();
    } catch (error) {
      return this.#recovered(error);
    }
    if (piece === undefined || piece instanceof Uint8Array || !this.#bracket.asksAfter) return piece;
    try {
      const chunks = await this.#shown(piece);
      this.#hasBegun = true;
      return chunks;
    } catch (error) {
      // Nobody gets it, but it was given; of what comes later, the client has got a part.
      if (!this.#hasBegun) {
        const cost = new ChunkCost();
        for (const { chunk } of piece) cost.note(chunk);
        this.#turn.tally.took(cost);
      }
      throw error;
    }
  }

  /** What plugins make of a piece. @throws MortiseError their error */
  async #shown(piece: readonly Chunk[]): Promise<readonly Chunk[]> {
    const chunks: Chunk[] = [];
    for (const each of piece) {
      const shown: LlmEnding = { ok: true, output: { response: each.chunk } };
      const pending = this.#bracket.end(shown);
      const ending = pending instanceof Promise ? await pending : pending; // oxlint-disable-line no-await-in-loop -- plugins see pieces in order
      chunks.push(ending === shown ? each : { chunk: toChunk(resultOf(this.#bracket.input, ending), each.chunk) });
    }
    return chunks;
  }

  /** The answer of a plugin that recovers. Once a part of another answer is out, it comes too late. */
  async #recovered(error: unknown): Promise<Piece> {
    if (!this.#hasBegun) this.#attempt.blame(error);
    const result = await afterError(this.#turn, this.#bracket, error);
    if (this.#hasBegun) throw error;
    this.#isOver = true;
    return chunksOf(result, this.#turn);
  }

  close(): void {
    this.#source.close();
    this.#bracket[Symbol.dispose]();
  }
}
