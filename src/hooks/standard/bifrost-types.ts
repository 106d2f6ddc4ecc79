// What the hooks of an LLM gateway speak about. Names are those of the JSON that plugins see, so that filters and plugins call
// things alike.

/** A request to the gateway. */
export interface HttpRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
  readonly path_params?: Readonly<Record<string, string>>;
}

/** A response of the gateway. */
export interface HttpResponse {
  readonly status_code: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

/** Input of `httpStreamChunk`: one piece of a stream, without its framing. */
export interface StreamChunk {
  readonly request: HttpRequest;
  readonly chunk: JsonObject;
}

/** An object of JSON. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** A request to a model. `input`, `params` and `fallbacks` are as its provider's interface has them. */
export interface LlmRequest {
  /** Such as `chat_completion` or `embedding`. @default "chat_completion" */
  readonly request_type?: string;
  readonly provider: string;
  readonly model: string;
  readonly input: unknown;
  readonly params?: unknown;
  readonly fallbacks?: unknown;
}

/** Why a model gave nothing. */
export interface LlmError {
  /** @default undefined: other providers may be tried */
  readonly allow_fallbacks?: boolean;
  readonly is_bifrost_error?: boolean;
  readonly status_code?: number;
  readonly type?: string;
  readonly error: { readonly message: string; readonly type?: string; readonly code?: string } & JsonObject;
}

/** How a request to a model ended: one of the two. */
export type LlmResult = { readonly response: JsonObject; readonly error?: undefined } | { readonly error: LlmError; readonly response?: undefined };
