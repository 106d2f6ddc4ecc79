// A loaded provider: what an application asks of language models.

import { MortiseError } from "../api/errors.ts";
import type { HttpResponse } from "../api/http.ts";
import { invalidOption } from "../api/limits.ts";
import { askedKey } from "./asked-key.ts";
import { chunksOf } from "./chat-shapes.ts";
import { pruneConfig } from "./config-pruning.ts";
import type { Dialect } from "./dialect.ts";
import { Operation, type RequestOptions } from "./operation.ts";
import { type ResolvedProviderOptions, readMs } from "./options.ts";
import { withPassHeaders } from "./pass-headers.ts";
import { type HeadQuestion, PASS_FUNCTION, type PassApi, type PassHeads } from "./pass-heads.ts";
import {
  type ForwardRequest,
  type ForwardResponse,
  type PassParts,
  type RefusedResponse,
  RefusedByServer,
  checkForward,
  passStream,
  passWhole,
  shortened,
} from "./pass-through.ts";
import { isNotImplemented } from "./provider-errors.ts";
import type { ProviderReport } from "./provider-report.ts";
import type { Rehearsals } from "./rehearsal.ts";
import { toJson } from "./request-json.ts";
import { isRecord } from "./shapes.ts";
import type { ChatRequest, ChatResponse, CompletionRequest, Embeddings, Speech, SpeechRequest, StreamChunk, TranscriptionRequest } from "./types.ts";

/** Keys without effect that are remembered. */
const MAX_DROPPED = 1000;
/** Configurations of requests that are remembered, and characters of what one is made from. */
const MAX_CONFIGS = 128;
const MAX_SOURCE_CHARS = 4096;

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
  readonly pass: {
    readonly heads: PassHeads;
    readonly parts: PassParts;
    /** Milliseconds for the call that asks for a head. */
    readonly limitMs: number;
    /** The error for a response without success. */
    readonly classify: (operation: Operation, response: HttpResponse) => Promise<Error>;
  };
  /** Fails requests of HTTP that are under way. */
  readonly endRequests: (error: MortiseError) => void;
  /** Frees plugins and connections. */
  readonly release: () => Promise<void>;
}

/** Options of requests that have no other place for a configuration; `config` is as with {@link ChatRequest}. */
export interface ConfiguredOptions extends RequestOptions, Pick<ChatRequest, "config"> {}

/** A provider; `loadProvider` makes them. All its errors are MortiseErrors; docs/querymt-providers.md lists which mean what. */
export class Provider {
  readonly name: string;
  readonly #parts: ProviderParts;
  readonly #cfg: string;
  readonly #closed = new AbortController();
  readonly #dropped: Set<string>;
  /** Configurations of requests as JSON, by what they were made from. */
  readonly #configs = new Map<string, string>();
  /** The configuration with the key alone. */
  #lastKey: string | undefined;
  #lastConfig = "";
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
  listModels(options: ConfiguredOptions = {}): Promise<string[]> {
    return this.#run("listModels", options, options, (operation) => this.#parts.dialect.listModels(operation));
  }

  /** A vector for each text. @throws MortiseError as {@link chat} */
  async embed(inputs: readonly string[], options: ConfiguredOptions = {}): Promise<number[][]> {
    return (await this.embedWithUsage(inputs, options)).embeddings;
  }

  /** {@link embed}, with the tokens that it took, where the plugin tells. */
  embedWithUsage(inputs: readonly string[], options: ConfiguredOptions = {}): Promise<Embeddings> {
    return this.#run("embed", options, options, (operation) => this.#parts.dialect.embed(operation, inputs));
  }

  /** Continues a text. @throws MortiseError as {@link chat} */
  complete(request: CompletionRequest, options: RequestOptions = {}): Promise<string> {
    return this.#run("complete", options, {}, (operation) => this.#parts.dialect.complete(operation, request));
  }

  /** True for a key of the configuration that the plugin declares; others are left out of what it gets. */
  takes(key: string): boolean {
    const { properties } = this.#parts.report.configSchema;
    return !isRecord(properties) || Object.hasOwn(properties, key);
  }

  /** True if requests can be forwarded in an interface, as far as the plugin said when it was loaded. */
  passes(api: PassApi): boolean {
    return this.#parts.report.passThrough.apis.includes(api);
  }

  /**
   * Sends a body as it is to the server behind the provider, with the plugin's address and headers. A response with status
   * 400 or more is an error as with {@link chat}, with the response and `api` as `details.response`, which is not enumerable,
   * so that no log has it by accident.
   *
   * @throws MortiseError as {@link chat}
   */
  async forward(request: ForwardRequest, options: RequestOptions = {}): Promise<ForwardResponse> {
    checkForward(request);
    const { api, body, stream, config, headers } = request;
    const { heads, parts } = this.#parts.pass;
    const statedMs = this.#checkedMs("forward", stream ? "streamTimeoutMs" : "requestTimeoutMs", options);
    const began = performance.now();
    const cfg = this.#configNow(config) ?? (await this.#configFor(config, "forward", options, statedMs));
    const question = { cfg, api, stream };
    const prepared = withPassHeaders(heads.known(question) ?? (await this.#askHead(question, options, statedMs)), headers);
    const timeoutMs = statedMs - (performance.now() - began);
    if (this.#closing !== undefined) throw this.#closedError("forward");
    const call = { plugin: this.name, function: PASS_FUNCTION, timeoutMs, statedMs, signal: options.signal };
    const answer = await (stream ? passStream(parts, prepared, body, call) : passWhole(parts, prepared, body, call));
    if (answer instanceof RefusedByServer) throw await this.#refusal(question, answer.response, options, timeoutMs);
    return answer;
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
    const error = this.#closedError("close");
    this.#closed.abort(error);
    this.#parts.endRequests(error);
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
    const timeoutMs = this.#checkedMs(name, limit, options);
    const known = this.#configNow(config);
    if (known !== undefined) return this.#operation(name, known, config !== undefined, options, timeoutMs);
    const began = performance.now();
    const cfg = await this.#configFor(config, name, options, timeoutMs);
    return this.#operation(name, cfg, config !== undefined, options, Math.max(1, timeoutMs - (performance.now() - began)));
  }

  #operation(name: string, cfg: string, isOverridden: boolean, options: RequestOptions, timeoutMs: number): Operation {
    return new Operation({
      plugin: this.name,
      name,
      cfg,
      isOverridden,
      timeoutMs,
      secrets: this.#parts.options.secrets,
      signals: this.#signals(options),
    });
  }

  /** What ends a request. */
  #signals({ signal }: RequestOptions): readonly AbortSignal[] {
    return signal === undefined ? [this.#closed.signal] : [this.#closed.signal, signal];
  }

  /** Checks what a request is made with, and gives the milliseconds that it has. */
  #checkedMs(name: string, limit: "requestTimeoutMs" | "streamTimeoutMs", { signal, timeoutMs }: RequestOptions): number {
    if (this.#closing !== undefined) throw this.#closedError(name);
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption("signal", typeof signal, "an AbortSignal");
    return readMs("timeoutMs", timeoutMs, this.#parts.options[limit]);
  }

  async #askHead(question: HeadQuestion, options: RequestOptions, statedMs: number): ReturnType<PassHeads["ask"]> {
    const { heads, limitMs } = this.#parts.pass;
    const operation = this.#operation("forward", question.cfg, false, options, statedMs);
    try {
      return await heads.ask(question, { signal: operation.signal, timeoutMs: Math.min(limitMs, statedMs) });
    } catch (error) {
      throw operation.errorFor(error);
    } finally {
      operation.end();
    }
  }

  /** The error for a response without success. */
  async #refusal({ cfg, api }: HeadQuestion, whole: HttpResponse, options: RequestOptions, timeoutMs: number): Promise<unknown> {
    const operation = this.#operation("forward", cfg, false, options, Math.max(timeoutMs, 1));
    try {
      const response = shortened(whole, operation.hidden);
      const error = operation.errorFor(await this.#parts.pass.classify(operation, response));
      const told: RefusedResponse = { ...response, api };
      if (error instanceof MortiseError) Object.defineProperty(error.details, "response", { value: told });
      return error;
    } finally {
      operation.end();
    }
  }

  /** {@link configFor} where nothing has to be waited for. */
  #configNow(config: ChatRequest["config"]): string | undefined {
    const { apiKey } = this.#parts.options;
    return typeof apiKey === "function" ? undefined : this.#configWith(config, apiKey);
  }

  /** The configuration of a request as JSON, with the present key. */
  async #configFor(config: ChatRequest["config"], name: string, options: RequestOptions, timeoutMs: number): Promise<string> {
    return this.#configWith(config, await this.#key(name, options, timeoutMs));
  }

  #configWith(config: ChatRequest["config"], key: string | undefined): string {
    if (config === undefined && key === undefined) return this.#cfg;
    if (config === undefined && key === this.#lastKey) return this.#lastConfig;
    if (config !== undefined && !isRecord(config)) throw invalidOption("config", typeof config, "an object");
    const source = `${config === undefined ? "" : toJson("config", config)}\n${key === undefined ? "" : `=${key}`}`;
    const known = this.#configs.get(source);
    if (known !== undefined) return known;
    const { report } = this.#parts;
    const pruned = pruneConfig({ ...this.#parts.config, ...config }, report.configSchema);
    for (const path of pruned.dropped) if (this.#dropped.size < MAX_DROPPED) this.#dropped.add(path);
    // A key that a request brings is meant for it.
    const isOwn = typeof config?.["api_key"] === "string";
    const cfg = toJson("config", { ...pruned.config, ...(isOwn ? { api_key: config["api_key"] } : key === undefined ? {} : { api_key: key }) });
    if (source.length <= MAX_SOURCE_CHARS) {
      const [oldest] = this.#configs.keys();
      if (this.#configs.size >= MAX_CONFIGS && oldest !== undefined) this.#configs.delete(oldest);
      this.#configs.set(source, cfg);
    }
    if (config === undefined) [this.#lastKey, this.#lastConfig] = [key, cfg];
    return cfg;
  }

  #key(name: string, options: RequestOptions, timeoutMs: number): string | undefined | Promise<string | undefined> {
    const { apiKey } = this.#parts.options;
    if (typeof apiKey !== "function") return apiKey;
    return askedKey(apiKey, { plugin: this.name, function: name, timeoutMs, signals: this.#signals(options) });
  }
}
