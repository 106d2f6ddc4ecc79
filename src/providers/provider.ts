// A loaded provider: what an application asks of language models.

import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { chunksOf } from "./chat-shapes.ts";
import { pruneConfig } from "./config-pruning.ts";
import type { Dialect } from "./dialect.ts";
import { Operation, type RequestOptions } from "./operation.ts";
import { type ResolvedProviderOptions, readMs } from "./options.ts";
import { isNotImplemented, providerError } from "./provider-errors.ts";
import type { ProviderReport } from "./provider-report.ts";
import type { Rehearsals } from "./rehearsal.ts";
import { toJson } from "./request-json.ts";
import { isRecord } from "./shapes.ts";
import type { ChatRequest, ChatResponse, CompletionRequest, Speech, SpeechRequest, StreamChunk, TranscriptionRequest } from "./types.ts";

/** Keys without effect that are remembered. */
const MAX_DROPPED = 1000;

/** What a provider is made of. */
export interface ProviderParts {
  readonly report: Omit<ProviderReport, "streaming" | "droppedKeys">;
  readonly streaming: { supported: boolean; because: string };
  readonly options: ResolvedProviderOptions;
  /** The configuration that the plugin gets, without a key. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly droppedKeys: readonly string[];
  readonly dialect: Dialect;
  readonly rehearsals: Rehearsals | undefined;
  /** Frees plugins and connections. */
  readonly release: () => Promise<void>;
}

/** A provider; `loadProvider` makes them. All its errors are MortiseErrors; docs/querymt-providers.md lists which mean what. */
export class Provider {
  readonly name: string;
  readonly #parts: ProviderParts;
  readonly #cfg: string;
  readonly #closed = new AbortController();
  readonly #dropped: Set<string>;
  #streaming: { readonly supported: boolean; readonly because: string };
  #closing: Promise<void> | undefined;

  constructor(parts: ProviderParts) {
    this.name = parts.report.name;
    this.#parts = parts;
    this.#cfg = toJson("config", parts.config);
    this.#dropped = new Set(parts.droppedKeys);
    this.#streaming = parts.streaming;
  }

  /** What is known of the provider by now. */
  get report(): ProviderReport {
    const { report, rehearsals } = this.#parts;
    return { ...report, droppedKeys: [...this.#dropped], streaming: { ...this.#streaming, feeding: rehearsals?.state } };
  }

  /**
   * Continues a conversation.
   *
   * @throws MortiseError MORTISE_PROVIDER_ERROR with QueryMT's payload, MORTISE_HTTP_DENIED for a host that is not granted,
   *   MORTISE_TIMEOUT, MORTISE_ABORTED, or why the plugin was stopped
   */
  chat(request: ChatRequest, options: RequestOptions = {}): Promise<ChatResponse> {
    return this.#run("chat", options, request, (operation) => this.#parts.dialect.chat(operation, request));
  }

  /**
   * {@link chat}, with the answer as it comes. A plugin that does not stream gives the whole answer in a few chunks. The
   * server is held back while nobody reads; leaving the loop ends the request.
   *
   * @throws MortiseError as {@link chat}
   */
  async *chatStream(request: ChatRequest, options: RequestOptions = {}): AsyncGenerator<StreamChunk, void> {
    const operation = await this.#begin("chatStream", "streamTimeoutMs", options, request);
    try {
      if (this.#streaming.supported) {
        let begun = false;
        try {
          for await (const chunk of this.#parts.dialect.chatStream(operation, request)) {
            begun = true;
            yield chunk;
          }
          return;
        } catch (error) {
          // Once there was a chunk, asking again would give, and cost, everything twice.
          if (begun || !isNotImplemented(error)) throw error;
          // What a configuration of one request brought about is not kept.
          if (!operation.isOverridden)
            this.#streaming = { supported: false, because: "the plugin said that it does not stream, when it was asked to" };
        }
      }
      yield* chunksOf(await this.#parts.dialect.chat(operation, request));
    } catch (error) {
      throw operation.errorFor(error);
    } finally {
      operation.end();
    }
  }

  /** Names of the models. @throws MortiseError as {@link chat} */
  listModels(options: RequestOptions = {}): Promise<string[]> {
    return this.#run("listModels", options, {}, (operation) => this.#parts.dialect.listModels(operation));
  }

  /** A vector for each text. @throws MortiseError as {@link chat} */
  embed(inputs: readonly string[], options: RequestOptions = {}): Promise<number[][]> {
    return this.#run("embed", options, {}, (operation) => this.#parts.dialect.embed(operation, inputs));
  }

  /** Continues a text. @throws MortiseError as {@link chat} */
  complete(request: CompletionRequest, options: RequestOptions = {}): Promise<string> {
    return this.#run("complete", options, {}, (operation) => this.#parts.dialect.complete(operation, request));
  }

  /** Writes speech down. @throws MortiseError as {@link chat} */
  transcribe(request: TranscriptionRequest, options: RequestOptions = {}): Promise<string> {
    return this.#run("transcribe", options, {}, (operation) => this.#parts.dialect.transcribe(operation, request));
  }

  /** Speaks text. @throws MortiseError as {@link chat} */
  speech(request: SpeechRequest, options: RequestOptions = {}): Promise<Speech> {
    return this.#run("speech", options, {}, (operation) => this.#parts.dialect.speech(operation, request));
  }

  /** Ends requests under way with MORTISE_CLOSED, and frees the plugin. Closing twice is closing once. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #close(): Promise<void> {
    this.#closed.abort(this.#closedError("close"));
    await this.#parts.rehearsals?.close();
    await this.#parts.release();
  }

  #closedError(name: string): MortiseError {
    return new MortiseError("MORTISE_CLOSED", { plugin: this.name, function: name });
  }

  async #run<Result>(
    name: string,
    options: RequestOptions,
    request: Pick<ChatRequest, "config">,
    work: (operation: Operation) => Promise<Result>,
  ): Promise<Result> {
    const operation = await this.#begin(name, "requestTimeoutMs", options, request);
    try {
      return await work(operation);
    } catch (error) {
      throw operation.errorFor(error);
    } finally {
      operation.end();
    }
  }

  async #begin(
    name: string,
    limit: "requestTimeoutMs" | "streamTimeoutMs",
    options: RequestOptions,
    { config }: Pick<ChatRequest, "config">,
  ): Promise<Operation> {
    if (this.#closing !== undefined) throw this.#closedError(name);
    const { signal, timeoutMs } = options;
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption("signal", typeof signal, "an AbortSignal");
    const statedMs = readMs("timeoutMs", timeoutMs, this.#parts.options[limit]);
    const cfg = await this.#configFor(config);
    const signals = [this.#closed.signal, ...(signal === undefined ? [] : [signal])];
    return new Operation({ plugin: this.name, name, cfg, isOverridden: config !== undefined, timeoutMs: statedMs, signals });
  }

  /** The configuration of a request as JSON, with the present key. */
  async #configFor(config: ChatRequest["config"]): Promise<string> {
    const { report } = this.#parts;
    const key = await this.#key();
    if (config === undefined && key === undefined) return this.#cfg;
    if (config !== undefined && !isRecord(config)) throw invalidOption("config", typeof config, "an object");
    const pruned = pruneConfig({ ...this.#parts.config, ...config }, report.configSchema);
    for (const path of pruned.dropped) if (this.#dropped.size < MAX_DROPPED) this.#dropped.add(path);
    return toJson("config", { ...pruned.config, ...(key === undefined ? {} : { api_key: key }) });
  }

  async #key(): Promise<string | undefined> {
    const { apiKey } = this.#parts.options;
    if (typeof apiKey !== "function") return apiKey;
    try {
      return await apiKey();
    } catch (error) {
      throw providerError({ plugin: this.name, function: "apiKey" }, { type: "auth_error", message: "the option apiKey gave no key" }, error);
    }
  }
}
