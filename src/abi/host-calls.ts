// Calls from a guest into the host: what a function throws is kept from the guest, a promise suspends it, and results
// are checked.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { Meter } from "../wasm/meter.ts";
import { type TypeDefinition, type ValueType, valueTypeName } from "../wasm/module-reader.ts";
import { canSuspend } from "../wasm/host-functions.ts";
import { type HostCallRecord, resumeHostCall, runHostCall, suspendHostCall } from "./call-chain.ts";
import type { CallContext, HostFunction, HostValue, PluginState, ProvidedFunction, ProvidedFunctions } from "./guest.ts";
import { type CallOrigin, HostCallContext } from "./call-context.ts";
import { isStackOverflow } from "./guest-failure.ts";

/** A function as WebAssembly imports it. */
export type ImportedFunction = (...values: HostValue[]) => HostValue | void;

/** What an imported function does; a promise suspends the guest until it settles. */
type Work = (...values: HostValue[]) => unknown;

/** Makes the result that the guest gets from what the work gave. @throws MortiseError */
type Finish = (value: unknown) => HostValue | undefined;

const I64 = 0x7e;
const scratch = new DataView(new ArrayBuffer(8));
const nothing = (): void => {};

/** The host's side of one instance's imports. */
export class HostCalls {
  /** What made the host stop the guest; the first failure counts. */
  failure: unknown;
  /** Function that runs, and what its caller passed along. */
  function = "";
  context: unknown;
  /** Deadline of the call as its caller gave it, in milliseconds. */
  statedMs = Number.POSITIVE_INFINITY;
  readonly #state: PluginState;
  readonly #provided: ProvidedFunctions;
  readonly #meter: Meter;
  readonly #access: (calls: HostCalls) => ConstructorParameters<typeof HostCallContext>[0];
  #callContext: HostCallContext | undefined;
  #origin: CallOrigin | undefined;
  #controller: AbortController | undefined;
  /** The host function that the guest waits for. */
  #awaited: HostCallRecord | undefined;

  /** @param provided what there is to import besides the user's own functions */
  constructor(
    state: PluginState,
    meter: Meter,
    access: (calls: HostCalls) => ConstructorParameters<typeof HostCallContext>[0],
    provided: ProvidedFunctions = state.provided,
  ) {
    this.#state = state;
    this.#provided = provided;
    this.#meter = meter;
    this.#access = access;
  }

  /** @param origin undefined for what is not called */
  begin(fn: string, context: unknown, origin: CallOrigin | undefined): void {
    this.failure = undefined;
    this.function = fn;
    this.context = context;
    this.#origin = origin;
  }

  /** Takes the instance away from whoever kept the context, and ends what still works for the call. */
  end(): void {
    this.#resumed();
    if (this.#callContext === undefined && this.#controller === undefined) return;
    this.#callContext?.end();
    this.#callContext = undefined;
    this.#controller?.abort(this.failure);
    this.#controller = undefined;
  }

  #resumed(): void {
    if (this.#awaited !== undefined) resumeHostCall(this.#awaited);
    this.#awaited = undefined;
  }

  /** True if a built-in function that runs now may answer with a promise. */
  mayWait = false;

  /** Aborted when the call is over or stopped. */
  get signal(): AbortSignal {
    return (this.#controller ??= new AbortController()).signal;
  }

  /** A function of the environment. */
  builtIn(type: TypeDefinition | undefined, name: string, work: Work): ImportedFunction {
    return this.#guard(resultType(type), name, work, (value) => value as HostValue | undefined);
  }

  /** A function of WASI; what the user's own streams throw comes out of it. */
  wasi(type: TypeDefinition | undefined, module: string, name: string, work: Work): ImportedFunction {
    const failed = (error: unknown): unknown => {
      if (isMortiseError(error) || isStackOverflow(error) || error instanceof WebAssembly.RuntimeError) return error;
      const reason = printable(error instanceof Error ? error.message : error);
      return new MortiseError("MORTISE_HOST_FUNCTION", { ...this.#who(module, name), reason }, error);
    };
    const guarded: Work = (...values) => {
      try {
        return work(...values);
      } catch (error) {
        throw failed(error);
      }
    };
    return this.#guard(resultType(type), name, guarded, (value) => value as HostValue | undefined, failed);
  }

  /** A function of the user's, or one that the host provides; undefined if there is neither. */
  imported(module: string, name: string, type: TypeDefinition | undefined): ImportedFunction | undefined {
    const own = this.#state.hostFunctions[module];
    if (own !== undefined && Object.hasOwn(own, name)) return this.hostFunction(module, name, type, own[name] as HostFunction);
    const space = this.#provided[module];
    const found = space !== undefined && Object.hasOwn(space, name) ? space[name] : undefined;
    return found === undefined ? undefined : this.hostFunction(module, name, type, found.run, found);
  }

  /**
   * A host function.
   *
   * @param provided set if it is one of the host's own, whose errors are meant for the plugin's caller
   */
  hostFunction(module: string, name: string, type: TypeDefinition | undefined, work: HostFunction, provided?: ProvidedFunction): ImportedFunction {
    const wanted = resultType(type);
    // What it does after it has returned is known as its doing, which costs some; not for a function that was seen to
    // answer without a promise, until it gives one.
    let asynchronous = provided?.waits !== false;
    let gavePromise = false;
    const call = work as (context: CallContext, ...values: HostValue[]) => unknown;
    const failed = (error: unknown): unknown => {
      if (isStackOverflow(error) || this.#callContext?.threw(error) === true || (provided !== undefined && isMortiseError(error))) return error;
      const reason = printable(error instanceof Error ? error.message : error);
      return new MortiseError("MORTISE_HOST_FUNCTION", { ...this.#who(module, name), reason }, error);
    };
    return this.#guard(
      wanted,
      name,
      (...values) => {
        const context = (this.#callContext ??= new HostCallContext(this.#access(this), this.context, this.#origin));
        try {
          return runHostCall(this.#state, asynchronous && this.mayWait, (record) => {
            const result = call(context, ...values);
            const waits = isThenable(result);
            gavePromise ||= waits;
            asynchronous = gavePromise;
            if (!waits) return result;
            suspendHostCall(record);
            this.#awaited = record;
            return Promise.resolve(result);
          });
        } catch (error) {
          throw failed(error);
        }
      },
      (value) => this.#checked(value, wanted, module, name),
      failed,
    );
  }

  #who(module: string, name: string): { plugin: string; function: string; module: string; name: string } {
    return { plugin: this.#state.name, function: this.function, module, name };
  }

  #checked(result: unknown, wanted: ValueType | undefined, module: string, name: string): HostValue | undefined {
    if (wanted === undefined) return undefined;
    if (wanted.code === I64) {
      if (typeof result === "bigint") return BigInt.asIntN(64, result);
      if (typeof result === "number" && Number.isSafeInteger(result)) return BigInt(result);
    } else if (typeof result === "number") return result;
    throw new MortiseError("MORTISE_HOST_RESULT", {
      ...this.#who(module, name),
      found: typeof result === "number" ? String(result) : typeof result,
      wanted: wanted.code === I64 ? "a bigint or a whole number" : `a number for ${valueTypeName(wanted)}`,
    });
  }

  /**
   * Runs work for the guest. Nothing is thrown into the guest, which could catch it: a failure is kept, and the guest
   * traps as soon as it gets control back. A promise suspends it there, if it can be.
   */
  #guard(wanted: ValueType | undefined, name: string, work: Work, finish: Finish, failed: (error: unknown) => unknown = same): ImportedFunction {
    const zero = wanted === undefined ? undefined : wanted.code === I64 ? 0n : 0;
    const settle = (value: unknown, rejected: boolean): bigint | undefined => {
      this.#resumed();
      try {
        if (rejected) throw failed(value);
        return toBits(wanted, finish(value));
      } catch (error) {
        this.keepFailure(error);
        return undefined;
      }
    };
    return (...values) => {
      const meter = this.#meter;
      const { suspendable } = meter;
      // The host's own frames are on the stack: what they call cannot be suspended.
      meter.suspendable = false;
      this.mayWait = suspendable;
      try {
        meter.startClock();
        const result = work(...values);
        if (result instanceof Promise) {
          if (!suspendable) {
            void result.catch(nothing); // its failure is not ours to report twice
            throw this.cannotWait(name);
          }
          meter.waitFor(result, settle);
          return zero;
        }
        // Time spent in the host costs no fuel, so that no tick would see it before the guest returns.
        if (meter.timeLeftMs <= 0) meter.stopGuest("timeout");
        return finish(result);
      } catch (error) {
        this.keepFailure(error);
        return zero;
      } finally {
        meter.suspendable = suspendable;
      }
    };
  }

  /** The error for a function that has to wait where nothing can. */
  cannotWait(name: string): MortiseError {
    const { name: plugin } = this.#state;
    return canSuspend
      ? new MortiseError("MORTISE_ASYNC_HOST_FUNCTION", { plugin, function: this.function, name })
      : new MortiseError("MORTISE_NO_SUSPENSION", { plugin, function: this.function, name });
  }

  /** Stops the guest because of what the host met on its behalf. */
  keepFailure(error: unknown): void {
    this.failure ??= error;
    this.#meter.stopGuest(isStackOverflow(error) ? "stack" : (this.#meter.stopped ?? "host"));
  }
}

function same(error: unknown): unknown {
  return error;
}

function resultType(type: TypeDefinition | undefined): ValueType | undefined {
  return type?.kind === "function" ? type.results[0] : undefined;
}

/** True for a promise, also of another library; reading `then` may itself fail. */
function isThenable(value: unknown): value is PromiseLike<unknown> {
  if (value instanceof Promise) return true;
  return typeof value === "object" && value !== null && typeof (value as { then?: unknown }).then === "function";
}

/** The 64 bits that carry a result into a suspended guest. */
function toBits(wanted: ValueType | undefined, value: HostValue | undefined): bigint {
  switch (wanted?.code) {
    case I64:
      return BigInt.asUintN(64, value as bigint);
    case 0x7f:
      return BigInt((value as number) >>> 0);
    case 0x7d:
      scratch.setFloat32(0, value as number);
      return BigInt(scratch.getUint32(0));
    case 0x7c:
      scratch.setFloat64(0, value as number);
      return scratch.getBigUint64(0);
    default:
      return 0n;
  }
}
