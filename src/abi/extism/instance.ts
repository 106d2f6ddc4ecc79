// One instance of an Extism plugin: wiring, initialisation, and calls.

import { MortiseError, printable } from "../../api/errors.ts";
import { PluginOutput } from "../../api/output.ts";
import { toPromising } from "../../wasm/host-functions.ts";
import type { Meter } from "../../wasm/meter.ts";
import type { TypeDefinition } from "../../wasm/module-reader.ts";
import { WASI_MODULE } from "../../wasi/functions.ts";
import type { Wasi } from "../../wasi/wasi.ts";
import {
  type CompiledGuest,
  type CompiledModule,
  type ExportedValue,
  type GuestCall,
  type GuestEntry,
  type GuestInstance,
  LOG_LEVELS,
  type PluginState,
} from "../guest.ts";
import type { CallAccess, CallOrigin } from "../call-context.ts";
import { ENVIRONMENT, Environment } from "./environment.ts";
import { explainFailure } from "../guest-failure.ts";
import { guestMeter } from "../guest-meter.ts";
import { guestWasi } from "../guest-wasi.ts";
import { initialisersOf } from "../initialisers.ts";
import { ExtismHeap, PAGE } from "./heap.ts";
import { HostCalls, type ImportedFunction } from "../host-calls.ts";
import { CONTROL, ENV } from "./kernel.ts";

/** Return code that the Extism runtime gives a call that trapped. */
const TRAP_CODE = 134;

const encoder = new TextEncoder();
const lossy = new TextDecoder();
const nothing = (): void => {};

type EntryFunction = (inputLength: number, budget: number) => number;
type SuspendingFunction = (inputLength: number, budget: number) => Promise<PluginOutput>;

/** A guest that was wired and initialised. Once poisoned it must be dropped. */
export class ExtismInstance implements GuestInstance {
  poisoned = false;
  readonly #guest: CompiledGuest;
  readonly #state: PluginState;
  readonly #meter: Meter;
  readonly #heap: ExtismHeap;
  readonly #calls: HostCalls;
  readonly #environment: Environment;
  readonly #exports: WebAssembly.Exports;
  readonly #wasis: Wasi[] = [];
  readonly #entries: (EntryFunction | undefined)[] = [];
  readonly #suspending: (SuspendingFunction | undefined)[] = [];
  #timeoutMs: number;
  #fuel: number;
  #exitCode: number | undefined;
  #fuelUsed = 0;
  #inputBytes = 0;

  private constructor(guest: CompiledGuest, state: PluginState, timeoutMs: number) {
    this.#guest = guest;
    this.#state = state;
    this.#timeoutMs = timeoutMs;
    this.#fuel = state.limits.fuel;
    this.#meter = guestMeter(guest, state, timeoutMs);
    this.#calls = new HostCalls(state, this.#meter, () => this.#access());
    const instances = this.#instantiate();
    const main = instances[guest.modules.indexOf(guest.main)] as WebAssembly.Instance;
    this.#exports = main.exports;
    this.#meter.attach(main);
    for (const [index, instance] of instances.entries()) {
      const { instrumented } = guest.modules[index] as CompiledModule;
      if (instance !== main) this.#meter.link(instrumented, instance);
    }
    this.#heap = new ExtismHeap(main.exports, guest.main, this.#meter, state);
    this.#environment = new Environment(state, this.#heap, this.#calls, this.#meter);
    this.#initialise(instances);
  }

  /**
   * Instantiates a guest and runs its start function and initialisers, all under one deadline and fuel.
   *
   * @param timeoutMs milliseconds for that
   * @throws MortiseError MORTISE_INSTANCE_FAILED if the engine has no room, or why the initialisation stopped
   */
  static create(guest: CompiledGuest, state: PluginState, timeoutMs: number): ExtismInstance {
    return new ExtismInstance(guest, state, timeoutMs);
  }

  // ---- wiring

  #instantiate(): WebAssembly.Instance[] {
    const { modules, stubs, links } = this.#guest;
    const made: WebAssembly.Instance[] = [];
    try {
      const stubExports = stubs === undefined ? {} : new WebAssembly.Instance(stubs.module).exports;
      for (const [index, module] of modules.entries()) {
        const imports = this.#imports(module, () => made[index]);
        for (const { importer, item, provider, export: name, kernel, stub } of links) {
          if (importer !== index) continue;
          const space = (imports[item.module] ??= Object.create(null) as WebAssembly.ModuleImports);
          space[item.name] =
            stub === undefined ? this.#exported(made[provider], provider, name, kernel) : (stubExports[stub] as WebAssembly.ImportValue);
        }
        made.push(new WebAssembly.Instance(module.module, imports));
      }
      const table = stubExports["t"] as WebAssembly.Table | undefined;
      for (const [index, { provider, export: name, kernel }] of (stubs?.targets ?? []).entries()) {
        table?.set(index, this.#exported(made[provider], provider, name, kernel));
      }
      return made;
    } catch (error) {
      // A segment that does not fit traps here; everything else is the engine out of room.
      throw new MortiseError("MORTISE_INSTANCE_FAILED", { plugin: this.#state.name, reason: printable((error as Error).message) }, error);
    }
  }

  #exported(instance: WebAssembly.Instance | undefined, provider: number, name: string, kernel: boolean): WebAssembly.ImportValue {
    const { instrumented } = this.#guest.modules[provider] as CompiledModule;
    return instance?.exports[kernel ? instrumented.hiddenName(`enter:env:${name}`) : name] as WebAssembly.ImportValue;
  }

  #imports({ instrumented }: CompiledModule, self: () => WebAssembly.Instance | undefined): WebAssembly.Imports {
    const { module } = instrumented;
    const imports: Record<string, WebAssembly.ModuleImports> = Object.create(null);
    let wasi: Wasi | undefined;
    for (const item of module.imports) {
      if (item.kind !== "function") continue;
      const type = module.types[module.functionTypes[item.index] as number];
      if (item.module === WASI_MODULE) wasi ??= this.#createWasi(self);
      const space = (imports[item.module] ??= Object.create(null) as WebAssembly.ModuleImports);
      space[item.name] = this.#import(item.module, item.name, type, wasi);
    }
    return imports;
  }

  #import(module: string, name: string, type: TypeDefinition | undefined, wasi: Wasi | undefined): ImportedFunction {
    if (module === ENV) {
      const work = ENVIRONMENT[name];
      // The others are built into the guest; their imports are never called.
      if (work === undefined || !Object.hasOwn(ENVIRONMENT, name)) return nothing;
      return this.#calls.builtIn(type, name, (...values) => work(this.#environment, ...values));
    }
    if (module === WASI_MODULE) {
      const work = wasi?.functions[name];
      return work === undefined ? nothing : this.#calls.wasi(type, module, name, work);
    }
    // What another module exports takes this one's place.
    return this.#calls.imported(module, name, type) ?? nothing;
  }

  #createWasi(self: () => WebAssembly.Instance | undefined): Wasi {
    const wasi = guestWasi(this.#state, this.#meter, this.#calls, self, (code) => (this.#exitCode = code));
    this.#wasis.push(wasi);
    return wasi;
  }

  /**
   * Start functions in the order of instantiation; then initialisers, those of main last: `_initialize` and `hs_init`,
   * or constructors, as the Extism runtime orders them.
   */
  #initialise(instances: readonly WebAssembly.Instance[]): void {
    const { modules, main } = this.#guest;
    const run = (name: string, { exports }: WebAssembly.Instance, exportName: string, values: readonly number[]): void => {
      const target = exports[exportName];
      if (typeof target !== "function") return;
      this.#begin(name, undefined, undefined);
      (target as (...args: readonly number[]) => void)(...values);
    };
    this.#meter.grant(this.#meter.begin(this.#state.limits.fuel, this.#timeoutMs));
    this.#meter.startClock();
    try {
      for (const [index, instance] of instances.entries())
        run("start", instance, (modules[index] as CompiledModule).instrumented.hiddenName("start"), []);
      const order = Array.from(modules.keys()).toSorted((a, b) => Number(modules[a] === main) - Number(modules[b] === main));
      for (const index of order) {
        const instance = instances[index] as WebAssembly.Instance;
        const { module } = (modules[index] as CompiledModule).instrumented;
        for (const { name, values } of initialisersOf(module)) run(name, instance, name, values);
      }
    } catch (error) {
      this.dispose();
      throw this.#fail(error);
    } finally {
      this.#calls.end();
      this.#heap.refresh();
    }
  }

  // ---- calls

  call(entry: GuestEntry, call: GuestCall): PluginOutput {
    const granted = this.#prepare(entry, call);
    const run = this.#entries[entry.index] ?? this.#bind(entry);
    let returnCode = 0;
    try {
      returnCode = run(this.#inputBytes, granted);
    } catch (error) {
      // First of all, and without a call: whatever happens from here on, this instance is not entered again.
      this.poisoned = true;
      returnCode = this.#afterStop(error);
    } finally {
      this.#calls.end();
    }
    return this.#finish(entry, returnCode);
  }

  callSuspending(entry: GuestEntry, call: GuestCall): Promise<PluginOutput> {
    const granted = this.#prepare(entry, call);
    const run = this.#suspending[entry.index] ?? this.#bindSuspending(entry);
    this.#meter.suspendable = true;
    return run(this.#inputBytes, granted);
  }

  #returned(entry: GuestEntry, returnCode: number): PluginOutput {
    this.#calls.end();
    try {
      return this.#finish(entry, returnCode);
    } finally {
      this.#meter.forgetPromise();
    }
  }

  #stopped(entry: GuestEntry, error: unknown): PluginOutput {
    this.poisoned = true;
    try {
      return this.#finish(entry, this.#afterStop(error));
    } finally {
      this.#calls.end();
      this.#meter.forgetPromise();
    }
  }

  /** Puts everything in place for a call, and returns the fuel to begin with. */
  #prepare(entry: GuestEntry, call: GuestCall): number {
    this.#begin(entry.name, call.context, call);
    this.#timeoutMs = call.statedMs;
    this.#calls.statedMs = call.statedMs;
    this.#fuelUsed = 0;
    this.#inputBytes = 0;
    this.#inputBytes = this.#heap.writeInput(call.input);
    this.#fuel = Math.min(this.#state.limits.fuel, call.fuel);
    return this.#meter.begin(this.#fuel, call.timeoutMs);
  }

  #begin(fn: string, context: unknown, origin: CallOrigin | undefined): void {
    this.#heap.function = fn;
    this.#calls.begin(fn, context, origin);
    this.#environment.beginCall();
    for (const wasi of this.#wasis) wasi.beginCall();
  }

  #bind(entry: GuestEntry): EntryFunction {
    const run = this.#exports[entry.hidden] as EntryFunction;
    this.#entries[entry.index] = run;
    return run;
  }

  #bindSuspending(entry: GuestEntry): SuspendingFunction {
    const enter = toPromising(this.#exports[entry.hidden] as EntryFunction);
    const returned = (returnCode: number): PluginOutput => this.#returned(entry, returnCode);
    const stopped = (error: unknown): PluginOutput => this.#stopped(entry, error);
    const run: SuspendingFunction = (length, budget) => enter(length, budget).then(returned, stopped);
    this.#suspending[entry.index] = run;
    return run;
  }

  /** After the guest has returned, or was stopped in a way that leaves a result: accounts, and reads it. */
  #finish(entry: GuestEntry, returnCode: number): PluginOutput {
    const heap = this.#heap;
    const { name } = this.#state;
    if (heap.bytes.length === 0) heap.refresh();
    const { control } = heap;
    if (!this.poisoned) this.#fuelUsed = this.#meter.fuelUsedOf(control[CONTROL.budget >> 2] as number);
    if (this.#meter.lostCount) {
      this.poisoned = true;
      throw new MortiseError("MORTISE_STACK_OVERFLOW", { plugin: name, function: entry.name });
    }
    if (entry.once) this.poisoned = true;
    if ((control[CONTROL.error >> 2] as number) !== 0 || (control[(CONTROL.error >> 2) + 1] as number) !== 0) throw this.#guestError(returnCode);
    if (returnCode !== 0) throw new MortiseError("MORTISE_RETURN_CODE", { plugin: name, function: entry.name, returnCode });
    return new PluginOutput(heap.readOutput(), name, entry.name, heap.outputSet);
  }

  stop(error: MortiseError): void {
    this.poisoned = true;
    this.#calls.keepFailure(error);
    // At once, and not when the guest has ended: what the host function goes on to do is done for nobody.
    this.#calls.end();
  }

  dispose(): void {
    for (const wasi of this.#wasis) wasi.close();
  }

  get heldThread(): boolean {
    return this.#meter.heldThread;
  }

  takeHeldMs(): number {
    return this.#meter.takeHeldMs();
  }

  exportedValue(name: string): ExportedValue | undefined {
    const { module } = this.#guest.main.instrumented;
    const exported = module.exports.some((item) => item.name === name && item.kind !== "function");
    return exported ? (this.#exports[name] as ExportedValue) : undefined;
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

  // ---- failures

  #guestError(returnCode: number): MortiseError {
    const heap = this.#heap;
    const address = heap.word(CONTROL.error);
    const length = heap.control[CONTROL.errorLength >> 2] as number;
    if (length === 0) return heap.badPointer("an error message", address, 0n);
    const text = lossy.decode(heap.bytes.subarray(Number(address), Number(address) + Math.min(length, 65_536)));
    return new MortiseError("MORTISE_GUEST_ERROR", {
      plugin: this.#state.name,
      function: heap.function,
      reason: text,
      ...(returnCode === 0 ? {} : { returnCode }),
    });
  }

  /**
   * What a stop inside a call amounts to. A limit is reported as such; an error message that the guest had set comes
   * before its trap or exit; an exit with 0 is a success. Returns the return code of a call that ended well after all.
   */
  #afterStop(error: unknown): number {
    this.#fuelUsed = this.#meter.fuelUsed;
    for (const wasi of this.#wasis) wasi.cancel();
    const failure = this.#fail(error);
    const ended = failure.code === "MORTISE_EXIT";
    if (!ended && failure.code !== "MORTISE_TRAP") throw failure;
    try {
      // The guest was stopped before it left its result where the host reads it.
      (this.#exports[this.#guest.main.instrumented.hiddenName("enter:finish")] as () => void)();
    } catch {
      throw failure;
    }
    const heap = this.#heap;
    heap.refresh();
    if (heap.word(CONTROL.error) !== 0n && heap.control[CONTROL.errorLength >> 2] !== 0) return ended ? (this.#exitCode ?? 0) : TRAP_CODE;
    if (ended && this.#exitCode === 0) return 0;
    throw failure;
  }

  #fail(error: unknown): MortiseError {
    this.poisoned = true;
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

  // ---- what host functions may do

  #access(): CallAccess {
    const heap = this.#heap;
    const state = this.#state;
    const calls = this.#calls;
    return {
      plugin: state.name,
      function: calls.function,
      logLevel: LOG_LEVELS[state.logLevel] ?? "info",
      signal: () => calls.signal,
      owner: state,
      timeLeftMs: () => this.#meter.timeLeftMs,
      fuelLeft: () => this.#meter.fuelLeft,
      charge: (units) => this.#meter.charge(units),
      read: (address, length) => heap.block(address).slice(0, length),
      borrow: (address, length) => (length === undefined ? heap.block(address) : heap.block(address).subarray(0, length)),
      readText: (address, length) => heap.text(address, "a block", length),
      write: (address, data) => heap.write(address, data),
      store: (data) => heap.store(data),
      length: (address) => heap.block(address).length,
      alloc: (size) => BigInt(heap.allocZeros(size)),
      free: (address) => heap.release(address),
      setError: (message) => heap.setError(message),
      getVariable: (name) => state.variables.get(name)?.slice(),
      setVariable: (name, value) =>
        this.#environment.setVariable(
          name,
          typeof value === "string" ? encoder.encode(value) : value === undefined ? undefined : new Uint8Array(value),
        ),
    };
  }
}
