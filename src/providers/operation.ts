// One request of the application to a provider: its configuration, its time, and what ends it.

import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { HttpCall } from "../api/http.ts";
import { hiddenOf } from "./hidden-key.ts";
import { hideIn, payloadOf } from "./provider-errors.ts";

/** Options of one request. */
export interface RequestOptions {
  /** Ends the request. */
  readonly signal?: AbortSignal;
  /** Milliseconds for all of it. @default requestTimeoutMs or streamTimeoutMs of the provider */
  readonly timeoutMs?: number;
}

/** What an operation is made from. */
export interface OperationParts {
  readonly plugin: string;
  /** What the application called, for messages. */
  readonly name: string;
  readonly cfg: string;
  readonly isOverridden: boolean;
  readonly timeoutMs: number;
  /** Kept out of its errors, besides the key. */
  readonly secrets: readonly string[];
  /** Each ends it; a MortiseError as the reason becomes its error. */
  readonly signals: readonly AbortSignal[];
}

/** A request under way. */
export class Operation {
  /** The configuration as JSON text. */
  readonly cfg: string;
  /** True if the request changes the configuration. */
  readonly isOverridden: boolean;
  readonly statedMs: number;
  readonly #plugin: string;
  readonly #secrets: readonly string[];
  /** Made when somebody asks for the signal. */
  #controller: AbortController | undefined;
  #reason: MortiseError | undefined;
  readonly #endsAt: number;
  readonly #release: () => void;

  constructor({ plugin, name, cfg, isOverridden, timeoutMs, secrets, signals }: OperationParts) {
    this.#plugin = plugin;
    this.#secrets = secrets;
    this.cfg = cfg;
    this.isOverridden = isOverridden;
    this.statedMs = timeoutMs;
    this.#endsAt = performance.now() + timeoutMs;
    const stop = (): void => {
      const reason: unknown = signals.find(({ aborted }) => aborted)?.reason;
      this.abort(isMortiseError(reason) ? reason : new MortiseError("MORTISE_ABORTED", { plugin, function: name }, reason));
    };
    for (const source of signals) source.addEventListener("abort", stop, { once: true });
    this.#release = () => {
      for (const source of signals) source.removeEventListener("abort", stop);
    };
    if (signals.some(({ aborted }) => aborted)) stop();
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  get timeLeftMs(): number {
    return this.#endsAt - performance.now();
  }

  /** What errors must not tell. */
  get hidden(): readonly string[] {
    return hiddenOf(this.cfg, this.#secrets);
  }

  /** A request of HTTP that the host makes for a function of the plugin. */
  httpCall(fn: string): HttpCall {
    return { plugin: this.#plugin, function: fn, timeoutMs: this.timeLeftMs, statedMs: this.statedMs, signal: this.signal };
  }

  /** The error for what went wrong: that of the end, if there was one, since everything else follows from it. It has no key and no secret in it. */
  errorFor(error: unknown): unknown {
    return this.#reason ?? (payloadOf(error) === undefined ? error : hideIn(error, this.hidden));
  }

  /** Ends what is under way with an error. */
  abort(error: MortiseError): void {
    this.#reason ??= error;
    this.#controller?.abort(this.#reason);
  }

  /** The request is over. */
  end(): void {
    this.#release();
  }
}
