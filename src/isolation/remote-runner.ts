// Runs the calls of a plugin in threads or processes.

import { resolve } from "node:path";

import type { PluginState } from "../abi/guest.ts";
import { type ErrorCode, MortiseError } from "../api/errors.ts";
import { PluginOutput } from "../api/output.ts";
import type { Runner, RunnerCall, RunnerFactory } from "../host/runner.ts";
import { DEFAULT_REMOTE_POOL, type PluginBlueprint, type RemotePool, type ResolvedRemotePool } from "./blueprint.ts";
import { wasiToWire } from "./child-wasi.ts";
import { QuotaLedger, type Share } from "./quota-ledger.ts";
import type { PathGrant } from "../wasi/options.ts";
import type { PlaceConfig, PlaceKind } from "./place.ts";
import { placeConfig } from "./place-config.ts";
import { keepSpare, takePlace, usePlaces } from "./places.ts";
import { type CallOrder, type LoadOrder, SHORT_TEXT, type Section, type WirePathGrant } from "./protocol.ts";
import { Session } from "./session.ts";
import { toWire } from "./wire-values.ts";

/** Makes runners of one plugin in threads or processes. */
export interface RemoteRunners extends RunnerFactory {
  /**
   * A new runner in a place that has the plugin loaded, or in a new one.
   *
   * @param timeoutMs milliseconds for the initialisation; starting a place and loading there are not counted
   * @throws MortiseError what loading and initialising inline would throw, MORTISE_WORKER_LIMIT or MORTISE_ISOLATION_LOST
   */
  create(timeoutMs: number): Promise<Runner>;
  /** Ends all places of the plugin; fulfilled when they are gone. */
  close(): Promise<void>;
}

/** Prepares to run a plugin elsewhere; nothing is started before the first runner is made. */
export function createRemoteRunners(kind: PlaceKind, blueprint: PluginBlueprint, pool: RemotePool = {}): RemoteRunners {
  return new Runners(kind, blueprint, { ...DEFAULT_REMOTE_POOL, ...definedOptions(pool) });
}

function definedOptions(pool: RemotePool): RemotePool {
  return Object.fromEntries(Object.entries(pool).filter(([, value]) => value !== undefined));
}

class Runners implements RemoteRunners {
  readonly #kind: PlaceKind;
  readonly #blueprint: PluginBlueprint;
  readonly #pool: ResolvedRemotePool;
  readonly #config: PlaceConfig;
  readonly #paths: Readonly<Record<string, PathGrant>>;
  readonly #ledger: QuotaLedger;
  /** With what each may add to the granted folders. */
  readonly #sessions = new Map<Session, Share>();
  /** Sessions that are loaded and have no runner. */
  readonly #idle: Session[] = [];
  /** Those that come to be idle: their instances are freed, for which a guest may need its host. */
  readonly #returning = new Set<Promise<void>>();
  readonly #exits = new Set<Promise<void>>();
  readonly #release: () => Promise<void>;
  /** A session that is opened ahead of time, in the place of one that was lost. */
  #replacement: Promise<Session | undefined> | undefined;
  #closed = false;
  #closing: Promise<void> | undefined;

  constructor(kind: PlaceKind, blueprint: PluginBlueprint, pool: ResolvedRemotePool) {
    this.#kind = kind;
    this.#blueprint = blueprint;
    this.#pool = pool;
    this.#config = placeConfig(kind, blueprint, pool);
    this.#paths = absolutePaths(blueprint.paths ?? {});
    this.#ledger = new QuotaLedger(this.#paths, pool.maxInstances);
    this.#release = usePlaces(kind);
  }

  async create(timeoutMs: number): Promise<Runner> {
    const { limits, name } = this.#blueprint.state;
    // The caller's time ran out while it waited: a place would be started for nothing.
    if (timeoutMs <= 0) throw new MortiseError("MORTISE_TIMEOUT", { plugin: name, function: "start", limit: 0 });
    const session = await this.#take();
    try {
      await session.request({
        function: "start",
        context: undefined,
        timeoutMs,
        statedMs: timeoutMs,
        header: { type: "create", timeoutMs: Math.min(timeoutMs, limits.initTimeoutMs, LONG_MS) } as never,
        sections: [],
      });
    } catch (error) {
      if (!session.lost) this.#idle.push(session);
      throw error;
    }
    return new RemoteRunner(session, this.#blueprint.state, (done) => this.#giveBack(done));
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#endAll());
  }

  async #endAll(): Promise<void> {
    this.#closed = true;
    await Promise.all(this.#returning);
    for (const session of this.#sessions.keys()) this.#end(session);
    const released = this.#release();
    await this.#replacement;
    await Promise.all([...this.#exits, released]);
  }

  async #take(): Promise<Session> {
    for (;;) {
      for (let session = this.#idle.pop(); session !== undefined; session = this.#idle.pop()) if (!session.lost) return session;
      const [returning] = this.#returning;
      if (returning === undefined) break;
      await returning;
    }
    const replacement = this.#replacement;
    this.#replacement = undefined;
    return (await replacement) ?? this.#open();
  }

  /** Starts a place and loads the plugin there. */
  async #open(): Promise<Session> {
    const { state } = this.#blueprint;
    if (this.#closed) throw this.#closedError();
    const place = await takePlace(this.#kind, this.#config, state.name, this.#pool.startMs);
    const session = new Session(place, this.#blueprint, { ...this.#pool, heapBytes: this.#config.heapBytes });
    const share = this.#ledger.open();
    this.#sessions.set(session, share);
    const exited = session.exited.then(() => void this.#exits.delete(exited));
    this.#exits.add(exited);
    session.onLost = () => this.#drop(session);
    try {
      if (this.#closed) throw this.#closedError();
      await session.request({
        function: undefined,
        context: undefined,
        timeoutMs: this.#pool.startMs,
        statedMs: this.#pool.startMs,
        header: loadOrder(this.#kind, this.#blueprint, session.functions, this.#paths, share),
        sections: this.#blueprint.modules.map(({ bytes }) => bytes.slice()),
      });
    } catch (error) {
      this.#end(session);
      throw error;
    }
    session.onLost = () => this.#lost(session);
    keepSpare(this.#kind, this.#config, state.name, this.#pool.startMs);
    return session;
  }

  #closedError(): MortiseError {
    const code: ErrorCode = "MORTISE_CLOSED";
    return new MortiseError(code, { plugin: this.#blueprint.state.name, function: "start" });
  }

  #end(session: Session): void {
    session.onLost = undefined;
    session.end();
    this.#drop(session);
  }

  #drop(session: Session): void {
    this.#sessions.get(session)?.end(session.quotas?.map(([bytes, entries]) => ({ bytes, entries })));
    this.#sessions.delete(session);
    const at = this.#idle.indexOf(session);
    if (at >= 0) this.#idle.splice(at, 1);
  }

  /** A place is gone that had served: opens another, so that the next call does not wait for it to start. */
  #lost(session: Session): void {
    this.#drop(session);
    if (this.#closed || this.#idle.length > 0 || this.#replacement !== undefined) return;
    this.#replacement = this.#open().catch(() => undefined);
  }

  #giveBack(session: Session): void {
    if (session.lost) return;
    if (session.busy) {
      // Nobody is there to wait for what it does.
      this.#end(session);
      return;
    }
    const returning = this.#free(session).finally(() => this.#returning.delete(returning));
    this.#returning.add(returning);
  }

  async #free(session: Session): Promise<void> {
    const timeoutMs = Math.min(this.#blueprint.state.limits.initTimeoutMs, LONG_MS);
    try {
      await session.request({ function: "cleanup", context: undefined, timeoutMs, statedMs: timeoutMs, header: { type: "drop" }, sections: [] });
    } catch {
      // Its place is gone, or goes now: what becomes of that is seen there.
    }
    if (!session.lost) this.#idle.push(session);
  }
}

/** Longest time that JSON is given: no deadline is no number there. */
const LONG_MS = 2 ** 40;

function loadOrder(
  kind: PlaceKind,
  { state, abi, modules, http, wasi }: PluginBlueprint,
  functions: LoadOrder["functions"],
  paths: Readonly<Record<string, PathGrant>>,
  { allowances }: Share,
): Omit<LoadOrder, "id"> {
  return {
    type: "load",
    name: state.name,
    abi,
    modules: modules.map(({ name }) => name),
    limits: Object.fromEntries(Object.entries({ ...state.limits, ...WHOLE_TURN }).map(([name, value]) => [name, toWire(value)])),
    config: [...state.config],
    configJson: state.configJson,
    functions,
    ...(state.logger === undefined ? {} : { logLevel: state.logLevel }),
    ...(http === undefined ? {} : { http: { showsHeaders: http.showsHeaders } }),
    gc: kind === "process",
    wasi: wasiToWire(wasi ?? {}),
    paths: Object.fromEntries(Object.entries(paths).map(([path, grant]) => [path, withoutQuota(grant)])),
    allowances: allowances.map(({ bytes, entries }) => [toWire(bytes), entries]),
  };
}

function withoutQuota(grant: PathGrant): WirePathGrant {
  if (typeof grant === "string") return grant;
  const { maxBytes: _maxBytes, ...rest } = grant;
  return rest;
}

/** Nobody else waits for the thread that a guest has for itself, so that it need not give way. */
const WHOLE_TURN = { sliceMs: Number.POSITIVE_INFINITY, cpuShare: 1 };

/** A process does not run in this process's folder. */
function absolutePaths(paths: Readonly<Record<string, PathGrant>>): Record<string, PathGrant> {
  return Object.fromEntries(
    Object.entries(paths).map(([path, grant]) => (path.startsWith("ro:") ? [`ro:${resolve(path.slice(3))}`, grant] : [resolve(path), grant])),
  );
}

class RemoteRunner implements Runner {
  fuelUsed = 0;
  inputBytes = 0;
  memoryBytes = 0;
  readonly #session: Session;
  readonly #state: Pick<PluginState, "name">;
  readonly #giveBack: (session: Session) => void;
  #poisoned = false;
  #disposed = false;

  constructor(session: Session, state: Pick<PluginState, "name">, giveBack: (session: Session) => void) {
    this.#session = session;
    this.#state = state;
    this.#giveBack = giveBack;
    this.memoryBytes = session.takeLast()?.memoryBytes ?? 0;
  }

  async call({ entry, input, context, timeoutMs, statedMs, fuel, caller }: RunnerCall): Promise<PluginOutput> {
    const order: Omit<CallOrder, "id"> = {
      type: "call",
      entry,
      timeoutMs: Math.min(timeoutMs, LONG_MS),
      statedMs: Math.min(statedMs, LONG_MS),
      ...(fuel === Number.POSITIVE_INFINITY ? {} : { fuel }),
    };
    const sections: Section[] = [];
    let header: Omit<CallOrder, "id"> = order;
    if (typeof input === "string" && input.length <= SHORT_TEXT) header = { ...order, text: input };
    else if (input !== undefined) {
      // Always a copy: what is sent is given away.
      sections.push(typeof input === "string" ? encoder.encode(input) : new Uint8Array(input));
      header = { ...order, bytes: true };
    }
    this.fuelUsed = 0;
    this.inputBytes = 0;
    const session = this.#session;
    try {
      const { output } = await session.request({ function: entry, context, origin: { caller }, fuel, timeoutMs, statedMs, header, sections });
      return new PluginOutput(output ?? new Uint8Array(0), this.#state.name, entry);
    } finally {
      const last = session.takeLast();
      this.#poisoned = last?.poisoned !== false;
      this.fuelUsed = last?.fuel ?? 0;
      this.inputBytes = last?.inputBytes ?? 0;
      this.memoryBytes = last?.memoryBytes ?? this.memoryBytes;
    }
  }

  /** True as well once its place is gone, whenever that happens. */
  get poisoned(): boolean {
    return this.#poisoned || this.#session.lost;
  }

  stop(error: MortiseError): void {
    this.#session.stop(error);
  }

  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    this.#giveBack(this.#session);
  }
}

const encoder = new TextEncoder();
