// What providers take and give: the shapes of QueryMT's interface as they cross, but for bytes, which are bytes here.

/** A part of a message. Bytes cross as JSON arrays of numbers. */
export type Content =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "image"; readonly mime_type: string; readonly data: Uint8Array }
  | { readonly type: "image_url"; readonly url: string }
  | { readonly type: "pdf"; readonly data: Uint8Array }
  | { readonly type: "audio"; readonly mime_type: string; readonly data: Uint8Array }
  | { readonly type: "thinking"; readonly text: string; readonly signature?: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly arguments: unknown }
  | { readonly type: "tool_result"; readonly id: string; readonly name?: string; readonly is_error: boolean; readonly content: readonly Content[] }
  | { readonly type: "resource_link"; readonly uri: string; readonly name?: string; readonly description?: string; readonly mime_type?: string };

/** One message. System text is configuration (`system`), and results of tools are in messages of the user. */
export interface ChatMessage {
  readonly role: "User" | "Assistant";
  readonly content: readonly Content[];
  readonly cache?: { readonly ephemeral: { readonly ttl_seconds?: number } };
}

/** A function that the model may ask for; `parameters` is a JSON Schema. */
export interface Tool {
  readonly type: "function";
  readonly function: { readonly name: string; readonly description: string; readonly parameters: unknown };
}

/** What a conversation is continued with. */
export interface ChatRequest {
  readonly messages: readonly ChatMessage[];
  /** @default none */
  readonly tools?: readonly Tool[];
  /** Laid over the provider's configuration for this request: `model`, `system`, `temperature`, `tool_choice` and the like. */
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Why a model stopped. */
export const FINISH_REASONS = ["Stop", "Length", "ContentFilter", "ToolCalls", "Error", "Other", "Unknown"] as const;
/** One of {@link FINISH_REASONS}. */
export type FinishReason = (typeof FINISH_REASONS)[number];

/** Tokens that a request took; each is 0 where the provider does not say. */
export interface Usage {
  readonly input_tokens: number;
  readonly output_tokens: number;
  readonly reasoning_tokens: number;
  readonly cache_read: number;
  readonly cache_write: number;
}

/** Vectors, one for each text. */
export interface Embeddings {
  readonly embeddings: number[][];
  /** Null where the plugin gives the vectors alone, as QueryMT's own do. */
  readonly usage: Usage | null;
}

/** What the model wants called; `arguments` is JSON text of the model's, to be checked. */
export interface ToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** An answer. */
export interface ChatResponse {
  readonly text: string | null;
  readonly tool_calls: readonly ToolCall[] | null;
  readonly thinking: string | null;
  /** The server's proof that the thinking is its own, where it gives one; `redacted:` and data for thinking that it encrypted. */
  readonly thinking_signature?: string;
  readonly usage: Usage | null;
  readonly finish_reason: FinishReason | null;
}

/** A piece of an answer: an object with exactly one of these. */
export type StreamChunk =
  | { readonly text: string }
  | { readonly thinking: string }
  | { readonly thinking_signature: string }
  | { readonly tool_use_start: { readonly index: number; readonly id: string; readonly name: string } }
  | { readonly tool_use_input_delta: { readonly index: number; readonly partial_json: string } }
  | { readonly tool_use_complete: { readonly index: number; readonly tool_call: ToolCall } }
  | { readonly usage: Usage }
  | { readonly done: { readonly finish_reason: FinishReason } };

/** A text to be completed. */
export interface CompletionRequest {
  readonly prompt: string;
  readonly suffix?: string;
  readonly max_tokens?: number;
  readonly temperature?: number;
}

/** Speech to be written down. */
export interface TranscriptionRequest {
  readonly audio: Uint8Array;
  readonly filename?: string;
  readonly mime_type?: string;
  readonly model?: string;
  readonly language?: string;
}

/** A voice. */
export type VoiceConfig =
  | { readonly type: "preset"; readonly name: string }
  | { readonly type: "clone"; readonly reference_audio_base64: string; readonly reference_text: string }
  | { readonly type: "design"; readonly description: string };

/** Text to be spoken. */
export interface SpeechRequest {
  readonly text: string;
  readonly model?: string;
  readonly voice_config?: VoiceConfig;
  readonly format?: string;
  readonly speed?: number;
  readonly language?: string;
}

/** Spoken text. */
export interface Speech {
  readonly audio: Uint8Array<ArrayBuffer>;
  readonly mime_type: string | undefined;
}
