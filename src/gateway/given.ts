// What a provider, or a plugin in its place, gives for one request.

import type { JsonObject } from "mortise";

import type { CompletionChunk } from "./types.ts";

/** A whole answer: in the client's own interface as it came, in the common form, or both. */
export interface Whole {
  readonly bytes?: Uint8Array | undefined;
  readonly result?: JsonObject | undefined;
}

/** A piece of a stream, and its data as it came where that is the client's own interface. */
export interface Chunk {
  readonly chunk: CompletionChunk;
  readonly data?: string | undefined;
}

/** Bytes in the client's own interface that nobody has looked at, or pieces in the common form. */
export type Piece = Uint8Array | readonly Chunk[];

/** A stream, read piece by piece; undefined is its end. What `next` throws breaks the stream off. */
export interface PieceStream {
  next(): Promise<Piece | undefined>;
  /** Lets go of everything, also of what was not read; with what broke it off, if something did. */
  close(error?: unknown): void;
}

/** What comes of one attempt. */
export type Given = { readonly kind: "whole"; readonly whole: Whole } | { readonly kind: "stream"; readonly stream: PieceStream };
