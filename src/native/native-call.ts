// One call of a native plugin: what its function gets, how long it may take, and what comes of it.

import { MortiseError, printable } from "../api/errors.ts";
import { PluginOutput } from "../api/output.ts";
import type { Caller } from "../api/caller.ts";
import type { ServiceCall } from "../api/services.ts";
import { isStackOverflow } from "../abi/guest-failure.ts";
import type { RunnerCall } from "../host/runner.ts";
import { type Expiring, forget, watch } from "../wasm/deadlines.ts";
import { NativeCallContext } from "./native-context.ts";
import type { NativeFunction, NativePlugin } from "./options.ts";
import type { ServiceUser } from "./service-calls.ts";

const encoder = new TextEncoder();
const nothing = (): void => {};

/** A call that runs. */
export class NativeCall implements ServiceUser {
  readonly inputBytes: number;
  readonly #plugin: NativePlugin;
  readonly #call: RunnerCall;
  readonly #input: Uint8Array;
  readonly #began: number;
  #controller: AbortController | undefined;
  #caller: Caller | undefined;
  /** What a service threw; the first counts, also if the plugin caught it. */
  #failure: { readonly error: unknown } | undefined;
  #over = false;
  #giveUp: ((error: unknown) => void) | undefined;

  constructor(plugin: NativePlugin, call: RunnerCall) {
    this.#plugin = plugin;
    this.#call = call;
    this.#began = plugin.state.clock();
    // A copy: the plugin may keep or change it.
    this.#input = typeof call.input === "string" ? encoder.encode(call.input) : new Uint8Array(call.input ?? []);
    this.inputBytes = this.#input.length;
  }

  /** Runs a function: its output at once, or a promise of it. @throws MortiseError */
  run(work: NativeFunction): PluginOutput | Promise<PluginOutput> {
    const result = this.#start(work);
    return result instanceof Promise ? this.#wait(result) : this.#settle(() => this.#output(result));
  }

  /** Runs a function that must answer at once. @throws MortiseError */
  runSync(work: NativeFunction): PluginOutput {
    const result = this.#start(work);
    return this.#settle(() => {
      if (!(result instanceof Promise)) return this.#output(result);
      void result.catch(nothing); // its failure is not ours to report twice
      throw new MortiseError("MORTISE_ASYNC_HOST_FUNCTION", { ...this.#who, name: this.#call.entry });
    });
  }

  /** Gives a call up that waits; what its promise comes to finds nobody. */
  stop(error: MortiseError): void {
    this.#giveUp?.(error);
  }

  // ---- from the function to its output

  #start(work: NativeFunction): unknown {
    try {
      const result: unknown = work(this.#input, new NativeCallContext(this.#plugin, this.#call, this));
      return isThenable(result) ? Promise.resolve(result) : result;
    } catch (error) {
      return this.#settle(() => {
        throw this.#thrown(error);
      });
    }
  }

  #wait(promise: Promise<unknown>): Promise<PluginOutput> {
    return new Promise((resolve, reject) => {
      const timeLeft = (): number => this.#timeLeftMs;
      const deadline: Expiring = {
        get expiresAt() {
          return performance.now() + timeLeft();
        },
        expire: () => this.#giveUp?.(this.#timeout()),
      };
      const end = (work: () => PluginOutput): void => {
        forget(deadline);
        this.#giveUp = undefined;
        try {
          resolve(this.#settle(work));
        } catch (error) {
          reject(error);
        }
      };
      this.#giveUp = (error) =>
        end(() => {
          this.#failure = undefined;
          throw error;
        });
      const settled = (work: () => PluginOutput): void => {
        if (this.#giveUp !== undefined) end(work);
      };
      void promise.then(
        (value) => settled(() => this.#output(value)),
        (error: unknown) =>
          settled(() => {
            throw this.#thrown(error);
          }),
      );
      // Before it began to wait.
      if (this.#failure !== undefined) this.#giveUp(this.#failure.error);
      else if (this.#call.timeoutMs !== Number.POSITIVE_INFINITY) watch(deadline);
    });
  }

  /** Ends the call. A service that failed comes first, then what the function threw, then that it was late. */
  #settle(work: () => PluginOutput): PluginOutput {
    let reason: unknown;
    try {
      const output = work();
      if (this.#timeLeftMs < 0) throw this.#timeout();
      if (this.#failure === undefined) return output;
    } catch (error) {
      this.#failure ??= { error };
    } finally {
      reason = this.#failure?.error;
      this.#over = true;
      this.#controller?.abort(reason);
    }
    throw reason;
  }

  #output(value: unknown): PluginOutput {
    const { name, limits } = this.#plugin.state;
    let bytes: Uint8Array<ArrayBuffer>;
    if (typeof value === "string") bytes = encoder.encode(value);
    else if (value instanceof Uint8Array) {
      this.#checkSize(value.length, limits.outputBytes);
      // A copy: the plugin may change it later, and the input must not come out as it is.
      bytes = new Uint8Array(value);
    } else if (value === undefined || value === null) return new PluginOutput(new Uint8Array(0), name, this.#call.entry, false);
    else
      throw this.#guestError(
        `it returned ${Array.isArray(value) ? "an array" : `a value of type ${typeof value}`}, but must return text, bytes or nothing`,
      );
    this.#checkSize(bytes.length, limits.outputBytes);
    return new PluginOutput(bytes, name, this.#call.entry);
  }

  #checkSize(size: number, limit: number): void {
    if (size > limit) throw new MortiseError("MORTISE_OUTPUT_LIMIT", { ...this.#who, size, limit });
  }

  // ---- failures

  get #who(): { plugin: string; function: string } {
    return { plugin: this.#plugin.state.name, function: this.#call.entry };
  }

  get #timeLeftMs(): number {
    return this.#call.timeoutMs - (this.#plugin.state.clock() - this.#began);
  }

  #timeout(): MortiseError {
    return new MortiseError("MORTISE_TIMEOUT", { ...this.#who, limit: this.#call.statedMs });
  }

  #guestError(reason: string): MortiseError {
    return new MortiseError("MORTISE_GUEST_ERROR", { ...this.#who, reason });
  }

  /** What the function threw, by its message alone: a stack would tell of this machine. */
  #thrown(error: unknown): MortiseError {
    return isStackOverflow(error) ? new MortiseError("MORTISE_STACK_OVERFLOW", this.#who) : this.#guestError(messageOf(error));
  }

  // ---- what the function gets

  /** Signal of the call, made when it is asked for. */
  get signal(): AbortSignal {
    if (this.#over) return AbortSignal.abort();
    return (this.#controller ??= new AbortController()).signal;
  }

  serviceCall(): ServiceCall {
    if (this.#over) throw new MortiseError("MORTISE_STALE_CONTEXT", this.#who);
    const { statedMs, context } = this.#call;
    const caller = (this.#caller ??= this.#asCaller());
    return { ...this.#who, timeoutMs: this.#timeLeftMs, statedMs, signal: this.signal, context, caller };
  }

  /** Native code costs no fuel: what it has other plugins do is charged to whoever called it. */
  #asCaller(): Caller {
    const { context, caller, fuel } = this.#call;
    const timeLeft = (): number => this.#timeLeftMs;
    const signal = (): AbortSignal => this.signal;
    return {
      ...this.#who,
      owner: this.#plugin.state,
      caller,
      context,
      get signal() {
        return signal();
      },
      get timeLeftMs() {
        return timeLeft();
      },
      get fuelLeft() {
        return caller?.fuelLeft ?? fuel;
      },
      charge: (units) => caller?.charge(units),
    };
  }

  fail(error: unknown): void {
    if (this.#over) return;
    this.#failure ??= { error };
    this.#giveUp?.(error);
  }
}

/** True for a promise, also of another library; reading `then` may itself fail. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** The message of an error, or any other value as text. */
function messageOf(error: unknown): string {
  try {
    return printable(error instanceof Error ? error.message : error, 8192);
  } catch {
    return "it threw something that cannot be read";
  }
}
