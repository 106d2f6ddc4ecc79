// What every plugin interface provides to the host, and what the host provides to it.

import type { Caller } from "../api/caller.ts";
import type { MortiseError } from "../api/errors.ts";
import { LOG_LEVELS, type LogLevel, type Logger } from "../api/guest-log.ts";
import type { HttpCall, HttpResponse } from "../api/http.ts";
import type { ResolvedLimits } from "../api/limits.ts";
import type { PluginOutput } from "../api/output.ts";
import type { WasiGrants } from "../wasi/options.ts";
import type { NumberType } from "../wasm/code-builder.ts";
import type { RewrittenModule } from "../wasm/instrument.ts";
import type { ImportEntry } from "../wasm/module-reader.ts";

/** Names of interfaces that a plugin can be loaded with. */
export type AbiName = "extism" | "bifrost" | "helios" | "querymt" | "native";

export { LOG_LEVELS, type LogLevel, type Logger };

/** Number types that cross into host functions: i64 as bigint, the others as number. */
export type HostValue = number | bigint;

/**
 * A function that plugins import. Its first argument is the {@link CallContext}, the others are what the guest
 * passed; it returns what the import's type says (nothing, a number, or a bigint for i64), or a promise of it. For a
 * promise the guest is suspended, which `plugin.call` allows and `plugin.callSync` does not.
 */
export type HostFunction = (context: CallContext, ...values: never[]) => HostResult | PromiseLike<HostResult>;

// oxlint-disable-next-line no-invalid-void-type -- a function without a return statement is a fine host function
type HostResult = HostValue | undefined | void;

/** A function that the host itself provides: its type is known, and the errors it throws have codes. */
export interface ProvidedFunction {
  readonly params: readonly NumberType[];
  readonly results: readonly NumberType[];
  /** It may answer with a promise. */
  readonly waits: boolean;
  readonly run: HostFunction;
}

/** Functions that the host itself provides, by import module and name. */
export type ProvidedFunctions = Readonly<Record<string, Readonly<Record<string, ProvidedFunction>>>>;

/** Host functions by import module and name. */
export type HostFunctions = Readonly<Record<string, Readonly<Record<string, HostFunction>>>>;

/**
 * What a host function may do with the call it serves. Valid during that call only. Addresses are those of blocks in
 * plugins for Extism and QueryMT, which have a length of their own; in plugins for Bifrost and HeliosProxy they are
 * addresses in the memory that the plugin exports, and a length comes with each.
 */
export interface CallContext {
  /** Name of the calling plugin, and the function that its caller called. */
  readonly plugin: string;
  readonly function: string;
  /** Milliseconds until the call's deadline. */
  readonly timeLeftMs: number;
  /** Value that the caller passed as `options.context`. */
  readonly context: unknown;
  /** Aborted when the call is over or was stopped: what still works for it can end. */
  readonly signal: AbortSignal;
  /** Cost units that the call may still use; infinite without a limit. */
  readonly fuelLeft: number;
  /** Takes cost units from those of the call, for work that is done for it; it ends with MORTISE_FUEL if it has fewer. */
  charge(units: number): void;
  /** Least severe level of the plugin's logs that anybody sees. */
  readonly logLevel: LogLevel;
  /**
   * A copy of the bytes of a block, `length` of them at most; empty for address 0 or no block. In an exported memory a copy
   * of exactly `length` bytes.
   *
   * @throws MortiseError MORTISE_BAD_POINTER if they are not all in that memory
   */
  read(address: bigint | number, length?: number): Uint8Array<ArrayBuffer>;
  /** The same as text. @throws MortiseError MORTISE_BAD_TEXT or MORTISE_BAD_POINTER */
  readText(address: bigint | number, length?: number): string;
  /** Writes into a block, or into the exported memory. @throws MortiseError MORTISE_BAD_POINTER if that is too short */
  write(address: bigint | number, data: Uint8Array): void;
  /**
   * Puts bytes or text into a new block and returns its address, 0 if they are empty. In an exported memory the plugin's
   * own allocator makes the block.
   */
  store(data: Uint8Array | string): bigint;
  /** Length of the block at an address, or 0. */
  length(address: bigint | number): number;
  /** Makes a new block of zeros and returns its address, 0 for no bytes. @throws MortiseError MORTISE_MEMORY_LIMIT */
  alloc(size: number): bigint;
  /** Frees a block. */
  free(address: bigint | number): void;
  /** Makes a text the error message that the call fails with, or with undefined takes it away. */
  setError(message: string | undefined): void;
  /** A variable of the plugin. */
  getVariable(name: string): Uint8Array<ArrayBuffer> | undefined;
  /** Sets or, with undefined, deletes a variable. @throws MortiseError MORTISE_VAR_LIMIT */
  setVariable(name: string, value: Uint8Array | string | undefined): void;
}

/** HTTP for guests, as an operator grants it. */
export interface GuestHttp {
  /**
   * Performs the request that a guest states as JSON.
   *
   * @throws MortiseError why it was refused or failed
   */
  request(json: string, body: Uint8Array | undefined, call: HttpCall): Promise<HttpResponse>;
  /** Whether guests may see the headers of responses. */
  readonly showsHeaders: boolean;
}

/** What all instances of one plugin share. */
export interface PluginState {
  readonly name: string;
  readonly limits: ResolvedLimits;
  /** Configuration as text, value by value, and as one JSON text. */
  readonly config: ReadonlyMap<string, string>;
  readonly configJson: string;
  readonly variables: Map<string, Uint8Array<ArrayBuffer>>;
  /** Bytes that the variables count. */
  variableBytes: number;
  readonly logger: Logger | undefined;
  readonly logLevel: number;
  readonly hostFunctions: HostFunctions;
  /** What plugins may import besides; the user's own functions come first. */
  readonly provided: ProvidedFunctions;
  readonly http: GuestHttp | undefined;
  readonly wasi: WasiGrants;
  readonly clock: () => number;
  /** Takes secrets out of what is thrown. @default nothing is secret */
  readonly redact?: ((error: unknown) => unknown) | undefined;
  /** The same for texts that are published. @default nothing is secret */
  readonly redactText?: ((text: string) => string) | undefined;
  /** Log lines dropped because of limits.logBytes. */
  droppedLogs: number;
}

/** One module of a plugin, rewritten and compiled. */
export interface CompiledModule {
  readonly name: string;
  readonly instrumented: RewrittenModule;
  readonly module: WebAssembly.Module;
  /** How stack traces call it; empty for a plugin of one module. */
  readonly label: string;
}

/** A compiled plugin. */
export interface CompiledGuest {
  readonly abi: AbiName;
  /**
   * Makes an instance and runs its start function and initialisers, all under one deadline and fuel.
   *
   * @param timeoutMs milliseconds for that
   * @throws MortiseError MORTISE_INSTANCE_FAILED if the engine has no room, or why the initialisation stopped
   */
  instantiate(state: PluginState, timeoutMs: number): GuestInstance;
  /** The module whose functions can be called. */
  readonly main: CompiledModule;
  /** All modules in the order in which they are instantiated, {@link main} among them. */
  readonly modules: readonly CompiledModule[];
  /** Functions that have to be imported before the module that exports them is there; undefined if there are none. */
  readonly stubs: LinkStubs | undefined;
  /** Exports that can be called, by name. */
  readonly entries: ReadonlyMap<string, GuestEntry>;
  /** Pages that the memories start with, the interface's own included; and table entries. */
  readonly initialPages: number;
  readonly initialEntries: number;
  /** Imports that modules get from each other. */
  readonly links: readonly ModuleLink[];
}

/** An import of one module that another exports. Modules are numbered in the order of instantiation. */
export interface ModuleLink {
  readonly importer: number;
  readonly item: ImportEntry;
  readonly provider: number;
  /** Name of the export, or of the kernel's function if `kernel` is true. */
  readonly export: string;
  readonly kernel: boolean;
  /** Number of the stub that stands in because the provider comes later. */
  readonly stub: number | undefined;
}

/** One call, as an instance takes it. */
export interface GuestCall {
  readonly input: string | Uint8Array | undefined;
  /** Handed to host functions; it never leaves this thread. */
  readonly context: unknown;
  /** Milliseconds that are left to the call. */
  readonly timeoutMs: number;
  /** The deadline as the caller gave it, for messages. */
  readonly statedMs: number;
  /** Cost units that it may use, if that is less than limits.fuel. */
  readonly fuel: number;
  /** The call of another plugin that it is made for. */
  readonly caller: Caller | undefined;
}

/** One instance, ready to be called. Any error it throws is a MortiseError. */
export interface GuestInstance {
  /** True once the instance must not be used again. */
  readonly poisoned: boolean;
  /** Calls an export and returns a copy of its output. */
  call(entry: GuestEntry, call: GuestCall): PluginOutput;
  /** {@link call}, during which the guest may be suspended: for promises of host functions, and after a slice of time. */
  callSuspending(entry: GuestEntry, call: GuestCall): Promise<PluginOutput>;
  /** Ends the running call with an error: at once if it is suspended, else as soon as the guest gets control back. */
  stop(error: MortiseError): void;
  /** A memory, table or global that the main module exports by this name. */
  exportedValue(name: string): ExportedValue | undefined;
  /** Closes what it holds open. */
  dispose(): void;
  /** The last call held the thread for longer than a slice of time. */
  readonly heldThread: boolean;
  /** Milliseconds that it has held the thread since this was last asked; 0 without a limits.cpuShare below 1. */
  takeHeldMs(): number;
  /** Bytes of the last call's input. */
  readonly inputBytes: number;
  /** Fuel units of the last call. */
  readonly fuelUsed: number;
  /** Bytes of all memories. */
  readonly memoryBytes: number;
}

/** What a module exports besides functions. */
export type ExportedValue = WebAssembly.Memory | WebAssembly.Table | WebAssembly.Global;

/** Functions that a plugin exports. */
export interface ExportTable {
  /** Types of those that can be called, by name. */
  readonly callable: ReadonlyMap<string, string>;
  /** What the others are, by name. */
  readonly others: ReadonlyMap<string, string>;
}

/** An export that can be called. */
export interface GuestEntry {
  readonly name: string;
  /** Name of the hidden export that enters it. */
  readonly hidden: string;
  /** True for `_start`: it leaves an instance that cannot be used again. */
  readonly once: boolean;
  /** Its number among the plugin's entries. */
  readonly index: number;
  /** It can come to call a function that may have to wait. */
  readonly waits: boolean;
}

/** A module of stand-ins for functions that are not there yet when they are imported; see link.ts. */
export interface LinkStubs {
  readonly module: WebAssembly.Module;
  /** The link that each stub serves. */
  readonly targets: readonly ModuleLink[];
}
