// The plugin in a child: loaded with the core as in any thread, always called synchronously. This file alone knows how.

import { compileGuest } from "../abi/compile.ts";
import type { CompiledGuest, GuestInstance, Logger, PluginState } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import type { ResolvedLimits } from "../api/limits.ts";
import { type PathGrant, resolveWasi } from "../wasi/options.ts";
import type { ChildCalls } from "./child-calls.ts";
import { childWasi } from "./child-wasi.ts";
import type { CallOrder, LoadOrder, Section, WirePathGrant } from "./protocol.ts";
import { VariableMirror } from "./variables.ts";
import { fromWire } from "./wire-values.ts";

/** Milliseconds that stand for no deadline: a guest without one never looks at the clock, and could not be asked to stop. */
const LONG_MS = 2 ** 40;

/** A compiled plugin and, once made, its one instance. */
export class ChildGuest {
  readonly mirror: VariableMirror;
  readonly #guest: CompiledGuest;
  readonly #state: PluginState;
  #instance: GuestInstance | undefined;
  #droppedLogs = 0;

  private constructor(guest: CompiledGuest, state: PluginState) {
    this.#guest = guest;
    this.#state = state;
    this.mirror = new VariableMirror(state);
  }

  /** @throws MortiseError why the plugin cannot be loaded */
  static async load(order: LoadOrder, modules: readonly Section[], calls: ChildCalls, logger: Logger | undefined): Promise<ChildGuest> {
    const limits = Object.fromEntries(Object.entries(order.limits).map(([name, value]) => [name, fromWire(value)])) as unknown as ResolvedLimits;
    const wasi = resolveWasi(childWasi(order.wasi, calls), unlimited(order.paths), {
      allowances: order.allowances.map(([bytes, entries]) => ({ bytes: Number(fromWire(bytes)), entries })),
      block: calls.block,
    });
    const state: PluginState = {
      name: order.name,
      limits,
      config: new Map(order.config),
      configJson: order.configJson,
      variables: new Map(),
      variableBytes: 0,
      logger,
      logLevel: order.logLevel ?? 0,
      hostFunctions: calls.hostFunctions,
      provided: {},
      http: order.http === undefined ? undefined : calls.http(order.http.showsHeaders),
      wasi,
      clock: calls.clock,
      droppedLogs: 0,
    };
    const sources = order.modules.map((name, index) => ({ name, bytes: modules[index] as Section }));
    const guest = await compileGuest(order.abi, sources, {
      plugin: order.name,
      limits,
      hostFunctions: calls.hostFunctions,
      provided: {},
      gc: order.gc ? "allow" : "refuse",
    });
    for (const { instrumented } of guest.modules) calls.learnTypes(instrumented.module);
    const loaded = new ChildGuest(guest, state);
    calls.share(loaded.mirror);
    return loaded;
  }

  /** Replaces the instance. @throws MortiseError why it cannot be made */
  create(timeoutMs: number): void {
    this.drop();
    this.#instance = this.#guest.instantiate(this.#state, Math.min(timeoutMs, LONG_MS));
  }

  /**
   * Calls an export. With HTTP the core suspends the guest for each response, though it is there at once; everything
   * else is synchronous.
   *
   * @throws MortiseError why the call failed
   */
  call(order: CallOrder, input: string | Uint8Array | undefined): Section | Promise<Section> {
    const entry = this.#guest.entries.get(order.entry);
    const instance = this.#instance;
    if (entry === undefined || instance === undefined) {
      throw new MortiseError("MORTISE_INTERNAL", { plugin: this.#state.name, function: order.entry, reason: "a call without an instance" });
    }
    const timeoutMs = Math.min(order.timeoutMs, LONG_MS);
    const call = { input, context: undefined, timeoutMs, statedMs: order.statedMs, fuel: order.fuel ?? Number.POSITIVE_INFINITY, caller: undefined };
    if (this.#state.http === undefined || !entry.waits) return instance.call(entry, call).bytes();
    return instance.callSuspending(entry, call).then((output) => output.bytes());
  }

  drop(): void {
    this.#instance?.dispose();
    this.#instance = undefined;
  }

  get fuelUsed(): number {
    return this.#instance?.fuelUsed ?? 0;
  }

  get inputBytes(): number {
    return this.#instance?.inputBytes ?? 0;
  }

  get memoryBytes(): number {
    return this.#instance?.memoryBytes ?? 0;
  }

  get poisoned(): boolean {
    return this.#instance?.poisoned ?? true;
  }

  /** Bytes and names that were added to each granted folder; undefined without folders. */
  get quotas(): readonly (readonly [bytes: number, entries: number])[] | undefined {
    const folders = this.#state.wasi?.folders ?? [];
    return folders.length === 0 ? undefined : folders.map(({ mount: { quota } }) => [quota.usedBytes, quota.usedEntries]);
  }

  /** Log lines dropped since the last time this was asked. */
  takeDroppedLogs(): number {
    const dropped = this.#state.droppedLogs - this.#droppedLogs;
    this.#droppedLogs = this.#state.droppedLogs;
    return dropped;
  }
}

/** The same folders without quotas of their own: what is allowed is for the host to say. */
function unlimited(paths: Readonly<Record<string, WirePathGrant>>): Record<string, PathGrant> {
  return Object.fromEntries(
    Object.entries(paths).map(([path, grant]) => [
      path,
      { ...(typeof grant === "string" ? { guest: grant } : grant), maxBytes: Number.POSITIVE_INFINITY },
    ]),
  );
}
