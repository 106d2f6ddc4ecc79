// What a host function gets to work with: blocks and variables of the plugin, for the length of one call.

import type { Caller } from "../api/caller.ts";
import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { CallContext, LogLevel } from "./guest.ts";

/** Access to one instance, as a call context hands it on. */
export interface CallAccess extends Omit<CallContext, "context" | "signal" | "timeLeftMs" | "fuelLeft"> {
  /** What all instances of the plugin share. */
  readonly owner: object;
  /** As `read`, but the bytes are those of the plugin itself where they can be; not to be changed, and gone when it goes on. */
  borrow(address: bigint | number, length?: number): Uint8Array;
  signal(): AbortSignal;
  timeLeftMs(): number;
  fuelLeft(): number;
}

/** Where a call comes from; undefined for what is not called, such as an initialiser. */
export interface CallOrigin {
  /** The call of another plugin that it is made for. */
  readonly caller: Caller | undefined;
}

/** Most cost units that are taken at once. */
const MAX_UNITS = Number.MAX_SAFE_INTEGER;

/** The context of one call; of no use once the call is over. */
export class HostCallContext implements CallContext, Caller {
  readonly plugin: string;
  readonly context: unknown;
  readonly logLevel: LogLevel;
  readonly function: string;
  readonly owner: object;
  readonly caller: Caller | undefined;
  /** False while an instance is initialised, which calls no other plugin. */
  readonly isCall: boolean;
  /** Errors that came out of this context, as opposed to those of the host function's own work. */
  #own: WeakSet<object> | undefined;
  #access: CallAccess | undefined;

  constructor(access: CallAccess, context: unknown, origin?: CallOrigin) {
    this.plugin = access.plugin;
    this.function = access.function;
    this.#access = access;
    this.logLevel = access.logLevel;
    this.context = context;
    this.owner = access.owner;
    this.caller = origin?.caller;
    this.isCall = origin !== undefined;
  }

  read(address: bigint | number, length?: number): Uint8Array<ArrayBuffer> {
    return this.#use((access) => access.read(address, length));
  }

  /** {@link read} without a copy, where that can be done: of use until the plugin goes on. */
  borrow(address: bigint | number, length?: number): Uint8Array {
    return this.#use((access) => access.borrow(address, length));
  }

  readText(address: bigint | number, length?: number): string {
    return this.#use((access) => access.readText(address, length));
  }

  write(address: bigint | number, data: Uint8Array): void {
    this.#use((access) => access.write(address, data));
  }

  store(data: Uint8Array | string): bigint {
    return this.#use((access) => access.store(data));
  }

  length(address: bigint | number): number {
    return this.#use((access) => access.length(address));
  }

  get timeLeftMs(): number {
    return this.#use((access) => access.timeLeftMs());
  }

  get signal(): AbortSignal {
    return this.#use((access) => access.signal());
  }

  get fuelLeft(): number {
    return this.#use((access) => access.fuelLeft());
  }

  charge(units: number): void {
    if (units > 0) this.#access?.charge(Math.min(Math.ceil(units), MAX_UNITS));
  }

  alloc(size: number): bigint {
    return this.#use((access) => access.alloc(size));
  }

  setError(message: string | undefined): void {
    this.#use((access) => access.setError(message));
  }

  free(address: bigint | number): void {
    this.#use((access) => access.free(address));
  }

  getVariable(name: string): Uint8Array<ArrayBuffer> | undefined {
    return this.#use((access) => access.getVariable(name));
  }

  setVariable(name: string, value: Uint8Array | string | undefined): void {
    this.#use((access) => access.setVariable(name, value));
  }

  /** Takes the instance away from whoever kept the context. */
  end(): void {
    this.#access = undefined;
  }

  /** True for an error that one of this context's methods threw. */
  threw(error: unknown): boolean {
    return typeof error === "object" && error !== null && this.#own?.has(error) === true;
  }

  #use<T>(work: (access: CallAccess) => T): T {
    if (this.#access === undefined) throw new MortiseError("MORTISE_STALE_CONTEXT", { plugin: this.plugin, function: this.function });
    try {
      return work(this.#access);
    } catch (error) {
      if (isMortiseError(error)) (this.#own ??= new WeakSet()).add(error);
      throw error;
    }
  }
}
