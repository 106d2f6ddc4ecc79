// Row 5: from a module's bytes to a plugin that can be called.

import { WASI } from "node:wasi";

import { ExtismInstance } from "../src/abi/extism/instance.ts";
import { extismKernel } from "../src/abi/extism/kernel.ts";
import type { CompiledGuest, PluginState } from "../src/abi/guest.ts";
import { resolveOptions } from "../src/host/options.ts";
import { loadPlugin } from "../src/index.ts";
import { emitModule } from "../src/wasm/emit.ts";
import { Helpers } from "../src/wasm/helpers.ts";
import { Injection } from "../src/wasm/injection.ts";
import { instrument } from "../src/wasm/instrument.ts";
import { resolveWasi } from "../src/wasi/options.ts";
import { readModule } from "../src/wasm/module-reader.ts";
import { planChecks } from "../src/wasm/plan.ts";
import { type ImportedCall, scanBodies } from "../src/wasm/scan.ts";
import { inRounds, ratioOf, spread, timeMs } from "./measure.ts";
import { distinct, guestBytes, withCode } from "./modules.ts";
import { type Result, type Row, type RowOptions, milliseconds, slower } from "./report.ts";
import { runChild } from "./run-child.ts";

const GUEST = "readability.go";
const GOAL = 2;
/** How often the larger module holds every function body: 3.5 MiB altogether. */
const COPIES = 3;

/** Milliseconds that the steps of one load took. */
type Steps = Readonly<Record<string, number>>;

let nonces = 0;

async function load(bytes: Uint8Array): Promise<void> {
  const plugin = await loadPlugin(bytes, { name: GUEST });
  await plugin.close();
}

/** One load, taken apart; imports other than the kernel's are called plainly here, which only the Go module's ten notice. */
async function loadInSteps(bytes: Uint8Array): Promise<Steps> {
  const steps: Record<string, number> = {};
  let last = performance.now();
  const step = (name: string): void => {
    const now = performance.now();
    steps[name] = now - last;
    last = now;
  };
  const module = readModule(bytes, GUEST);
  const injection = new Injection(module, `bench${nonces++}`);
  const helpers = new Helpers(module, injection);
  const standIn = extismKernel(new Set()).install(injection, module);
  const imported = module.imports.map((entry): ImportedCall => standIn(entry) ?? { target: entry.index, cost: 1 });
  step("read");
  const scan = scanBodies(module, { imported, helper: (kind, first, second) => helpers.get(kind, first, second) });
  step("scan");
  const plan = planChecks(module, scan);
  step("plan");
  const emitted = emitModule({ module, scan, plan, injection, imported, keepCustomSections: false });
  step("emit");
  const compiled = await WebAssembly.compile(emitted.bytes);
  step("compile");
  const instrumented = {
    bytes: emitted.bytes,
    module,
    hiddenName: (key: string) => injection.name(key),
    isHidden: () => false,
    originalOffset: () => undefined,
    reaching: () => new Uint8Array(0),
  };
  const main = { name: "main", instrumented, module: compiled, label: "" };
  const guest: CompiledGuest = {
    abi: "extism",
    instantiate: (shared, timeoutMs) => ExtismInstance.create(guest, shared, timeoutMs),
    main,
    modules: [main],
    stubs: undefined,
    entries: new Map(),
    initialPages: 64,
    initialEntries: 1000,
    links: [],
  };
  const state: PluginState = {
    ...resolveOptions({ limits: { timeoutMs: 60_000 } }),
    name: GUEST,
    config: new Map(),
    configJson: "{}",
    provided: {},
    variables: new Map(),
    variableBytes: 0,
    droppedLogs: 0,
    http: undefined,
    wasi: resolveWasi(undefined, undefined),
  };
  guest.instantiate(state, 1000);
  step("instantiate and initialise");
  return steps;
}

/** The same without Mortise: the original module with Node's WASI and an environment that does nothing. */
async function loadBare(bytes: Uint8Array<ArrayBuffer>): Promise<Steps> {
  const began = performance.now();
  const module = await WebAssembly.compile(bytes);
  const compiled = performance.now();
  const wasi = new WASI({ version: "preview1" });
  const environment: Record<string, () => bigint> = {};
  for (const item of WebAssembly.Module.imports(module)) if (item.module === "extism:host/env") environment[item.name] = () => 0n;
  const instance = new WebAssembly.Instance(module, { ...(wasi.getImportObject() as WebAssembly.Imports), "extism:host/env": environment });
  wasi.initialize(instance);
  return { compile: compiled - began, "instantiate and initialise": performance.now() - compiled };
}

/** What one child process measured in its first loads of all. */
interface ColdTimes {
  readonly load: number;
  readonly compile: number;
}

/** Body of the child processes: a load, or a load in steps, by code that no compiler has seen yet. */
export async function coldChild(copies: number, task: string): Promise<ColdTimes | Steps> {
  const bytes = withCode(await guestBytes(GUEST), copies);
  const forLoad = distinct(bytes);
  if (task === "steps") return loadInSteps(forLoad);
  const forCompile = distinct(bytes);
  const compileFirst = task === "compile-first";
  const before = compileFirst ? await timeMs(() => WebAssembly.compile(forCompile)) : 0;
  const first = await timeMs(() => load(forLoad));
  return { load: first, compile: compileFirst ? before : await timeMs(() => WebAssembly.compile(forCompile)) };
}

function stepLines(what: string, ours: readonly Steps[], bare: readonly Steps[]): Result[] {
  const median = (steps: readonly Steps[], name: string): number => (steps.length === 0 ? 0 : spread(steps.map((step) => step[name] ?? 0)).median);
  return Object.keys(ours[0] ?? {}).map((name) => {
    const [mine, theirs] = [median(ours, name), median(bare, name)];
    const against = theirs === 0 ? "" : milliseconds(theirs);
    return {
      what: `${what}: ${name}`,
      ours: milliseconds(mine),
      against,
      value: "",
      numbers: { oursMs: mine, ...(theirs === 0 ? {} : { againstMs: theirs }) },
    };
  });
}

async function warm(what: string, bytes: Uint8Array<ArrayBuffer>, { quick }: RowOptions): Promise<Result[]> {
  const fresh = (work: (bytes: Uint8Array<ArrayBuffer>) => unknown) => async () => {
    const copy = distinct(bytes);
    return 1000 * (await timeMs(() => work(copy)));
  };
  const effort = { rounds: quick ? 5 : 15, slices: 3 };
  const sources = [
    fresh(load),
    fresh((copy) => WebAssembly.compile(copy)),
    fresh((copy) => instrument(copy, { environment: extismKernel(new Set()) })),
  ];
  const samples = await inRounds(sources, effort, (values) => Math.min(...values));
  const [ours, compile, rewrite] = samples as [number[], number[], number[]];
  const ourSteps: Steps[] = [];
  const bareSteps: Steps[] = [];
  for (let round = 0; round < effort.rounds; round++) {
    ourSteps.push(await loadInSteps(distinct(bytes)));
    bareSteps.push(await loadBare(distinct(bytes)));
  }
  return [
    slower(`${what}, warm, against compile alone`, spread(ours), spread(compile), ratioOf(ours, compile), GOAL),
    slower(`${what}, warm, the rewriter alone`, spread(rewrite), spread(compile), ratioOf(rewrite, compile)),
    ...stepLines(`${what}, warm`, ourSteps, bareSteps),
  ];
}

async function cold(what: string, copies: number, { quick }: RowOptions): Promise<Result[]> {
  const times: ColdTimes[] = [];
  const steps: Steps[] = [];
  for (let round = 0; round < (quick ? 3 : 11); round++) {
    times.push((await runChild("load", String(copies), round % 2 === 0 ? "load-first" : "compile-first")) as ColdTimes);
    steps.push((await runChild("load", String(copies), "steps")) as Steps);
  }
  const loads = times.map((time) => time.load * 1000);
  const compiles = times.map((time) => time.compile * 1000);
  return [
    slower(`${what}, new process, against compile alone`, spread(loads), spread(compiles), ratioOf(loads, compiles), GOAL),
    ...stepLines(`${what}, new process`, steps, []),
  ];
}

async function run(options: RowOptions): Promise<Result[]> {
  for (const name of ["kernels.rs", "fixtures.c"]) instrument(await guestBytes(name));
  const results: Result[] = [];
  for (const copies of [1, COPIES]) {
    const bytes = withCode(await guestBytes(GUEST), copies);
    const what = `${GUEST}${copies === 1 ? "" : `, code ${copies} times`}, ${(bytes.length / 2 ** 20).toFixed(1)} MiB`;
    results.push(...(await warm(what, bytes, options)), ...(await cold(what, copies, options)));
  }
  return results;
}

export const LOAD: Row = {
  name: "load",
  title: "bytes to callable",
  measures:
    "Loads a Go plugin, its runtime's initialisation included, from bytes that the engine has not seen, against WebAssembly.compile of the same bytes; warm means after other loads in the process, and steps are compared with the original module's under node:wasi.",
  run,
};
