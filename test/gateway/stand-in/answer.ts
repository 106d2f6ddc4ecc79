// What the stand-in answers with, before an interface puts it into its words.

import { type Asked, countWords } from "./request.ts";

/** Seconds since 1970 at which everything is made. */
export const CREATED = 1_750_000_000;

/** One event of a stream. */
export interface SseEvent {
  readonly event?: string;
  readonly data: string;
}

/** What an interface makes of it: an object, or events. */
export interface Reply {
  readonly json?: unknown;
  readonly events?: readonly SseEvent[];
}

/** What is said: a text, or the call of a tool. */
export interface Answer {
  readonly text: string;
  /** The text, in the pieces that a stream has it in. */
  readonly pieces: readonly string[];
  readonly call: Asked["call"];
  /** The text was cut. */
  readonly cut: boolean;
  readonly inputWords: number;
  readonly outputWords: number;
}

/** Echoes the last text, cut to the words that it may have; or calls the tool that it should. */
export function answerTo(asked: Asked, { text, chunks }: { readonly text?: string | undefined; readonly chunks?: number | undefined }): Answer {
  if (asked.call !== undefined && text === undefined) {
    const { call, words } = asked;
    return { text: "", pieces: piecesOf(call.arguments, chunks), call, cut: false, inputWords: words, outputWords: countWords(call.arguments) };
  }
  const whole = text ?? asked.last;
  const words = whole.match(/\s*\S+/gu) ?? [];
  const cut = words.length > asked.most;
  const said = cut ? words.slice(0, asked.most).join("") : whole;
  return {
    text: said,
    pieces: piecesOf(said, chunks),
    call: undefined,
    cut,
    inputWords: asked.words,
    outputWords: Math.min(words.length, asked.most),
  };
}

/** Cuts a text between characters: into so many pieces, some of them empty where it is too short; or else before each word. */
export function piecesOf(text: string, chunks: number | undefined): readonly string[] {
  if (chunks === undefined) return text === "" ? [] : (text.match(/\s*\S+\s*$|\s*\S+|\s+$/gu) ?? [text]);
  const characters = Array.from(text);
  return Array.from({ length: chunks }, (_unused, index) =>
    characters.slice(Math.floor((index * characters.length) / chunks), Math.floor(((index + 1) * characters.length) / chunks)).join(""),
  );
}

/** An event without a name. */
export function data(value: unknown): SseEvent {
  return { data: JSON.stringify(value) };
}

/** An event that is named as its type. */
export function named(value: { readonly type: string } & Readonly<Record<string, unknown>>): SseEvent {
  return { event: value.type, data: JSON.stringify(value) };
}
