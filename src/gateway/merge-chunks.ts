// Pieces of a stream that arrived together, as one: the more there is to do, the fewer pieces plugins are shown.

import type { Chunk } from "./given.ts";
import type { CompletionChunk } from "./types.ts";
import { isObject } from "./wires/common/fields.ts";

/** Characters that a text of several pieces may have. */
const MAX_CHARS = 4096;
/** Texts of a delta that go on from piece to piece. */
const TEXTS: ReadonlySet<string> = new Set(["content", "reasoning", "reasoning_content", "refusal"]);
/** Padding that hides how long a piece is. */
const PADDING = "obfuscation";

/** A piece in which one text goes on, and nothing else happens. */
interface TextPiece {
  readonly chunk: CompletionChunk;
  readonly index: unknown;
  readonly name: string;
  readonly text: string;
}

/** The same text and all else in the same order, in as few chunks as can say it. What stays as it is keeps its data. */
export function mergeChunks(chunks: readonly Chunk[]): readonly Chunk[] {
  if (chunks.length < 2) return chunks;
  const merged: Chunk[] = [];
  let last: TextPiece | undefined;
  for (const each of chunks) {
    const piece = textPieceOf(each.chunk);
    if (piece !== undefined && last !== undefined && goesOn(last, piece)) {
      last = withText(last, last.text + piece.text);
      merged[merged.length - 1] = { chunk: last.chunk };
    } else {
      last = piece;
      merged.push(each);
    }
  }
  return merged;
}

function textPieceOf(chunk: CompletionChunk): TextPiece | undefined {
  const { choices } = chunk;
  const [choice] = choices;
  if (choice === undefined || choices.length > 1) return undefined;
  let text: string | undefined;
  let name = "";
  for (const [key, value] of Object.entries(choice)) {
    if (key === "index" || value === null) continue;
    if (key !== "delta" || !isObject(value)) return undefined;
    for (const [kind, said] of Object.entries(value)) {
      if (text !== undefined || typeof said !== "string" || !TEXTS.has(kind)) return undefined;
      name = kind;
      text = said;
    }
  }
  return text === undefined ? undefined : { chunk, index: choice["index"], name, text };
}

/** True if the second says nothing but more of the first's text. */
function goesOn(first: TextPiece, second: TextPiece): boolean {
  if (first.name !== second.name || first.index !== second.index || first.text.length + second.text.length > MAX_CHARS) return false;
  const [one, other] = [membersOf(first), membersOf(second)];
  // No object is the same as another, such as a usage, which belongs to its own piece.
  return one.length === other.length && other.every((key) => first.chunk[key] === second.chunk[key]);
}

/** Names of what a chunk has besides its choices. */
function membersOf({ chunk }: TextPiece): string[] {
  return Object.keys(chunk).filter((key) => key !== "choices" && key !== PADDING);
}

function withText({ chunk, index, name }: TextPiece, text: string): TextPiece {
  const [choice] = chunk.choices;
  return { chunk: { ...chunk, choices: [{ ...choice, delta: { [name]: text } }] }, index, name, text };
}
