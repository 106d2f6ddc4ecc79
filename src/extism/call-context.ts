// What a host function gets as its first argument.

import type { CallContext as CoreCallContext } from "../abi/guest.ts";
import { invalidOption } from "../api/limits.ts";
import { explain } from "./failures.ts";
import { type LogGate, checkLevel } from "./levels.ts";
import type { LogLevel } from "./options.ts";
import { type PluginOutput, toOutput } from "./plugin-output.ts";

/** Blocks, variables and errors of the calling plugin. Valid during the call; later uses throw MORTISE_STALE_CONTEXT. */
export class CallContext {
  readonly #core: CoreCallContext;
  readonly #gate: LogGate;

  /** Made for each call of a host function. */
  constructor(core: CoreCallContext, gate: LogGate) {
    this.#core = core;
    this.#gate = gate;
  }

  /** What the caller passed to `call` as its third argument. */
  // oxlint-disable-next-line typescript/no-explicit-any, typescript/no-unnecessary-type-parameters -- the caller's own type, as code for the SDK states it
  hostContext<T = any>(): T {
    return this.#core.context as T;
  }

  /** Address of a new block of zeros; 0 for no bytes. */
  alloc(size: bigint | number): bigint {
    return this.#core.alloc(Number(size));
  }

  /** A copy of a block; empty for address 0, null where no block starts. */
  read(address: bigint | number): PluginOutput | null {
    const at = BigInt(address);
    const bytes = this.#core.read(at);
    // Empty blocks have no address of their own here: plugins pass 0 for them.
    return bytes.length === 0 && at !== 0n ? null : toOutput(bytes);
  }

  /** Puts text or bytes into a new block and gives its address; 0 for none. */
  store(input: string | Uint8Array): bigint {
    return this.#core.store(contentOf(input, "input of store"));
  }

  /** Length of the block that starts at an address, or 0. */
  length(address: bigint | number): bigint {
    return BigInt(this.#core.length(BigInt(address)));
  }

  /** A copy of a variable, or null. */
  getVariable(name: string): PluginOutput | null {
    const value = this.#core.getVariable(name);
    return value === undefined ? null : toOutput(value);
  }

  /** @throws MortiseError MORTISE_VAR_LIMIT */
  setVariable(name: string, value: string | Uint8Array): void {
    this.#core.setVariable(name, contentOf(value, "value of setVariable"));
  }

  deleteVariable(name: string): void {
    this.#core.setVariable(name, undefined);
  }

  /** Makes the call fail with this message; nothing clears it. */
  setError(error?: string | Error | null): void {
    this.#core.setError(error instanceof Error ? error.message : (error ?? undefined));
  }

  /** Least severe level that is logged. Setting it to a less severe one than the plugin was made with has no effect. */
  get logLevel(): LogLevel {
    return this.#gate.level;
  }

  set logLevel(level: LogLevel) {
    this.#gate.level = checkLevel(level);
  }
}

/** Bytes of another realm or behind another view are taken as well. */
function contentOf(value: unknown, option: string): string | Uint8Array {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (ArrayBuffer.isView(value)) return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  throw explain(invalidOption(option, value === null ? "null" : typeof value, "a string or bytes"));
}
