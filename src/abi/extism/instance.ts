// One instance of an Extism guest: wiring, calls, and the functions of the environment that JavaScript provides.

import { MortiseError, printable } from "../../api/errors.ts";
import { PluginOutput } from "../../api/output.ts";
import { COST } from "../../wasm/cost.ts";
import { Meter } from "../../wasm/meter.ts";
import { type ParsedModule, type TypeDefinition, valueTypeName } from "../../wasm/module-reader.ts";
import { WASI_FUNCTIONS, WASI_MODULE, type WasiHost } from "../../wasi/functions.ts";
import {
  type CallContext,
  type CompiledGuest,
  type GuestEntry,
  type GuestInstance,
  type HostFunction,
  type HostValue,
  LOG_LEVELS,
  type LogLevel,
  type PluginState,
} from "../guest.ts";
import { type CallAccess, HostCallContext } from "./call-context.ts";
import { explainFailure, isStackOverflow } from "./guest-failure.ts";
import { BASE, CONTROL, ENV } from "./kernel.ts";

const PAGE = 65_536;
/** Bytes that a variable counts beyond its name and value, as the Extism runtime has it. */
const VARIABLE_OVERHEAD = 48;
/** Longest text that is written character by character, which is faster than the encoder's call. */
const SHORT_TEXT = 96;
/** Longest output that is copied byte by byte. */
const SHORT_OUTPUT = 64;
const MAX_LOG_CHARS = 8192;
/** Bytes that a log line counts beyond its text, so that empty lines are limited too. */
const LINE_OVERHEAD = 16;
/** Return code that the Extism runtime gives a call that trapped. */
const TRAP_CODE = 134;
/** Highest address that a block can have. */
const MAX_ADDRESS = 0x7fff_ffff;
/** Bytes that a block needs behind its text: padding, and its entry in the block table. */
const BLOCK_OVERHEAD = 32;
const LOG_LEVEL_OFF = 0x7fff_ffff;

const encoder = new TextEncoder();
const lossy = new TextDecoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const nothing = (): void => {};

type EntryFunction = (inputLength: number, budget: number) => number;

/** A guest that was wired and initialised. Once poisoned it must be dropped. */
export class ExtismInstance implements GuestInstance {
  /** Fuel and deadline of this instance. */
  readonly meter: Meter;
  poisoned = false;
  readonly #guest: CompiledGuest;
  readonly #state: PluginState;
  readonly #exports: WebAssembly.Exports;
  readonly #memory: WebAssembly.Memory;
  readonly #alloc: (size: number) => number;
  readonly #free: (address: number) => void;
  readonly #length: (address: number) => number;
  readonly #entries = new Map<string, EntryFunction>();
  #bytes: Uint8Array<ArrayBuffer>;
  #control: Int32Array<ArrayBuffer>;
  #hostFailure: unknown;
  #function = "";
  #context: unknown;
  #timeoutMs: number;
  #logged = 0;
  #logNoticeGiven = false;
  #exitCode: number | undefined;
  #fuelUsed = 0;
  #inputBytes = 0;
  #callContext: HostCallContext | undefined;

  private constructor(guest: CompiledGuest, state: PluginState, timeoutMs: number) {
    this.#guest = guest;
    this.#state = state;
    this.#timeoutMs = timeoutMs;
    const { limits } = state;
    this.meter = new Meter(guest.instrumented, {
      fuel: limits.fuel,
      timeoutMs,
      growPages: Math.floor(limits.memoryBytes / PAGE) - guest.initialPages,
      growEntries: limits.tableEntries - guest.initialEntries,
      clock: state.clock,
    });
    const { instrumented } = guest;
    const instance = this.#instantiate();
    this.#exports = instance.exports;
    this.#memory = this.#exports[instrumented.hiddenName("memory")] as WebAssembly.Memory;
    this.#bytes = new Uint8Array(this.#memory.buffer);
    this.#control = new Int32Array(this.#memory.buffer, 0, BASE / 4);
    this.#alloc = this.#exports[instrumented.hiddenName("enter:alloc")] as (size: number) => number;
    this.#free = this.#exports[instrumented.hiddenName("enter:free")] as (address: number) => void;
    this.#length = this.#exports[instrumented.hiddenName("enter:length")] as (address: number) => number;
    this.meter.attach(instance, true);
  }

  /**
   * Instantiates a guest and runs its start function and initialisers, all under one deadline and fuel.
   *
   * @param timeoutMs milliseconds for that
   * @throws MortiseError MORTISE_INSTANCE_FAILED if the engine has no room, or why the initialisation stopped
   */
  static create(guest: CompiledGuest, state: PluginState, timeoutMs: number): ExtismInstance {
    const instance = new ExtismInstance(guest, state, timeoutMs);
    instance.#initialise();
    return instance;
  }

  #instantiate(): WebAssembly.Instance {
    try {
      return new WebAssembly.Instance(this.#guest.module, this.#imports());
    } catch (error) {
      // A segment that does not fit traps here; everything else is the engine out of room.
      throw new MortiseError("MORTISE_INSTANCE_FAILED", { plugin: this.#state.name, reason: printable((error as Error).message) }, error);
    }
  }

  /** Start function, then `_initialize` and `hs_init`, or constructors, as the Extism runtime orders them. */
  #initialise(): void {
    const { instrumented } = this.#guest;
    const { module } = instrumented;
    const outer = this.meter.enter();
    this.meter.grant(this.meter.begin(this.#state.limits.fuel, this.#timeoutMs));
    this.meter.startClock();
    try {
      this.#run("start", instrumented.hiddenName("start"), []);
      if (hasExport(module, "hs_init", 2)) {
        if (hasExport(module, "_initialize", 0)) this.#run("_initialize", "_initialize", []);
        this.#run("hs_init", "hs_init", [0, 0]);
      } else if (hasExport(module, "__wasm_call_ctors", 0)) this.#run("__wasm_call_ctors", "__wasm_call_ctors", []);
      else if (hasExport(module, "_initialize", 0)) this.#run("_initialize", "_initialize", []);
    } catch (error) {
      throw this.#fail(error);
    } finally {
      this.meter.leave(outer);
      this.#endContext();
      this.#refreshViews();
    }
  }

  #run(name: string, exportName: string, values: readonly number[]): void {
    const target = this.#exports[exportName];
    if (typeof target !== "function") return;
    this.#function = name;
    (target as (...args: readonly number[]) => void)(...values);
  }

  call(entry: GuestEntry, input: string | Uint8Array | undefined, context: unknown, timeoutMs: number, statedMs: number): PluginOutput {
    const { meter } = this;
    const { name, limits } = this.#state;
    this.#function = entry.name;
    this.#context = context;
    this.#timeoutMs = statedMs;
    this.#logged = 0;
    this.#logNoticeGiven = false;
    this.#fuelUsed = 0;
    this.#inputBytes = 0;
    const length = input === undefined ? 0 : typeof input === "string" ? this.#writeText(input) : this.#writeBytes(input);
    this.#inputBytes = length;
    const run = this.#entries.get(entry.name) ?? this.#bind(entry);
    const granted = meter.begin(limits.fuel, timeoutMs);
    const outer = meter.enter();
    let returnCode: number;
    try {
      returnCode = run(length, granted);
    } catch (error) {
      // First of all, and without a call: whatever happens from here on, this instance is not entered again.
      this.poisoned = true;
      this.#fuelUsed = meter.fuelUsed;
      returnCode = this.#afterStop(error);
    } finally {
      meter.leave(outer);
      if (this.#callContext !== undefined) this.#endContext();
    }
    if (this.#bytes.length === 0) this.#refreshViews();
    const control = this.#control;
    if (!this.poisoned) this.#fuelUsed = meter.fuelUsedOf(control[CONTROL.budget >> 2] as number);
    if ((control[CONTROL.error >> 2] as number) !== 0 || (control[(CONTROL.error >> 2) + 1] as number) !== 0) throw this.#guestError(returnCode);
    if (entry.once) this.poisoned = true;
    if (returnCode !== 0) throw new MortiseError("MORTISE_RETURN_CODE", { plugin: name, function: entry.name, returnCode });
    return this.#output(entry);
  }

  #bind(entry: GuestEntry): EntryFunction {
    const run = this.#exports[entry.hidden] as EntryFunction;
    this.#entries.set(entry.name, run);
    return run;
  }

  get inputBytes(): number {
    return this.#inputBytes;
  }

  get fuelUsed(): number {
    return this.#fuelUsed;
  }

  get memoryBytes(): number {
    return (this.#guest.initialPages + this.meter.pagesGrown) * PAGE;
  }

  #output(entry: GuestEntry): PluginOutput {
    const control = this.#control;
    const { name, limits } = this.#state;
    const offset = (control[CONTROL.outputOffset >> 2] as number) >>> 0;
    const length = (control[CONTROL.outputLength >> 2] as number) >>> 0;
    const high = (control[(CONTROL.outputOffset >> 2) + 1] as number) | (control[(CONTROL.outputLength >> 2) + 1] as number);
    if (high === 0 && length === 0) return new PluginOutput(new Uint8Array(0), name, entry.name);
    if (high !== 0 || offset < BASE || offset + length > (control[CONTROL.heapEnd >> 2] as number)) {
      throw this.#badPointer("an output", this.#control64(CONTROL.outputOffset), this.#control64(CONTROL.outputLength));
    }
    if (length > limits.outputBytes) {
      throw new MortiseError("MORTISE_OUTPUT_LIMIT", { plugin: name, function: entry.name, size: length, limit: limits.outputBytes });
    }
    return new PluginOutput(this.#copy(offset, length), name, entry.name);
  }

  #copy(offset: number, length: number): Uint8Array<ArrayBuffer> {
    if (length > SHORT_OUTPUT) return this.#bytes.slice(offset, offset + length);
    const out = new Uint8Array(length);
    const bytes = this.#bytes;
    for (let index = 0; index < length; index++) out[index] = bytes[offset + index] as number;
    return out;
  }

  #control64(at: number): bigint {
    return new DataView(this.#memory.buffer).getBigUint64(at, true);
  }

  #badPointer(what: string, address: bigint, size: bigint): MortiseError {
    return new MortiseError("MORTISE_BAD_POINTER", {
      plugin: this.#state.name,
      function: this.#function,
      what,
      address: `0x${address.toString(16)}`,
      size: size.toString(),
    });
  }

  #guestError(returnCode: number): MortiseError {
    const address = this.#control64(CONTROL.error);
    const length = this.#control[CONTROL.errorLength >> 2] as number;
    if (length === 0) return this.#badPointer("an error message", address, 0n);
    const text = lossy.decode(this.#bytes.subarray(Number(address), Number(address) + Math.min(length, 65_536)));
    return new MortiseError("MORTISE_GUEST_ERROR", {
      plugin: this.#state.name,
      function: this.#function,
      reason: text,
      ...(returnCode === 0 ? {} : { returnCode }),
    });
  }

  /** Writes the input at BASE, where the next call expects it. */
  #writeText(text: string): number {
    const { length } = text;
    // A UTF-16 unit takes three bytes of UTF-8 at most.
    if (BASE + length * 3 + BLOCK_OVERHEAD > this.#bytes.length) {
      const size = Buffer.byteLength(text, "utf8");
      this.#makeRoom(size);
    }
    const bytes = this.#bytes;
    if (length <= SHORT_TEXT) {
      let index = 0;
      for (; index < length; index++) {
        const unit = text.charCodeAt(index);
        if (unit > 0x7f) break;
        bytes[BASE + index] = unit;
      }
      if (index === length) return length;
    }
    return encoder.encodeInto(text, bytes.subarray(BASE)).written;
  }

  #writeBytes(input: Uint8Array): number {
    const { length } = input;
    if (BASE + length + BLOCK_OVERHEAD > this.#bytes.length) this.#makeRoom(length);
    this.#bytes.set(input, BASE);
    return length;
  }

  #makeRoom(size: number): void {
    if (this.#bytes.length === 0) this.#refreshViews();
    const missing = BASE + size + BLOCK_OVERHEAD - this.#bytes.length;
    if (missing <= 0) return;
    const pages = Math.ceil(missing / PAGE);
    const taken = this.meter.takePages(pages);
    try {
      if (taken) this.#memory.grow(pages);
    } catch {
      // The engine has no room: the same answer as for the limit.
    }
    this.#refreshViews();
    if (BASE + size + BLOCK_OVERHEAD > this.#bytes.length) {
      throw new MortiseError("MORTISE_INPUT_LIMIT", {
        plugin: this.#state.name,
        function: this.#function,
        size,
        limit: this.#state.limits.memoryBytes,
      });
    }
  }

  #refreshViews(): void {
    const buffer = this.#memory.buffer;
    if (this.#bytes.buffer === buffer) return;
    this.#bytes = new Uint8Array(buffer);
    this.#control = new Int32Array(buffer, 0, BASE / 4);
  }

  /**
   * What a stop inside a call amounts to. A limit is reported as such; an error message that the guest had set comes
   * before its trap or exit; an exit with 0 is a success. Returns the return code of a call that ended well after all.
   */
  #afterStop(error: unknown): number {
    const failure = this.#fail(error);
    const ended = failure.code === "MORTISE_EXIT";
    if (!ended && failure.code !== "MORTISE_TRAP") throw failure;
    try {
      // The guest was stopped before it left its result where the host reads it.
      (this.#exports[this.#guest.instrumented.hiddenName("enter:finish")] as () => void)();
    } catch {
      throw failure;
    }
    this.#refreshViews();
    if (this.#control64(CONTROL.error) !== 0n && this.#control[CONTROL.errorLength >> 2] !== 0) return ended ? (this.#exitCode ?? 0) : TRAP_CODE;
    if (ended && this.#exitCode === 0) return 0;
    throw failure;
  }

  #fail(error: unknown): MortiseError {
    this.poisoned = true;
    if (this.#exitCode !== undefined && this.meter.stopped === "host") {
      return new MortiseError("MORTISE_EXIT", { plugin: this.#state.name, function: this.#function, exitCode: this.#exitCode });
    }
    return explainFailure(error, {
      plugin: this.#state.name,
      function: this.#function,
      limits: this.#state.limits,
      timeoutMs: this.#timeoutMs,
      instrumented: this.#guest.instrumented,
      meter: this.meter,
      hostFailure: this.#hostFailure,
    });
  }

  // ---- what the guest imports

  #imports(): WebAssembly.Imports {
    const { module } = this.#guest.instrumented;
    const imports: Record<string, Record<string, (...values: HostValue[]) => HostValue | void>> = Object.create(null);
    for (const item of module.imports) {
      const type = module.types[module.functionTypes[item.index] as number];
      const space = (imports[item.module] ??= Object.create(null) as Record<string, (...values: HostValue[]) => HostValue | void>);
      space[item.name] = this.#import(item.module, item.name, type);
    }
    return imports;
  }

  #import(module: string, name: string, type: TypeDefinition | undefined): (...values: HostValue[]) => HostValue | void {
    if (module === ENV) {
      const work = ENV_FUNCTIONS[name];
      // The others are built into the guest; their imports are never called.
      if (work === undefined || !Object.hasOwn(ENV_FUNCTIONS, name)) return nothing;
      return (...values) => this.#guard(type, () => work(this.#environment, ...values));
    }
    if (module === WASI_MODULE) {
      const work = WASI_FUNCTIONS[name];
      return (...values) => this.#guard(type, () => work?.(this.#wasi, ...values));
    }
    const work = this.#state.hostFunctions[module]?.[name] as HostFunction;
    return (...values) => this.#guard(type, () => this.#callHost(module, name, type, work, values));
  }

  /**
   * Runs a function for the guest. Nothing is thrown into the guest, which could catch it: a failure is kept, and the
   * guest traps as soon as it gets control back.
   */
  #guard(type: TypeDefinition | undefined, work: () => HostValue | void): HostValue | void {
    try {
      this.meter.startClock();
      const result = work();
      // Time spent in the host costs no fuel, so that no tick would see it before the guest returns.
      if (this.meter.timeLeftMs <= 0) this.meter.stopGuest("timeout");
      return result;
    } catch (error) {
      this.#keepFailure(error);
      const result = type?.kind === "function" ? type.results[0] : undefined;
      return result === undefined ? undefined : result.code === 0x7e ? 0n : 0;
    }
  }

  #keepFailure(error: unknown): void {
    this.#hostFailure ??= error;
    this.meter.stopGuest(isStackOverflow(error) ? "stack" : (this.meter.stopped ?? "host"));
  }

  #callHost(module: string, name: string, type: TypeDefinition | undefined, work: HostFunction, values: readonly HostValue[]): HostValue | void {
    const who = { plugin: this.#state.name, function: this.#function, module, name };
    const context = (this.#callContext ??= new HostCallContext(this.#access(), this.#context));
    let result: unknown;
    try {
      result = (work as (context: CallContext, ...values: readonly HostValue[]) => unknown)(context, ...values);
    } catch (error) {
      if (isStackOverflow(error) || context.threw(error)) throw error;
      throw new MortiseError("MORTISE_HOST_FUNCTION", { ...who, reason: printable(error instanceof Error ? error.message : error) }, error);
    }
    if (isThenable(result, who)) {
      void Promise.resolve(result).catch(nothing); // its failure is not ours to report twice
      throw new MortiseError("MORTISE_ASYNC_HOST_FUNCTION", who);
    }
    const wanted = type?.kind === "function" ? type.results[0] : undefined;
    if (wanted === undefined) return;
    if (wanted.code === 0x7e) {
      if (typeof result === "bigint") return BigInt.asIntN(64, result);
      if (typeof result === "number" && Number.isSafeInteger(result)) return BigInt(result);
    } else if (typeof result === "number") return result;
    throw new MortiseError("MORTISE_HOST_RESULT", {
      ...who,
      found: typeof result === "number" ? String(result) : typeof result,
      wanted: wanted.code === 0x7e ? "a bigint or a whole number" : `a number for ${valueTypeName(wanted)}`,
    });
  }

  // ---- blocks, for JavaScript

  #chargeBytes(bytes: number): void {
    if (bytes >= COST.hostBytesPerUnit) this.meter.charge(Math.floor(bytes / COST.hostBytesPerUnit));
  }

  /** The bytes of a block, in place; empty if there is none. */
  #block(address: bigint | number): Uint8Array<ArrayBuffer> {
    const at = Number(address);
    if (!(at >= BASE && at <= MAX_ADDRESS)) return new Uint8Array(0);
    const length = this.#length(at);
    this.#chargeBytes(length);
    if (this.#bytes.length === 0) this.#refreshViews();
    return this.#bytes.subarray(at, at + length);
  }

  #release(address: bigint | number): void {
    const at = Number(address);
    if (at >= BASE && at <= MAX_ADDRESS) this.#free(at);
  }

  #text(address: bigint | number, what: string): string {
    try {
      return strict.decode(this.#block(address));
    } catch {
      throw new MortiseError("MORTISE_BAD_TEXT", { plugin: this.#state.name, function: this.#function, what });
    }
  }

  #store(data: Uint8Array | string): bigint {
    const bytes = typeof data === "string" ? encoder.encode(data) : data;
    if (bytes.length === 0) return 0n;
    this.#chargeBytes(bytes.length);
    const address = this.#alloc(bytes.length);
    if (address === 0)
      throw new MortiseError("MORTISE_MEMORY_LIMIT", { plugin: this.#state.name, function: this.#function, limit: this.#state.limits.memoryBytes });
    this.#refreshViews();
    this.#bytes.set(bytes, address);
    return BigInt(address);
  }

  #setVariable(name: string, value: Uint8Array<ArrayBuffer> | undefined): void {
    const state = this.#state;
    const key = Buffer.byteLength(name, "utf8") + VARIABLE_OVERHEAD;
    const old = state.variables.get(name);
    const without = state.variableBytes - (old === undefined ? 0 : key + old.length);
    if (value === undefined) {
      state.variables.delete(name);
      state.variableBytes = without;
      return;
    }
    const size = without + key + value.length;
    if (size > state.limits.varBytes) {
      throw new MortiseError("MORTISE_VAR_LIMIT", {
        plugin: state.name,
        function: this.#function,
        name: printable(name),
        size,
        limit: state.limits.varBytes,
      });
    }
    this.#chargeBytes(value.length);
    state.variables.set(name, value);
    state.variableBytes = size;
  }

  #log(level: LogLevel, address: HostValue): void {
    const state = this.#state;
    if (state.logger === undefined || LOG_LEVELS.indexOf(level) < state.logLevel) {
      this.#release(address);
      return;
    }
    const block = this.#block(address);
    const logged = this.#logged + block.length + LINE_OVERHEAD;
    if (logged > state.limits.logBytes) {
      state.droppedLogs++;
      if (!this.#logNoticeGiven) {
        this.#logNoticeGiven = true;
        const notice = new MortiseError("MORTISE_LOG_LIMIT", { plugin: state.name, function: this.#function, limit: state.limits.logBytes });
        this.#write("warn", `${notice.code}: ${notice.message}`);
      }
    } else {
      this.#logged = logged;
      const text = lossy.decode(block.subarray(0, MAX_LOG_CHARS * 4));
      this.#write(level, printable(text, MAX_LOG_CHARS));
    }
    this.#release(address);
  }

  /** A logger that fails is the operator's trouble, not the guest's. */
  #write(level: LogLevel, message: string): void {
    try {
      const written: unknown = this.#state.logger?.[level](message);
      if (typeof written === "object" && written !== null && "then" in written) void Promise.resolve(written).catch(nothing);
    } catch (error) {
      if (isStackOverflow(error)) throw error;
    }
  }

  get #environment(): Environment {
    return (this.#environmentObject ??= {
      config: (key) => {
        const name = this.#text(key, "a config key");
        this.#release(key);
        const value = this.#state.config.get(name);
        return value === undefined ? 0n : this.#store(value);
      },
      getVariable: (key) => {
        const name = this.#text(key, "a variable name");
        this.#release(key);
        const value = this.#state.variables.get(name);
        return value === undefined ? 0n : this.#store(value);
      },
      setVariable: (key, value) => {
        const name = this.#text(key, "a variable name");
        this.#setVariable(name, value === 0n ? undefined : this.#block(value).slice());
        this.#release(key);
        this.#release(value);
      },
      log: (level, message) => this.#log(level, message),
      logLevel: () => (this.#state.logger === undefined ? LOG_LEVEL_OFF : this.#state.logLevel),
      denied: (what) => {
        throw new MortiseError("MORTISE_PERMISSION", { plugin: this.#state.name, function: this.#function, what });
      },
    });
  }
  #environmentObject: Environment | undefined;

  get #wasi(): WasiHost {
    return (this.#wasiObject ??= {
      memory: () => {
        const memory = this.#exports["memory"];
        return memory instanceof WebAssembly.Memory ? memory : undefined;
      },
      exit: (code) => {
        this.#exitCode = code;
        this.meter.stopGuest("host");
      },
      charge: (bytes) => this.#chargeBytes(bytes),
    });
  }
  #wasiObject: WasiHost | undefined;

  #endContext(): void {
    this.#callContext?.end();
    this.#callContext = undefined;
  }

  #access(): CallAccess {
    return {
      plugin: this.#state.name,
      function: this.#function,
      read: (address) => this.#block(address).slice(),
      readText: (address) => this.#text(address, "a block"),
      store: (data) => this.#store(data),
      length: (address) => this.#block(address).length,
      free: (address) => this.#release(address),
      getVariable: (name) => this.#state.variables.get(name)?.slice(),
      setVariable: (name, value) =>
        this.#setVariable(name, typeof value === "string" ? encoder.encode(value) : value === undefined ? undefined : new Uint8Array(value)),
    };
  }
}

/** True for a promise; reading `then` may itself fail. */
function isThenable(
  value: unknown,
  who: { readonly plugin: string; readonly function: string; readonly module: string; readonly name: string },
): boolean {
  if (typeof value !== "object" || value === null) return false;
  try {
    return typeof (value as { then?: unknown }).then === "function";
  } catch (error) {
    throw new MortiseError("MORTISE_HOST_FUNCTION", { ...who, reason: printable(error instanceof Error ? error.message : error) }, error);
  }
}

/** What the functions of `extism:host/env` need of their instance. */
interface Environment {
  config(key: bigint): bigint;
  getVariable(key: bigint): bigint;
  setVariable(key: bigint, value: bigint): void;
  log(level: LogLevel, message: bigint): void;
  logLevel(): number;
  denied(what: string): never;
}

type EnvironmentFunction = (environment: Environment, ...values: HostValue[]) => HostValue | void;

/** Functions of `extism:host/env` that are not built into the guest. */
const ENV_FUNCTIONS: Readonly<Record<string, EnvironmentFunction>> = {
  config_get: (environment, key) => environment.config(key as bigint),
  var_get: (environment, key) => environment.getVariable(key as bigint),
  var_set: (environment, key, value) => environment.setVariable(key as bigint, value as bigint),
  log_trace: (environment, message) => environment.log("trace", message as bigint),
  log_debug: (environment, message) => environment.log("debug", message as bigint),
  log_info: (environment, message) => environment.log("info", message as bigint),
  log_warn: (environment, message) => environment.log("warn", message as bigint),
  log_error: (environment, message) => environment.log("error", message as bigint),
  get_log_level: (environment) => environment.logLevel(),
  http_request: (environment) => environment.denied("an HTTP request"),
  http_status_code: () => 0,
  http_headers: () => 0n,
};

function hasExport(module: ParsedModule, name: string, params: number): boolean {
  const item = module.exports.find((candidate) => candidate.name === name && candidate.kind === "function");
  if (item === undefined) return false;
  const type = module.types[module.functionTypes[item.index] as number];
  return type?.kind === "function" && type.params.length === params && type.params.every(({ code }) => code === 0x7f) && type.results.length === 0;
}
