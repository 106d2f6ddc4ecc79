// A loaded plugin: one logical instance, replaced when it is poisoned, with calls one after the other.

import type { AbiName, CompiledGuest, GuestEntry, GuestInstance, PluginState } from "../abi/guest.ts";
import { callableExports, compileExtism } from "../abi/extism/compile.ts";
import { isStackOverflow } from "../abi/extism/guest-failure.ts";
import { ExtismInstance } from "../abi/extism/instance.ts";
import { type ErrorCode, MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import type { PluginOutput } from "../api/output.ts";
import { functionTypeName } from "../wasm/module-reader.ts";
import { type PluginOptions, type ResolvedOptions, resolveOptions } from "./options.ts";
import { type PluginSource, loadSource } from "./source.ts";

/** What a call takes: text as UTF-8, bytes, or nothing. */
export type PluginInput = string | Uint8Array | undefined;

/** Options of one call. */
export interface CallOptions {
  /** Refuses the call if it is aborted before it begins. A running call holds the thread and cannot see it. */
  readonly signal?: AbortSignal;
  /** Handed to host functions as `context.context`. */
  readonly context?: unknown;
  /** Milliseconds for this call, waiting included. @default limits.timeoutMs */
  readonly timeoutMs?: number;
}

/** Counters of a plugin since it was loaded. */
export interface PluginStats {
  /** Calls that were made, and those of them that failed or were refused. */
  readonly calls: number;
  readonly failures: number;
  /** Failures by error code. */
  readonly errors: Readonly<Partial<Record<ErrorCode, number>>>;
  /** Cost units of the last call and of all calls. */
  readonly fuel: { readonly last: number; readonly total: number };
  /** Bytes of all memories of the present instance, and the most that any call left. */
  readonly memory: { readonly bytes: number; readonly peak: number };
  /** Instances made, and those discarded after a trap or a limit. */
  readonly instances: { readonly created: number; readonly discarded: number };
  /** Bytes passed in and out by calls that succeeded. */
  readonly bytes: { readonly input: number; readonly output: number };
  /** Variables kept between calls, and the bytes they count. */
  readonly variables: { readonly count: number; readonly bytes: number };
  /** Log lines dropped because of limits.logBytes. */
  readonly droppedLogs: number;
}

/**
 * Loads a plugin: reads, checks, rewrites and compiles the module, and makes a first instance, all under limits.
 *
 * @param source path, `file:` URL or bytes of a core WebAssembly module
 * @throws MortiseError when the source cannot be read, the module is broken or refused, an import is missing, or the
 *   initialisation fails; docs/errors.md lists the codes
 */
export async function loadPlugin(source: PluginSource, options: PluginOptions = {}): Promise<Plugin> {
  const resolved = resolveOptions(options);
  const { bytes, name } = await loadSource(source, resolved.limits.moduleBytes);
  const named = { ...resolved, name: options.name ?? name };
  const guest = await compileExtism(bytes, named.name, named.limits, named.hostFunctions);
  return Plugin.create(guest, named);
}

type NamedOptions = ResolvedOptions & { readonly name: string };

/** A loaded plugin; see {@link loadPlugin}. */
export class Plugin {
  readonly name: string;
  readonly abi: AbiName = "extism";
  readonly #guest: CompiledGuest;
  readonly #state: PluginState;
  readonly #entries: Map<string, GuestEntry>;
  #instance: GuestInstance | undefined;
  /** Function that is running, if one is. */
  #running: string | undefined;
  readonly #waiting: (() => void)[] = [];
  /** A waiting caller was woken and has not begun yet. */
  #turnGiven = false;
  #closed = false;
  #calls = 0;
  #failures = 0;
  readonly #errors: Partial<Record<ErrorCode, number>> = {};
  #lastFuel = 0;
  #totalFuel = 0;
  #peak = 0;
  #created = 0;
  #discarded = 0;
  #inputBytes = 0;
  #outputBytes = 0;

  private constructor(guest: CompiledGuest, options: NamedOptions) {
    this.name = options.name;
    this.#guest = guest;
    this.#state = {
      name: options.name,
      limits: options.limits,
      config: options.config,
      variables: new Map(),
      variableBytes: 0,
      logger: options.logger,
      logLevel: options.logLevel,
      hostFunctions: options.hostFunctions,
      clock: options.clock,
      droppedLogs: 0,
    };
    this.#entries = callableExports(guest.instrumented);
  }

  /** Used by {@link loadPlugin}. */
  static create(guest: CompiledGuest, options: NamedOptions): Plugin {
    const plugin = new Plugin(guest, options);
    plugin.#instance = plugin.#newInstance(options.limits.initTimeoutMs);
    return plugin;
  }

  /** Names of the exports that can be called. */
  get exports(): string[] {
    return [...this.#entries.keys()];
  }

  /** True if `fn` can be called: an export without parameters that returns nothing or an i32. */
  has(fn: string): boolean {
    return this.#entries.has(fn);
  }

  /**
   * Calls an export. Calls on one plugin run one after the other; the time spent waiting counts towards the deadline.
   *
   * @throws MortiseError why the call failed; docs/errors.md lists the codes
   */
  async call(fn: string, input?: PluginInput, options: CallOptions = NO_OPTIONS): Promise<PluginOutput> {
    if (options !== NO_OPTIONS) checkCallOptions(options);
    const timeoutMs = this.#timeout(options);
    this.#refuseAborted(fn, options.signal);
    if (this.#running === undefined && this.#waiting.length === 0 && !this.#turnGiven) {
      return this.#call(fn, input, options.context, timeoutMs, timeoutMs);
    }
    const began = this.#state.clock();
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#turnGiven = false;
    try {
      this.#refuseAborted(fn, options.signal);
      const left = timeoutMs - (this.#state.clock() - began);
      if (left <= 0) throw this.#refuse(new MortiseError("MORTISE_TIMEOUT", { ...this.#who(fn), limit: timeoutMs }));
      return this.#call(fn, input, options.context, left, timeoutMs);
    } finally {
      // Whoever had a turn lets the next one in, also if it was turned away.
      this.#giveTurn();
    }
  }

  /**
   * Calls an export at once, on this thread, and returns its output.
   *
   * @throws MortiseError as {@link call}, and MORTISE_REENTRANT from within one of the plugin's own host functions
   */
  callSync(fn: string, input?: PluginInput, options: Omit<CallOptions, "signal"> = NO_OPTIONS): PluginOutput {
    if (options !== NO_OPTIONS) checkCallOptions(options);
    const timeoutMs = this.#timeout(options);
    return this.#call(fn, input, options.context, timeoutMs, timeoutMs);
  }

  /** Counters since the plugin was loaded. */
  stats(): PluginStats {
    return {
      calls: this.#calls,
      failures: this.#failures,
      errors: { ...this.#errors },
      fuel: { last: this.#lastFuel, total: this.#totalFuel },
      memory: { bytes: this.#instance?.memoryBytes ?? 0, peak: Math.max(this.#peak, this.#instance?.memoryBytes ?? 0) },
      instances: { created: this.#created, discarded: this.#discarded },
      bytes: { input: this.#inputBytes, output: this.#outputBytes },
      variables: { count: this.#state.variables.size, bytes: this.#state.variableBytes },
      droppedLogs: this.#state.droppedLogs,
    };
  }

  /** Frees the instance and the variables; later calls fail with MORTISE_CLOSED. Closing twice does nothing. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#instance = undefined;
    this.#state.variables.clear();
    this.#state.variableBytes = 0;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #who(fn: string): { plugin: string; function: string } {
    return { plugin: this.name, function: fn };
  }

  #refuseAborted(fn: string, signal: AbortSignal | undefined): void {
    if (signal?.aborted === true) throw this.#refuse(new MortiseError("MORTISE_ABORTED", this.#who(fn), signal.reason));
  }

  #timeout(options: CallOptions): number {
    return options.timeoutMs ?? this.#state.limits.timeoutMs;
  }

  /** @param statedMs what the caller asked for, of which `timeoutMs` is left */
  #call(fn: string, input: PluginInput, context: unknown, timeoutMs: number, statedMs: number): PluginOutput {
    const entry = this.#entries.get(fn);
    if (
      entry === undefined ||
      this.#closed ||
      this.#running !== undefined ||
      !(typeof input === "string" || input === undefined || input instanceof Uint8Array)
    ) {
      throw this.#refuse(this.#refusal(fn, input));
    }
    this.#calls++;
    this.#running = fn;
    try {
      // Left over from a call that ran out of stack before it could be dropped.
      if (this.#instance?.poisoned === true) this.#discard();
      const output =
        this.#instance === undefined
          ? this.#callAnew(entry, input, context, timeoutMs, statedMs)
          : this.#instance.call(entry, input, context, timeoutMs, statedMs);
      this.#inputBytes += this.#instance?.inputBytes ?? 0;
      this.#outputBytes += output.length;
      return output;
    } catch (error) {
      throw this.#count(isMortiseError(error) ? error : this.#unforeseen(fn, error));
    } finally {
      this.#running = undefined;
      this.#settle();
    }
  }

  /** What came out of the host's own code: it ran out of stack, or it has a defect. */
  #unforeseen(fn: string, error: unknown): MortiseError {
    if (isStackOverflow(error)) return new MortiseError("MORTISE_STACK_OVERFLOW", this.#who(fn), error);
    return new MortiseError("MORTISE_INTERNAL", { ...this.#who(fn), reason: printable(error) }, error);
  }

  /** After a call: accounts, drops a poisoned instance, and lets the next caller in. */
  #settle(): void {
    const instance = this.#instance;
    if (instance !== undefined) {
      this.#lastFuel = instance.fuelUsed;
      this.#totalFuel += this.#lastFuel;
      if (instance.poisoned) this.#discard();
    }
    this.#giveTurn();
  }

  #discard(): void {
    this.#peak = Math.max(this.#peak, this.#instance?.memoryBytes ?? 0);
    this.#discarded++;
    this.#instance = undefined;
  }

  /** Wakes the first of the waiting callers, who then comes before anybody new. */
  #giveTurn(): void {
    if (this.#turnGiven) return;
    const next = this.#waiting.shift();
    if (next === undefined) return;
    this.#turnGiven = true;
    next();
  }

  /** Calls a new instance; making it takes from the time of the call. */
  #callAnew(entry: GuestEntry, input: PluginInput, context: unknown, timeoutMs: number, statedMs: number): PluginOutput {
    const began = this.#state.clock();
    this.#instance = this.#newInstance(Math.min(timeoutMs, this.#state.limits.initTimeoutMs));
    const left = timeoutMs - (this.#state.clock() - began);
    if (left <= 0) throw new MortiseError("MORTISE_TIMEOUT", { ...this.#who(entry.name), limit: statedMs });
    return this.#instance.call(entry, input, context, left, statedMs);
  }

  #newInstance(timeoutMs: number): GuestInstance {
    this.#created++;
    return ExtismInstance.create(this.#guest, this.#state, timeoutMs);
  }

  /** Counts a call that was refused before it began. */
  #refuse(error: MortiseError): MortiseError {
    this.#calls++;
    return this.#count(error);
  }

  #count(error: MortiseError): MortiseError {
    this.#failures++;
    this.#errors[error.code] = (this.#errors[error.code] ?? 0) + 1;
    return error;
  }

  #refusal(fn: string, input: unknown): MortiseError {
    if (typeof fn !== "string") return invalidOption("function", typeof fn, "the name of an export");
    const who = this.#who(fn);
    if (this.#closed) return new MortiseError("MORTISE_CLOSED", who);
    if (!this.#entries.has(fn)) {
      const { module } = this.#guest.instrumented;
      const item = module.exports.find(({ name, kind }) => name === fn && kind === "function");
      if (item !== undefined) {
        return new MortiseError("MORTISE_BAD_SIGNATURE", {
          ...who,
          found: `${item.index < module.importedFunctions ? "an import" : "a function"} of type ${functionTypeName(module.types[module.functionTypes[item.index] as number])}`,
        });
      }
      return new MortiseError("MORTISE_UNKNOWN_FUNCTION", { ...who, hint: didYouMean(fn, this.exports) });
    }
    if (this.#running !== undefined) return new MortiseError("MORTISE_REENTRANT", { ...who, running: this.#running });
    return new MortiseError("MORTISE_INVALID_INPUT", { ...who, found: input === null ? "null" : typeof input });
  }
}

const NO_OPTIONS: CallOptions = Object.freeze({});
const CALL_OPTIONS: Record<keyof CallOptions, true> = { signal: true, context: true, timeoutMs: true };

function checkCallOptions(options: CallOptions): void {
  if (typeof options !== "object" || options === null) throw invalidOption("options", options === null ? "null" : typeof options, "an object");
  for (const key of Object.keys(options))
    if (!Object.hasOwn(CALL_OPTIONS, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(CALL_OPTIONS).join(", ")}`);
  const { signal, timeoutMs } = options;
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidOption("signal", typeof signal, "an AbortSignal");
  if (timeoutMs !== undefined && !(typeof timeoutMs === "number" && timeoutMs > 0))
    throw invalidOption("timeoutMs", printable(timeoutMs), "more than 0 milliseconds");
}
