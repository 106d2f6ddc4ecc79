// What every plugin interface provides to the host, and what the host provides to it.

import type { ResolvedLimits } from "../api/limits.ts";
import type { PluginOutput } from "../api/output.ts";
import type { RewrittenModule } from "../wasm/instrument.ts";

/** Names of interfaces that a plugin can be loaded with. */
export type AbiName = "extism";

/** Levels of guest logs, least severe first. */
export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error"] as const;
/** A level of guest logs. */
export type LogLevel = (typeof LOG_LEVELS)[number];

/** Receives guest logs; `console` and pino fit. Text is made safe to print before it arrives. */
export type Logger = Readonly<Record<LogLevel, (message: string) => void>>;

/** Number types that cross into host functions: i64 as bigint, the others as number. */
export type HostValue = number | bigint;

/**
 * A function that plugins import. Its first argument is the {@link CallContext}, the others are what the guest
 * passed; it returns what the import's type says (nothing, a number, or a bigint for i64), at once.
 */
export type HostFunction = (context: CallContext, ...values: never[]) => HostValue | undefined | void;

/** Host functions by import module and name. */
export type HostFunctions = Readonly<Record<string, Readonly<Record<string, HostFunction>>>>;

/** What a host function may do with the call it serves. Valid during that call only. */
export interface CallContext {
  /** Name of the calling plugin. */
  readonly plugin: string;
  /** Value that the caller passed as `options.context`. */
  readonly context: unknown;
  /** A copy of the bytes of a block; empty for address 0 or no block. */
  read(address: bigint | number): Uint8Array<ArrayBuffer>;
  /** The text of a block. @throws MortiseError MORTISE_BAD_TEXT */
  readText(address: bigint | number): string;
  /** Puts bytes or text into a new block and returns its address, 0 if they are empty. */
  store(data: Uint8Array | string): bigint;
  /** Length of the block at an address, or 0. */
  length(address: bigint | number): number;
  /** Frees a block. */
  free(address: bigint | number): void;
  /** A variable of the plugin. */
  getVariable(name: string): Uint8Array<ArrayBuffer> | undefined;
  /** Sets or, with undefined, deletes a variable. @throws MortiseError MORTISE_VAR_LIMIT */
  setVariable(name: string, value: Uint8Array | string | undefined): void;
}

/** What all instances of one plugin share. */
export interface PluginState {
  readonly name: string;
  readonly limits: ResolvedLimits;
  readonly config: ReadonlyMap<string, string>;
  readonly variables: Map<string, Uint8Array<ArrayBuffer>>;
  /** Bytes that the variables count. */
  variableBytes: number;
  readonly logger: Logger | undefined;
  readonly logLevel: number;
  readonly hostFunctions: HostFunctions;
  readonly clock: () => number;
  /** Log lines dropped because of limits.logBytes. */
  droppedLogs: number;
}

/** A compiled plugin. */
export interface CompiledGuest {
  readonly instrumented: RewrittenModule;
  readonly module: WebAssembly.Module;
  /** Pages that the memories start with, the interface's own included; and table entries. */
  readonly initialPages: number;
  readonly initialEntries: number;
}

/** One instance, ready to be called. Any error it throws is a MortiseError. */
export interface GuestInstance {
  /** True once the instance must not be used again. */
  readonly poisoned: boolean;
  /**
   * Calls an export and returns a copy of its output.
   *
   * @param statedMs the deadline as the caller gave it, for messages; `timeoutMs` is what is left of it
   */
  call(entry: GuestEntry, input: string | Uint8Array | undefined, context: unknown, timeoutMs: number, statedMs: number): PluginOutput;
  /** Bytes of the last call's input. */
  readonly inputBytes: number;
  /** Fuel units of the last call. */
  readonly fuelUsed: number;
  /** Bytes of all memories. */
  readonly memoryBytes: number;
}

/** An export that can be called. */
export interface GuestEntry {
  readonly name: string;
  /** Name of the hidden export that enters it. */
  readonly hidden: string;
  /** True for `_start`: it leaves an instance that cannot be used again. */
  readonly once: boolean;
}
