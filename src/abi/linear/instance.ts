// One instance of a plugin that exchanges buffers through a memory that it exports: wiring, initialisation, and calls.
//
// A call is several calls of the guest, all on one fuel and deadline: room for each input, the function, and then what
// frees the blocks. The same steps run plainly, or each so that it can be suspended.

import { MortiseError, isMortiseError, printable } from "../../api/errors.ts";
import { writeLine } from "../../api/guest-log.ts";
import { PluginOutput } from "../../api/output.ts";
import { toPromising } from "../../wasm/host-functions.ts";
import type { Meter } from "../../wasm/meter.ts";
import { WASI_MODULE } from "../../wasi/functions.ts";
import type { Wasi } from "../../wasi/wasi.ts";
import type { CallAccess, CallOrigin } from "../call-context.ts";
import { explainFailure, isStackOverflow } from "../guest-failure.ts";
import {
  type ExportedValue,
  type GuestCall,
  type GuestEntry,
  type GuestInstance,
  LOG_LEVELS,
  type PluginState,
  type ProvidedFunctions,
} from "../guest.ts";
import { guestMeter } from "../guest-meter.ts";
import { guestWasi } from "../guest-wasi.ts";
import { HostCalls } from "../host-calls.ts";
import { hasExport, initialisersOf } from "../initialisers.ts";
import type { AllocatorNames } from "./dialect.ts";
import type { LinearGuest } from "./compile.ts";
import { LinearMemory, type Range } from "./memory.ts";
import { splitEnvelope } from "./envelope.ts";
import type { Shape } from "./shapes.ts";

const PAGE = 65_536;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
/** Failures that leave an instance as it should be: the guest returned, or was not entered. */
const INTACT: ReadonlySet<string> = new Set(["MORTISE_RETURN_CODE", "MORTISE_INVALID_INPUT"]);

type Input = string | Uint8Array | undefined;
type GuestFunction = (...values: readonly number[]) => bigint | number | undefined;
type SuspendingFunction = (...values: readonly number[]) => Promise<bigint | number | undefined>;
/** A call of the guest that a driver makes, plainly or through the engine's promise integration. */
type Step = readonly [fn: GuestFunction, ...values: number[]];
type Steps<T> = Generator<Step, T, bigint | number | undefined>;

/** A guest that was wired and initialised. Once poisoned it must be dropped. */
export class LinearInstance implements GuestInstance {
  poisoned = false;
  readonly #guest: LinearGuest;
  readonly #state: PluginState;
  readonly #meter: Meter;
  readonly #memory: LinearMemory;
  readonly #calls: HostCalls;
  readonly #names: AllocatorNames;
  #exports!: WebAssembly.Exports;
  #functions!: { readonly allocate: GuestFunction; readonly free: GuestFunction | undefined; readonly reset: GuestFunction | undefined };
  /** The forms of the instance's functions that can be suspended. */
  readonly #suspending = new Map<GuestFunction, SuspendingFunction>();
  #wasi: Wasi | undefined;
  /** The instance has served a call. */
  #used = false;
  #timeoutMs: number;
  #fuel: number;
  #origin: CallOrigin | undefined;
  #exitCode: number | undefined;
  #fuelUsed = 0;
  /** Units of the running call in instances that were replaced. */
  #fuelBefore = 0;
  #inputBytes = 0;

  private constructor(guest: LinearGuest, state: PluginState, provided: ProvidedFunctions, timeoutMs: number) {
    this.#guest = guest;
    this.#state = state;
    this.#timeoutMs = timeoutMs;
    this.#fuel = state.limits.fuel;
    this.#meter = guestMeter(guest, state, timeoutMs);
    this.#memory = new LinearMemory(state, this.#meter);
    this.#calls = new HostCalls(state, this.#meter, () => this.#access(), provided);
    this.#names = guest.dialect.allocatorOf(guest.main.instrumented.module);
    this.#meter.attach(this.#instantiate());
    this.#meter.grant(this.#meter.begin(this.#fuel, timeoutMs));
    try {
      this.#initialise();
    } catch (error) {
      this.#closeWasi();
      throw this.#failure(error);
    } finally {
      this.#calls.end();
    }
  }

  /** Instantiates a guest and initialises it; see CompiledGuest. */
  static create(guest: LinearGuest, state: PluginState, provided: ProvidedFunctions, timeoutMs: number): LinearInstance {
    return new LinearInstance(guest, state, provided, timeoutMs);
  }

  // ---- wiring

  #instantiate(): WebAssembly.Instance {
    const { instrumented, module } = this.#guest.main;
    let made: WebAssembly.Instance | undefined;
    const imports: Record<string, WebAssembly.ModuleImports> = Object.create(null);
    this.#closeWasi();
    for (const item of instrumented.module.imports) {
      if (item.kind !== "function") continue;
      const type = instrumented.module.types[instrumented.module.functionTypes[item.index] as number];
      const space = (imports[item.module] ??= Object.create(null) as WebAssembly.ModuleImports);
      if (item.module === WASI_MODULE) {
        this.#wasi ??= guestWasi(
          this.#state,
          this.#meter,
          this.#calls,
          () => made,
          (code) => (this.#exitCode = code),
        );
        const work = this.#wasi.functions[item.name];
        if (work !== undefined) space[item.name] = this.#calls.wasi(type, item.module, item.name, work);
      } else {
        const imported = this.#calls.imported(item.module, item.name, type);
        if (imported !== undefined) space[item.name] = imported;
      }
    }
    try {
      made = new WebAssembly.Instance(module, imports);
    } catch (error) {
      // A segment that does not fit traps here; everything else is the engine out of room.
      throw new MortiseError("MORTISE_INSTANCE_FAILED", { plugin: this.#state.name, reason: printable((error as Error).message) }, error);
    }
    this.#exports = made.exports;
    this.#suspending.clear();
    const { allocate, free, reset } = this.#names;
    const named = (name: string | undefined): GuestFunction | undefined => (name === undefined ? undefined : (made?.exports[name] as GuestFunction));
    this.#functions = { allocate: made.exports[allocate] as GuestFunction, free: named(free), reset: named(reset) };
    this.#memory.attach(made.exports["memory"] as WebAssembly.Memory);
    this.#used = false;
    return made;
  }

  /** Start function and initialisers, then the interface's own configuration. */
  #initialise(): void {
    const { instrumented } = this.#guest.main;
    const run = (name: string, exported: string, values: readonly number[]): void => {
      const target = this.#exports[exported];
      if (typeof target !== "function") return;
      this.#begin(name, undefined, undefined);
      (target as (...args: readonly number[]) => void)(...values);
    };
    this.#meter.startClock();
    run("start", instrumented.hiddenName("start"), []);
    const initialisers = initialisersOf(instrumented.module);
    for (const { name, values } of initialisers) run(name, name, values);
    if (initialisers.length === 0 && hasExport(instrumented.module, "_start", 0)) this.#runProgram();
    const { configure } = this.#guest.dialect;
    const entry = configure === undefined ? undefined : this.#guest.entries.get(configure);
    if (entry === undefined) return;
    this.#begin(entry.name, undefined, undefined);
    drive(this.#enter(entry, this.#parts(entry, this.#shapeOf(entry), this.#state.configJson)));
  }

  /** A program whose main function prepares the library that it is; its end is not the instance's. */
  #runProgram(): void {
    this.#begin("_start", undefined, undefined);
    try {
      (this.#exports["_start"] as () => void)();
    } catch (error) {
      if (this.#exitCode !== 0) throw error;
      this.#exitCode = undefined;
      this.#goOn();
    }
  }

  /** Another instance in place of this one, on what is left of the running call's fuel and time. */
  #renew(fn: string): void {
    const origin = this.#origin;
    const { suspendable } = this.#meter;
    const { context } = this.#calls;
    const { poisoned } = this;
    // Until it is initialised it must not serve a call, whatever comes of this one.
    this.poisoned = true;
    this.#goOn(() => this.#meter.attach(this.#instantiate()));
    // What serves the call is not at hand for initialisers, nor their context for the call.
    this.#calls.end();
    this.#initialise();
    this.#calls.end();
    this.#begin(fn, context, origin);
    this.#meter.suspendable = suspendable;
    this.poisoned = poisoned;
  }

  /** A new period of the meter on what is left of fuel and time, after a stop or with another instance. */
  #goOn(change?: () => void): void {
    const left = this.#meter.timeLeftMs;
    this.#fuelBefore += this.#meter.fuelUsed;
    change?.();
    this.#meter.grant(this.#meter.begin(Math.max(this.#fuel - this.#fuelBefore, 0), left));
  }

  // ---- calls

  call(entry: GuestEntry, call: GuestCall): PluginOutput {
    const { input } = call;
    this.#prepare(entry, call);
    try {
      return this.#finish(entry, this.#runPlainly(entry, input) ?? drive(this.#steps(entry, input)));
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.#fuelUsed = this.#fuelBefore + this.#meter.fuelUsed;
      this.#calls.end();
    }
  }

  async callSuspending(entry: GuestEntry, call: GuestCall): Promise<PluginOutput> {
    this.#prepare(entry, call);
    this.#meter.suspendable = true;
    try {
      const steps = this.#steps(entry, call.input);
      let { value, done } = steps.next();
      while (done !== true) {
        const [fn, ...values] = value as Step;
        const result = await this.#promising(fn)(...values);
        // The call may have been stopped while nothing of the guest ran.
        if (this.#calls.failure !== undefined) throw this.#calls.failure;
        ({ value, done } = steps.next(result));
      }
      return this.#finish(entry, value as Uint8Array<ArrayBuffer>);
    } catch (error) {
      throw this.#failure(error);
    } finally {
      this.#fuelUsed = this.#fuelBefore + this.#meter.fuelUsed;
      this.#calls.end();
      this.#meter.forgetPromise();
    }
  }

  #promising(fn: GuestFunction): SuspendingFunction {
    let suspending = this.#suspending.get(fn);
    if (suspending === undefined) {
      suspending = toPromising(fn as (...values: readonly number[]) => number);
      this.#suspending.set(fn, suspending);
    }
    return suspending;
  }

  #prepare(entry: GuestEntry, call: GuestCall): void {
    const { context, timeoutMs, statedMs, fuel } = call;
    this.#begin(entry.name, context, call);
    this.#timeoutMs = statedMs;
    this.#calls.statedMs = statedMs;
    this.#fuelUsed = 0;
    this.#fuelBefore = 0;
    this.#inputBytes = 0;
    this.#fuel = Math.min(this.#state.limits.fuel, fuel);
    this.#meter.grant(this.#meter.begin(this.#fuel, timeoutMs));
  }

  #begin(fn: string, context: unknown, origin: CallOrigin | undefined): void {
    this.#memory.function = fn;
    this.#origin = origin;
    this.#calls.begin(fn, context, origin);
    this.#wasi?.beginCall();
  }

  /**
   * The usual call without the detour of {@link #steps}: one buffer, an instance that can be used, an allocator that has
   * room. Undefined, before the function was entered, if it is not that.
   */
  #runPlainly(entry: GuestEntry, input: Input): Uint8Array<ArrayBuffer> | undefined {
    const shape = this.#shapeOf(entry);
    const { fresh, allocatesNothing } = this.#guest.dialect;
    if (shape.buffers !== 1 || shape.result === "status" || (fresh && this.#used)) return undefined;
    const { allocate, free, reset } = this.#functions;
    const size = input === undefined ? 0 : typeof input === "string" ? Buffer.byteLength(input) : input.length;
    let address = 0;
    if (size > 0 || allocatesNothing) {
      address = Number(allocate(size)) >>> 0;
      if (address === 0 && size > 0) return undefined;
      if (address + size > this.#memory.length) throw this.#badAllocation(address, size, "which lies outside its memory");
      if (input !== undefined) this.#memory.write(address, input, size);
    }
    this.#used = true;
    this.#inputBytes = size;
    const result = (this.#exports[entry.hidden] as GuestFunction)(address, size);
    let output: Uint8Array<ArrayBuffer> = EMPTY;
    if (shape.result === "packed") {
      const block = unpack(result as bigint);
      output = this.#read(block);
      const isInput = block.address >= address && block.address < address + size;
      if (free !== undefined && block.size > 0 && !isInput) free(block.address, block.size);
    }
    if (free !== undefined && address !== 0) free(address, size);
    reset?.();
    return output;
  }

  /** A call, step by step; gives a copy of the output. */
  *#steps(entry: GuestEntry, input: Input): Steps<Uint8Array<ArrayBuffer>> {
    const parts = this.#parts(entry, this.#shapeOf(entry), input);
    if (this.#guest.dialect.fresh && this.#used) this.#renew(entry.name);
    this.#used = true;
    const blocks = yield* this.#place(parts);
    if (blocks !== undefined) return yield* this.#enter(entry, parts, blocks);
    // An allocator that never frees is at its end; the function was not entered, so that nothing happens twice.
    this.#renew(entry.name);
    this.#used = true;
    return yield* this.#enter(entry, parts);
  }

  /** The steps of a call in the present instance. */
  *#enter(entry: GuestEntry, parts: readonly Uint8Array[], placed?: readonly Range[]): Steps<Uint8Array<ArrayBuffer>> {
    const shape = this.#shapeOf(entry);
    const blocks = placed ?? (yield* this.#place(parts));
    if (blocks === undefined) throw this.#badAllocation(0, parts[0]?.length ?? 0, "which is none");
    const given = blocks.flatMap(({ address, size }) => [address, size]);
    const result = yield [this.#exports[entry.hidden] as GuestFunction, ...given];
    if (shape.result === "status" && result !== 0) {
      yield* this.#release(blocks, undefined);
      throw new MortiseError("MORTISE_RETURN_CODE", { plugin: this.#state.name, function: entry.name, returnCode: Number(result) });
    }
    let output: Uint8Array<ArrayBuffer> = EMPTY;
    let block: Range | undefined;
    if (shape.result === "packed") {
      block = unpack(result as bigint);
      output = this.#read(block);
    }
    yield* this.#release(blocks, block);
    return output;
  }

  #shapeOf({ index }: GuestEntry): Shape {
    return this.#guest.shapes[index] as Shape;
  }

  /** The buffers that a function takes, as bytes: one, none, or the parts of one JSON object. */
  #parts(entry: GuestEntry, shape: Shape, input: Input): Uint8Array[] {
    if (shape.buffers === 0) return [];
    const keys = this.#guest.dialect.parts[shape.buffers * 2]?.(entry.name);
    if (keys === undefined) return [input === undefined ? EMPTY : typeof input === "string" ? encoder.encode(input) : input];
    return splitEnvelope(input, keys, { plugin: this.#state.name, function: entry.name });
  }

  /** Puts buffers where the guest's allocator says; undefined if it has no room. */
  *#place(parts: readonly Uint8Array[]): Steps<Range[] | undefined> {
    const blocks: Range[] = [];
    for (const bytes of parts) {
      const size = bytes.length;
      if (size === 0 && !this.#guest.dialect.allocatesNothing) {
        blocks.push({ address: 0, size });
        continue;
      }
      const block = { address: Number(yield [this.#functions.allocate, size]) >>> 0, size };
      if (block.address === 0 && size > 0) return undefined;
      this.#checkBlock(block, blocks);
      this.#memory.range(block.address, size, "an input").set(bytes);
      blocks.push(block);
    }
    this.#inputBytes = blocks.reduce((sum, { size }) => sum + size, 0);
    return blocks;
  }

  #checkBlock({ address, size }: Range, others: readonly Range[]): void {
    if (address + size > this.#memory.length) throw this.#badAllocation(address, size, "which lies outside its memory");
    if (others.some((other) => address < other.address + other.size && other.address < address + size))
      throw this.#badAllocation(address, size, "where another input is");
  }

  #badAllocation(address: number, size: number, reason: string): MortiseError {
    return new MortiseError("MORTISE_BAD_ALLOCATION", {
      plugin: this.#state.name,
      function: this.#calls.function,
      allocator: this.#names.allocate,
      address: `0x${address.toString(16)}`,
      size,
      reason,
    });
  }

  /** A copy of an output. */
  #read({ address, size }: Range): Uint8Array<ArrayBuffer> {
    if (size === 0) return EMPTY;
    const limit = this.#state.limits.outputBytes;
    const fits = address + size <= this.#memory.length;
    if (fits && size > limit)
      throw new MortiseError("MORTISE_OUTPUT_LIMIT", { plugin: this.#state.name, function: this.#calls.function, size, limit });
    return this.#memory.range(address, size, "an output").slice();
  }

  /** Frees an output, unless it is part of an input, then the inputs; or all at once. */
  *#release(inputs: readonly Range[], output: Range | undefined): Steps<void> {
    const { free: fn, reset } = this.#functions;
    if (fn !== undefined) {
      const isInput = (block: Range): boolean => inputs.some(({ address, size }) => block.address >= address && block.address < address + size);
      if (output !== undefined && output.size > 0 && !isInput(output)) yield [fn, output.address, output.size];
      for (const { address, size } of inputs) if (address !== 0) yield [fn, address, size];
    }
    if (reset !== undefined) yield [reset];
  }

  #finish(entry: GuestEntry, output: Uint8Array<ArrayBuffer>): PluginOutput {
    if (this.#meter.lostCount) throw new MortiseError("MORTISE_STACK_OVERFLOW", { plugin: this.#state.name, function: entry.name });
    if (this.#calls.failure !== undefined) throw this.#calls.failure;
    return new PluginOutput(output, this.#state.name, entry.name, output.length > 0);
  }

  /** What ended a call, as an error; unless the guest itself returned, or was not entered, its instance is not entered again. */
  #failure(error: unknown): MortiseError {
    const intact = isMortiseError(error) && INTACT.has(error.code) && this.#meter.stopped === undefined;
    if (!intact) this.poisoned = true;
    this.#wasi?.cancel();
    const { function: fn, failure } = this.#calls;
    if (this.#exitCode !== undefined && failure === undefined && this.#meter.stopped === "host") {
      return new MortiseError("MORTISE_EXIT", { plugin: this.#state.name, function: fn, exitCode: this.#exitCode });
    }
    return explainFailure(error, {
      plugin: this.#state.name,
      function: fn,
      limits: this.#state.limits,
      timeoutMs: this.#timeoutMs,
      fuel: this.#fuel,
      modules: this.#guest.modules,
      meter: this.#meter,
      hostFailure: failure,
    });
  }

  stop(error: MortiseError): void {
    this.poisoned = true;
    this.#calls.keepFailure(error);
    this.#calls.end();
  }

  dispose(): void {
    this.#cleanUp();
    this.#closeWasi();
  }

  /** What fails here concerns nobody any more: the instance is dropped. */
  #cleanUp(): void {
    const { cleanUp } = this.#guest.dialect;
    const entry = cleanUp === undefined ? undefined : this.#guest.entries.get(cleanUp);
    if (entry === undefined || this.poisoned) return;
    this.poisoned = true;
    try {
      const { initTimeoutMs: timeoutMs, fuel } = this.#state.limits;
      this.call(entry, { input: undefined, context: undefined, timeoutMs, statedMs: timeoutMs, fuel, caller: undefined });
    } catch (error) {
      const { logger, name } = this.#state;
      if (logger !== undefined) writeLine(logger, "warn", `cleanup of plugin "${name}" failed: ${(error as Error).message}`);
    }
  }

  #closeWasi(): void {
    this.#wasi?.close();
    this.#wasi = undefined;
  }

  exportedValue(name: string): ExportedValue | undefined {
    const { module } = this.#guest.main.instrumented;
    const exported = module.exports.some((item) => item.name === name && item.kind !== "function");
    return exported ? (this.#exports[name] as ExportedValue) : undefined;
  }

  get heldThread(): boolean {
    return this.#meter.heldThread;
  }

  takeHeldMs(): number {
    return this.#meter.takeHeldMs();
  }

  get inputBytes(): number {
    return this.#inputBytes;
  }

  get fuelUsed(): number {
    return this.#fuelUsed;
  }

  get memoryBytes(): number {
    return (this.#guest.initialPages + this.#meter.pagesGrown) * PAGE;
  }

  // ---- what host functions may do

  #access(): CallAccess {
    const memory = this.#memory;
    const state = this.#state;
    const unsupported = (): never => {
      throw new MortiseError("MORTISE_HOST_FUNCTION", {
        plugin: state.name,
        function: this.#calls.function,
        module: this.#guest.abi,
        name: "context",
        reason: "plugins of this interface have no variables, and no error message but their own output",
      });
    };
    return {
      plugin: state.name,
      function: this.#calls.function,
      logLevel: LOG_LEVELS[state.logLevel] ?? "info",
      signal: () => this.#calls.signal,
      owner: state,
      timeLeftMs: () => this.#meter.timeLeftMs,
      fuelLeft: () => this.#meter.fuelLeft,
      charge: (units) => this.#meter.charge(units),
      read: (address, length) => memory.range(address, length ?? Number.NaN, "what a host function reads").slice(),
      borrow: (address, length) => memory.range(address, length ?? Number.NaN, "what a host function reads"),
      readText: (address, length) => memory.text(address, length ?? Number.NaN, "what a host function reads"),
      write: (address, data) => memory.range(address, data.length, "what a host function writes").set(data),
      store: (data) => this.#store(typeof data === "string" ? encoder.encode(data) : data),
      length: () => 0,
      alloc: (size) => BigInt(this.#allocate(size)),
      free: (address) => {
        const { free } = this.#functions;
        if (free !== undefined) this.#meter.enterNested(() => free(Number(address), 0));
      },
      setError: unsupported,
      getVariable: unsupported,
      setVariable: unsupported,
    };
  }

  #store(data: Uint8Array): bigint {
    if (data.length === 0) return 0n;
    const address = this.#allocate(data.length);
    this.#memory.range(address, data.length, "what a host function stores").set(data);
    return BigInt(address);
  }

  /** What the allocator does wrong is not the fault of the host function that needs it. */
  #nested<T>(work: () => T, size: number): T {
    try {
      return work();
    } catch (error) {
      if (this.#meter.stopped !== undefined || isStackOverflow(error)) throw error;
      throw this.#badAllocation(0, size, "for it trapped");
    }
  }

  /** A block that the guest's own allocator makes, while the guest waits for a host function. */
  #allocate(size: number): number {
    if (size <= 0) return 0;
    const { allocate } = this.#functions;
    const address = Number(this.#meter.enterNested(() => this.#nested(() => allocate(size), size))) >>> 0;
    if (address === 0) throw this.#badAllocation(0, size, "which is none");
    this.#checkBlock({ address, size }, []);
    return address;
  }
}

/** Runs the steps of a call one after the other. */
function drive<T>(steps: Steps<T>): T {
  for (let step = steps.next(); ;) {
    if (step.done === true) return step.value;
    const [fn, ...values] = step.value;
    step = steps.next(fn(...values));
  }
}

/** Address and length, each unsigned, as a guest packs them. */
function unpack(packed: bigint): Range {
  const bits = BigInt.asUintN(64, packed);
  return { address: Number(bits >> 32n), size: Number(bits & 0xffff_ffffn) };
}
