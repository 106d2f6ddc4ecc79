// What a generation of the interface has to be able to do.

import type { Operation } from "./operation.ts";
import type { ChatRequest, ChatResponse, CompletionRequest, Embeddings, Speech, SpeechRequest, StreamChunk, TranscriptionRequest } from "./types.ts";

/** The operations of a provider, each with its function or functions of the plugin. */
export interface Dialect {
  chat(operation: Operation, request: ChatRequest): Promise<ChatResponse>;
  /** Ends with an error of the type `not_implemented`, before the first chunk, if the plugin does not stream. */
  chatStream(operation: Operation, request: ChatRequest): AsyncGenerator<StreamChunk, void>;
  listModels(operation: Operation): Promise<string[]>;
  embed(operation: Operation, inputs: readonly string[]): Promise<Embeddings>;
  complete(operation: Operation, request: CompletionRequest): Promise<string>;
  transcribe(operation: Operation, request: TranscriptionRequest): Promise<string>;
  speech(operation: Operation, request: SpeechRequest): Promise<Speech>;
}
