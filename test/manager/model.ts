// The manager against a model of it: random sequences of commands, with loads and calls under way meanwhile. Used by the test
// and, at length, by the soak.

import assert from "node:assert/strict";
import { subscribe, unsubscribe } from "node:diagnostics_channel";

import * as fc from "fast-check";

import { CHANNELS, type LifecycleEvent } from "../../src/api/channels.ts";
import { type ErrorCode, MortiseError, isMortiseError } from "../../src/api/errors.ts";
import { RequestContext } from "../../src/api/request.ts";
import { hook } from "../../src/hooks/definition.ts";
import { type FirstFunction, hookFunctions } from "../../src/hooks/host-hooks.ts";
import { Roster } from "../../src/hooks/roster.ts";
import { resolveHostLimits } from "../../src/manager/host-limits.ts";
import { HostPlugins } from "../../src/manager/host-plugins.ts";
import { TRANSITIONS, type VersionState } from "../../src/manager/state.ts";
import { FakePlugin, type Mode } from "./fake-plugin.ts";

const NAMES = ["a", "b", "c"] as const;
type Name = (typeof NAMES)[number];
const KEEP = 1;
const BREAKER = { failures: 3, windowMs: Number.MAX_SAFE_INTEGER, share: 0, openMs: 100, probes: 1 };
/** Plugin c needs a. */
const NEEDS: Readonly<Partial<Record<Name, Name>>> = { c: "a" };

interface ModelVersion {
  readonly label: string;
  state: VersionState;
  failures: number;
  epoch: number;
  openedAt: number;
  probing: boolean;
}

interface Loading {
  readonly good: boolean;
  readonly stages: boolean;
  readonly result: Promise<unknown>;
}

/** What the model knows of a plugin that is loaded. */
interface ModelPlugin {
  readonly generation: number;
  enabled: boolean;
  readonly versions: Map<string, ModelVersion>;
  served: string[];
  shares: string[];
  count: number;
  readonly loading: Loading[];
}

interface Held {
  readonly plugin: FakePlugin;
  readonly version: ModelVersion;
  readonly epoch: number;
  readonly result: Promise<unknown>;
}

interface Model {
  readonly plugins: Map<Name, ModelPlugin>;
  readonly held: Held[];
}

/** A load that waits for the test. */
interface PendingLoad {
  readonly finish: (good: boolean) => void;
}

class Real {
  readonly plugins: HostPlugins;
  readonly hooks: Readonly<Record<Name, FirstFunction<unknown, unknown>>>;
  readonly fakes: FakePlugin[] = [];
  readonly pending = new Map<string, PendingLoad>();
  /** State of every version as published, by plugin, generation and name. */
  readonly #states = new Map<string, VersionState>();
  now = 0;
  /** Commands that were run. */
  commands = 0;
  generation = 0;
  requests = 0;

  constructor() {
    const definitions = Object.fromEntries(NAMES.map((name) => [name, hook.first<unknown, unknown>({ name: `check_${name}` })]));
    const roster = new Roster(definitions);
    const clock = (): number => this.now;
    this.plugins = new HostPlugins(roster, {
      definitions,
      defaults: {},
      limits: resolveHostLimits({ versions: KEEP }),
      clock,
      logger: undefined,
      load: async (source, { name = "", version = "" }) => {
        const good = source === "now" ? true : await this.#finished(`${name}/${version}`);
        if (!good) throw new MortiseError("MORTISE_WASM_MALFORMED", { source: name, reason: "it is broken", offset: 0 });
        const fake = new FakePlugin(name, version, `${name}/${version}`);
        this.fakes.push(fake);
        return fake.plugin;
      },
    });
    this.hooks = hookFunctions(definitions, roster, { clock, closed: () => false, onFailure: undefined }) as unknown as typeof this.hooks;
  }

  #finished(key: string): Promise<boolean> {
    return new Promise((resolve) => this.pending.set(key, { finish: resolve }));
  }

  /** Every change follows the last one, and is one of the table's. */
  readonly listen = (message: unknown): void => {
    const { plugin, version, from, to } = message as LifecycleEvent;
    const key = `${plugin}/${version}`;
    const last = this.#states.get(key);
    if (from === undefined) {
      assert.ok(
        last === undefined || last === "failed" || TRANSITIONS[last].length === 0 || last === "draining",
        `${key} begins again while ${last}`,
      );
    } else {
      // A name that is loaded again while its last version still drains has two of that name for a while.
      if (!(to === "unloaded" && last !== "draining")) assert.equal(from, last, key);
      assert.ok(TRANSITIONS[from].includes(to), `${key}: ${from} → ${to}`);
    }
    if (!(to === "unloaded" && last !== "draining")) this.#states.set(key, to);
  };
}

/** Lets everything happen that does not wait for the test. */
const settle = (): Promise<void> => new Promise(setImmediate);

async function codeOf(work: () => unknown): Promise<ErrorCode | "ok"> {
  try {
    await work();
    return "ok";
  } catch (error) {
    if (isMortiseError(error)) return error.code;
    throw error;
  }
}

// ---- what the model says

const dependents = (model: Model, name: Name): boolean => [...model.plugins.keys()].some((other) => NEEDS[other] === name);

function newVersion(label: string): ModelVersion {
  return { label, state: "ready", failures: 0, epoch: 0, openedAt: 0, probing: false };
}

function serve(plugin: ModelPlugin, labels: readonly string[], keep: number): void {
  const fresh = labels.filter((label) => !plugin.shares.includes(label));
  plugin.served = [...plugin.served.filter((label) => !fresh.includes(label)), ...fresh];
  plugin.shares = [...labels];
  const resting = plugin.served.filter((label) => !labels.includes(label));
  for (const label of resting.slice(0, Math.max(0, resting.length - keep))) leave(plugin, label);
}

function leave(plugin: ModelPlugin, label: string): void {
  const version = plugin.versions.get(label);
  if (version !== undefined) version.state = "draining";
  plugin.versions.delete(label);
  plugin.served = plugin.served.filter((each) => each !== label);
}

function ended(version: ModelVersion, epoch: number, failed: boolean, now: number): void {
  if (epoch !== version.epoch) return;
  if (version.state === "half-open") {
    version.probing = false;
    version.epoch++;
    version.state = failed ? "open" : "ready";
    if (failed) version.openedAt = now;
    else version.failures = 0;
  } else if ((version.state === "ready" || version.state === "degraded") && failed) {
    version.failures = Math.min(version.failures + 1, BREAKER.failures);
    if (version.failures < BREAKER.failures) version.state = version.failures * 2 >= BREAKER.failures ? "degraded" : "ready";
    else {
      version.state = "open";
      version.epoch++;
      version.openedAt = now;
    }
  }
}

/** Whether a version lets a call in. */
function enters(version: ModelVersion, now: number): boolean {
  if (version.state === "open") {
    if (now - version.openedAt < BREAKER.openMs) return false;
    version.state = "half-open";
    version.epoch++;
    version.probing = true;
    return true;
  }
  if (version.state !== "half-open") return true;
  if (version.probing) return false;
  version.probing = true;
  return true;
}

/** The real thing is what the model says. */
function compare(model: Model, real: Real): void {
  assert.deepEqual(
    real.plugins.list().map(({ name }) => name),
    [...model.plugins.keys()].toSorted(),
  );
  for (const [name, plugin] of model.plugins) {
    const { versions, enabled } = real.plugins.describe(name);
    assert.equal(enabled, plugin.enabled);
    assert.deepEqual(
      Object.fromEntries(versions.map(({ version, state, percent }) => [version, [state, percent > 0]])),
      Object.fromEntries(Array.from(plugin.versions.values(), ({ label, state }) => [label, [state, plugin.shares.includes(label)]])),
      name,
    );
    assert.deepEqual(real.hooks[name].plugins, plugin.enabled ? [name] : []);
  }
  for (const { running, closed, label } of real.fakes) if (closed && running > 0) assert.fail(`${label} was closed with calls under way`);
}

// ---- commands

type ModelCommand = fc.AsyncCommand<Model, Real, true>;

/** A command with what it does; afterwards everything is compared. */
function command(text: string, check: (model: Model) => boolean, run: (model: Model, real: Real) => Promise<void>): ModelCommand {
  return {
    check: async (model) => check(model),
    async run(model, real) {
      real.commands++;
      await run(model, real);
      await settle();
      compare(model, real);
    },
    toString: () => text,
  };
}

const always = (): boolean => true;

const load = (name: Name): ModelCommand =>
  command(`load ${name}`, always, async (model, real) => {
    const needed = NEEDS[name];
    const expected = model.plugins.has(name)
      ? "MORTISE_PLUGIN_EXISTS"
      : needed !== undefined && !model.plugins.has(needed)
        ? "MORTISE_DEPENDENCY_MISSING"
        : "ok";
    const options = { name, breaker: BREAKER, dependsOn: needed === undefined ? [] : [needed] };
    assert.equal(await codeOf(() => real.plugins.load("now", options)), expected);
    if (expected !== "ok") return;
    const generation = ++real.generation;
    model.plugins.set(name, {
      generation,
      enabled: true,
      versions: new Map([["1", newVersion("1")]]),
      served: ["1"],
      shares: ["1"],
      count: 1,
      loading: [],
    });
  });

/** Begins to load a further version; {@link finish} ends it. */
const begin = (name: Name, good: boolean, stages: boolean): ModelCommand =>
  command(
    `${stages ? "stage" : "reload"} ${name} ${good ? "" : "(broken)"}`,
    (model) => model.plugins.has(name),
    async (model, real) => {
      const plugin = model.plugins.get(name) as ModelPlugin;
      const result = stages ? real.plugins.stage(name, "later") : real.plugins.reload(name, "later");
      result.catch(() => {}); // looked at when it is finished
      plugin.loading.push({ good, stages, result });
      if (plugin.loading.length === 1) nextLabel(plugin);
    },
  );

function nextLabel(plugin: ModelPlugin): void {
  do plugin.count++;
  while (plugin.versions.has(String(plugin.count)));
}

const finish = (name: Name): ModelCommand =>
  command(
    `finish ${name}`,
    (model) => (model.plugins.get(name)?.loading.length ?? 0) > 0,
    async (model, real) => {
      const plugin = model.plugins.get(name) as ModelPlugin;
      const { good, stages, result } = plugin.loading.shift() as Loading;
      const label = String(plugin.count);
      real.pending.get(`${name}/${label}`)?.finish(good);
      assert.equal(await codeOf(() => result), good ? "ok" : "MORTISE_WASM_MALFORMED");
      if (good) {
        plugin.versions.set(label, newVersion(label));
        if (!stages) serve(plugin, [label], KEEP);
      }
      if (plugin.loading.length > 0) nextLabel(plugin);
    },
  );

const split = (name: Name, picks: readonly number[]): ModelCommand =>
  command(
    `split ${name} ${picks.join()}`,
    (model) => model.plugins.has(name),
    async (model, real) => {
      const plugin = model.plugins.get(name) as ModelPlugin;
      const all = [...plugin.versions.keys()];
      const chosen = [...new Set(picks.map((pick) => all[pick % all.length] as string))].toSorted((a, b) => Number(a) - Number(b));
      const percent = 100 / chosen.length;
      real.plugins.split(name, Object.fromEntries(chosen.map((label) => [label, percent])));
      serve(plugin, chosen, KEEP);
    },
  );

const rollback = (name: Name): ModelCommand =>
  command(
    `rollback ${name}`,
    (model) => model.plugins.has(name),
    async (model, real) => {
      const plugin = model.plugins.get(name) as ModelPlugin;
      const last = plugin.served.findLastIndex((label) => plugin.shares.includes(label));
      const back = plugin.served[last - 1];
      assert.equal(await codeOf(() => real.plugins.rollback(name)), back === undefined ? "MORTISE_NO_EARLIER_VERSION" : "ok");
      if (back === undefined) return;
      for (const label of plugin.shares) if (label !== back) leave(plugin, label);
      plugin.shares = [back];
    },
  );

const able = (name: Name, enabled: boolean): ModelCommand =>
  command(`${enabled ? "enable" : "disable"} ${name}`, always, async (model, real) => {
    const plugin = model.plugins.get(name);
    const code = plugin === undefined ? "MORTISE_UNKNOWN_PLUGIN" : !enabled && dependents(model, name) ? "MORTISE_PLUGIN_NEEDED" : "ok";
    assert.equal(await codeOf(() => (enabled ? real.plugins.enable(name) : real.plugins.disable(name))), code);
    if (plugin !== undefined && code === "ok") plugin.enabled = enabled;
  });

const unload = (name: Name): ModelCommand =>
  command(`unload ${name}`, always, async (model, real) => {
    const plugin = model.plugins.get(name);
    const code = plugin === undefined ? "MORTISE_UNKNOWN_PLUGIN" : dependents(model, name) ? "MORTISE_PLUGIN_NEEDED" : "ok";
    const unloaded = codeOf(() => real.plugins.unload(name));
    if (plugin === undefined || code !== "ok") {
      assert.equal(await unloaded, code);
      return;
    }
    model.plugins.delete(name);
    for (const label of Array.from(plugin.versions.keys())) leave(plugin, label);
    for (const { result } of plugin.loading) {
      real.pending.get(`${name}/${plugin.count}`)?.finish(true);
      assert.equal(await codeOf(() => result), "MORTISE_UNKNOWN_PLUGIN");
    }
  });

/** Runs the hook of a plugin: it is answered by a version that serves, or by nobody. */
const call = (name: Name, mode: Mode): ModelCommand =>
  command(`call ${name} (${mode})`, always, async (model, real) => {
    const plugin = model.plugins.get(name);
    const before = new Map(real.fakes.map((fake) => [fake, fake.calls]));
    for (const fake of real.fakes) fake.mode = mode;
    const request = new RequestContext({ id: `request ${real.requests++}` });
    const result = real.hooks[name](1, { request });
    const outcome = result.catch((error: unknown) => error);
    const called = real.fakes.filter((fake) => fake.calls > (before.get(fake) ?? 0));
    if (plugin?.enabled !== true) {
      assert.deepEqual([await outcome, called], [undefined, []]);
      return;
    }
    assert.ok(called.length <= 1, "it is called once");
    const [fake] = called;
    if (fake === undefined) return assertSuspended(await outcome, plugin, real.now);
    assert.ok(plugin.shares.includes(fake.version), `${fake.label} serves, but ${plugin.shares.join()} should`);
    const version = plugin.versions.get(fake.version) as ModelVersion;
    assert.ok(enters(version, real.now), `${fake.label} is ${version.state}, but was called`);
    if (mode === "hold") {
      model.held.push({ plugin: fake, version, epoch: version.epoch, result });
      return;
    }
    const ending = await outcome;
    if (mode === "answer") assert.equal(ending, fake.label);
    else assert.equal(isMortiseError(ending) ? ending.details["code"] : ending, "MORTISE_TRAP");
    ended(version, version.epoch, mode === "trap", real.now);
  });

function assertSuspended(ending: unknown, plugin: ModelPlugin, now: number): void {
  assert.ok(isMortiseError(ending) && isMortiseError(ending.cause), String(ending));
  const { code, details } = ending.cause;
  assert.equal(code, "MORTISE_PLUGIN_SUSPENDED");
  const label = String(details["version"]);
  assert.ok(plugin.shares.includes(label), label);
  assert.equal(enters(plugin.versions.get(label) as ModelVersion, now), false, `version ${label} could be called`);
}

/** Ends the call that has been under way for longest: with the version that it began with. */
const release = (): ModelCommand =>
  command(
    "release",
    (model) => model.held.length > 0,
    async (model, real) => {
      const { plugin, version, epoch, result } = model.held.shift() as Held;
      plugin.release();
      assert.equal(await result, plugin.label);
      ended(version, epoch, false, real.now);
    },
  );

const wait = (): ModelCommand =>
  command("wait", always, async (_model, real) => {
    real.now += 60;
  });

const name = fc.constantFrom(...NAMES);
const COMMANDS = [
  name.map(load),
  name.map(load),
  fc.tuple(name, fc.boolean(), fc.boolean()).map(([who, good, stages]) => begin(who, good, stages)),
  fc.tuple(name, fc.boolean()).map(([who, good]) => begin(who, good, false)),
  name.map(finish),
  name.map(finish),
  fc.tuple(name, fc.array(fc.nat(5), { minLength: 1, maxLength: 3 })).map(([who, picks]) => split(who, picks)),
  name.map(rollback),
  fc.tuple(name, fc.boolean()).map(([who, enabled]) => able(who, enabled)),
  name.map(unload),
  fc.tuple(name, fc.constantFrom<Mode>("answer", "trap", "trap", "hold")).map(([who, mode]) => call(who, mode)),
  fc.tuple(name, fc.constantFrom<Mode>("answer", "trap", "hold")).map(([who, mode]) => call(who, mode)),
  fc.constant(release()),
  fc.constant(release()),
  fc.constant(wait()),
];

/**
 * Runs random sequences of commands; throws for the first that the manager does not do as the model says, with the
 * shortest sequence that shows it.
 *
 * @returns how many commands were run
 */
export async function runModel(sequences: number, seed: number, maxCommands: number = 30): Promise<number> {
  let count = 0;
  await fc.assert(
    fc.asyncProperty(fc.commands(COMMANDS, { maxCommands, size: "max" }), async (commands) => {
      const real = new Real();
      const model: Model = { plugins: new Map(), held: [] };
      subscribe(CHANNELS.lifecycle, real.listen);
      try {
        await fc.asyncModelRun(() => ({ model, real }), commands);
        await end(model, real);
        count += real.commands;
      } finally {
        unsubscribe(CHANNELS.lifecycle, real.listen);
      }
    }),
    { numRuns: sequences, seed },
  );
  return count;
}

/** Closes the host while calls and loads are under way: calls end well, loads are refused, nothing is left. */
async function end(model: Model, real: Real): Promise<void> {
  const closing = real.plugins.close();
  for (const [, plugin] of model.plugins)
    for (const { result } of plugin.loading) {
      for (const { finish: go } of real.pending.values()) go(true);
      assert.equal(await codeOf(() => result), "MORTISE_HOST_CLOSED");
    }
  for (const { plugin, result } of model.held) {
    plugin.release();
    assert.equal(await result, plugin.label);
  }
  await closing;
  await settle();
  for (const { closed, running, label } of real.fakes) assert.deepEqual([label, closed, running], [label, true, 0]);
}
