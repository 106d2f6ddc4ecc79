// Calls a provider's functions: errors become provider errors, and what always traps is not called for ever.

import { isMortiseError } from "../api/errors.ts";
import type { PluginOutput } from "../api/output.ts";
import type { Plugin } from "../host/plugin.ts";
import { Gate } from "../services/http/gate.ts";
import { ProviderCall } from "./provider-call.ts";
import { providerError, translated } from "./provider-errors.ts";
import { ShapeReader } from "./shapes.ts";

/** Functions that a provider may not have implemented, and which then often abort. */
const OPTIONAL: ReadonlySet<string> = new Set([
  "base_url",
  "api_key_name",
  "supports_streaming",
  "list_models_static",
  "list_models_request",
  "classify_chat_error",
  "chat_stream_request",
  "passthrough_request",
  "embed_request",
  "parse_embed_response",
  "complete_request",
  "parse_complete_response",
  "transcribe",
  "speech",
  "chat_stream",
  "list_models",
  "embed",
  "complete",
]);
const ABORTS: ReadonlySet<string> = new Set(["MORTISE_TRAP", "MORTISE_UNCAUGHT_EXCEPTION", "MORTISE_EXIT"]);
/** A function that has done nothing but trap so often is not called any more. */
const MAX_TRAPS = 3;

/**
 * Bytes of input for which a call may take its time once more: bodies cross as JSON, and a plugin takes an eighth of a second for as
 * many, or a quarter.
 */
const BYTES_FOR_AS_LONG = 4 << 20;
/** Inputs of so many bytes take turns, each with the time that it may take: at once, they would all be late. */
const LARGE_BYTES = 256 << 10;

/** Options of one call. */
export interface GuestCallOptions {
  readonly signal?: AbortSignal | undefined;
  /** As `signal` for the time until the call begins, and not after: what it began runs to its end. @default signal */
  readonly waitSignal?: AbortSignal | undefined;
  /** Milliseconds for the call. @default what the plugin's limits say, and as much again for every 4 MiB of input */
  readonly timeoutMs?: number;
  /** What belongs to the call. @default a call without streams */
  readonly call?: ProviderCall;
  /** The instance that the call is for, by {@link ProviderGuest.instance}. @default any */
  readonly instance?: number;
  /** Told the instance that served the call, before another call can begin. */
  readonly served?: (instance: number) => void;
}

/** A loaded provider plugin. */
export class ProviderGuest {
  readonly #plugin: Plugin;
  /** Lets calls in one at a time, so that nothing happens between the look at the instance and the call. */
  readonly #lane: Gate | undefined;
  /** Lets large inputs in one at a time, where others need no lane. */
  readonly #largeLane = new Gate(1);
  readonly #traps = new Map<string, number>();
  readonly #limitMs: number;
  #setUp: readonly (readonly [fn: string, input: string])[] = [];
  #setUpIn = 0;

  /**
   * @param oneByOne the plugin has one instance, which keeps parsers
   * @param limitMs milliseconds that the plugin's limits give a call
   */
  constructor(plugin: Plugin, oneByOne: boolean, limitMs: number) {
    this.#plugin = plugin;
    this.#lane = oneByOne ? new Gate(1) : undefined;
    this.#limitMs = limitMs;
  }

  get name(): string {
    return this.#plugin.name;
  }

  has(fn: string): boolean {
    return this.#plugin.has(fn);
  }

  /** The present instance, or the one that the next call makes; another number means that what the former one kept is gone. */
  get instance(): number {
    const { discarded, recycled } = this.#plugin.stats().instances;
    return discarded + recycled;
  }

  /** Calls that every further instance begins with, where there is one at a time. Made once already. */
  setUpWith(calls: readonly (readonly [fn: string, input: string])[]): void {
    this.#setUp = calls;
    this.#setUpIn = this.instance;
  }

  /** For values that a function gave. */
  shape(fn: string): ShapeReader {
    return new ShapeReader({ plugin: this.name, function: fn });
  }

  /**
   * Calls a function.
   *
   * @throws MortiseError MORTISE_PROVIDER_ERROR, also for functions that are missing or always trap, or why the call failed
   */
  async call(fn: string, input: string | Uint8Array, options: GuestCallOptions = {}): Promise<PluginOutput> {
    const { signal, waitSignal = signal, timeoutMs, call, instance, served } = options;
    if (!this.has(fn)) throw this.#notImplemented(fn, `the plugin has no "${fn}"`);
    if ((this.#traps.get(fn) ?? 0) >= MAX_TRAPS)
      throw this.#notImplemented(fn, `"${fn}" trapped ${MAX_TRAPS} times and never worked; it is not called any more`);
    const limitMs = timeoutMs === undefined ? this.#limitMs * (1 + input.length / BYTES_FOR_AS_LONG) : Math.max(timeoutMs, Number.MIN_VALUE);
    const context = call ?? new ProviderCall(limitMs);
    // Whoever brings a time of its own waits for the network in it.
    const lane = this.#lane ?? (timeoutMs === undefined && input.length >= LARGE_BYTES ? this.#largeLane : undefined);
    const leave = await lane?.enter(waitSignal ?? NEVER).catch((error: unknown) => {
      throw translated({ plugin: this.name, function: fn }, error);
    });
    try {
      if (instance !== undefined && instance !== this.instance) throw this.#lost(fn);
      if (this.#lane !== undefined && this.#setUpIn !== this.instance) await this.#setUpAgain();
      const output = await this.#plugin.call(fn, input, { context, timeoutMs: limitMs, ...(signal === undefined ? {} : { signal }) });
      served?.(this.instance);
      this.#traps.set(fn, Number.NEGATIVE_INFINITY);
      return output;
    } catch (error) {
      throw this.#explained(fn, error);
    } finally {
      leave?.();
      context.end();
    }
  }

  /** {@link json}, with the instance that made the value: the first after a trap is a new one. */
  async located(fn: string, input: string, options: GuestCallOptions): Promise<{ readonly value: unknown; readonly instance: number }> {
    let instance = 0;
    const output = await this.call(fn, input, { ...options, served: (by) => (instance = by) });
    return { value: output.json(), instance };
  }

  /** {@link call} for an output in JSON. @throws MortiseError MORTISE_BAD_JSON too */
  async json(fn: string, input: string | Uint8Array, options?: GuestCallOptions): Promise<unknown> {
    return (await this.call(fn, input, options)).json();
  }

  close(abort: boolean): Promise<void> {
    return this.#plugin.close({ abort });
  }

  /** What it throws, a trap even, is the next call's trouble: the plugin accepted all this before. */
  async #setUpAgain(): Promise<void> {
    this.#setUpIn = this.instance;
    for (const [fn, input] of this.#setUp) await this.#plugin.call(fn, input, { context: new ProviderCall(this.#limitMs) }).catch(() => {});
  }

  #explained(fn: string, error: unknown): unknown {
    if (OPTIONAL.has(fn) && isMortiseError(error) && ABORTS.has(error.code)) {
      const traps = (this.#traps.get(fn) ?? 0) + 1;
      this.#traps.set(fn, traps);
      // It did work before: then this is a defect, not a missing part.
      if (traps >= 0) return this.#notImplemented(fn, `"${fn}" trapped, as providers do that do not implement it: ${error.message}`, error);
    }
    return translated({ plugin: this.name, function: fn }, error);
  }

  #notImplemented(fn: string, message: string, cause?: unknown): Error {
    return providerError({ plugin: this.name, function: fn }, { type: "not_implemented", message }, cause);
  }

  #lost(fn: string): Error {
    const message = "the instance with this stream's parser was replaced, since another call trapped or ran into a limit";
    return providerError({ plugin: this.name, function: fn }, { type: "remote_stream_disconnected", message });
  }
}

const NEVER = new AbortController().signal;
