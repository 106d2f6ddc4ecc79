// Mixed calls over all isolations, with random kills, aborts, deadlines and closes: nothing may leak, nothing may hang,
// and no answer may reach the wrong caller. Prints one JSON object.
//
//   node --conditions=source --expose-gc scripts/soak-calls.ts [--calls N] [--seed S]

import { readFileSync, readdirSync } from "node:fs";
import { parseArgs } from "node:util";

import { type CallContext, type Isolation, type Plugin, instanceCount, isMortiseError, loadPlugin } from "../src/index.ts";
import { assembleText } from "../test/wasm/assemble.ts";

/** What was made of so many calls. */
export interface MixedReport {
  readonly seed: number;
  readonly calls: number;
  readonly seconds: number;
  /** Calls by isolation, and by what came of them. */
  readonly isolations: Readonly<Record<string, number>>;
  readonly endings: Readonly<Record<string, number>>;
  /** Answers that were not what their caller asked for. */
  readonly wrong: readonly string[];
  /** Calls that had not ended long after their deadline. */
  readonly hanging: number;
  readonly plugins: number;
  /** What was there before, and after everything was closed. */
  readonly before: Remains;
  readonly after: Remains;
  /** Handles that were there afterwards and not before. */
  readonly handles: readonly string[];
}

interface Remains {
  readonly instances: number;
  readonly descriptors: number;
  readonly threads: number;
  readonly children: number;
  readonly heapMib: number;
  readonly rssMib: number;
}

/** Echoes its input, directly or through a host function; spins, traps, exits, and keeps a variable. */
const GUEST = `(module
  (import "extism:host/env" "input_offset" (func $offset (result i64)))
  (import "extism:host/env" "input_length" (func $length (result i64)))
  (import "extism:host/env" "output_set" (func $output (param i64 i64)))
  (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64)))
  (import "extism:host/user" "now" (func $now (param i64) (result i64)))
  (import "extism:host/user" "later" (func $later (param i64) (result i64)))
  (memory (export "memory") 1)
  (func (export "echo") (call $output (call $offset) (call $length)))
  (func (export "now") (call $output (call $now (call $offset)) (call $length)))
  (func (export "later") (call $output (call $later (call $offset)) (call $length)))
  (func (export "spin") (loop $again (br $again)))
  (func (export "trap") unreachable)
  (func (export "grow") (loop $again (drop (memory.grow (i32.const 16))) (br $again))))`;

const FUNCTIONS = ["echo", "echo", "echo", "now", "later", "later", "spin", "trap", "grow"] as const;
const ANSWERS = new Set<string>(["echo", "now", "later"]);
const ISOLATIONS: readonly Isolation[] = ["inline", "inline", "inline", "thread", "process"];
/** Plugins at once, and calls under way at once. */
const PLUGINS = 8;
const AT_ONCE = 64;
const DEADLINE_MS = 40;
const HANGS_MS = 30_000;

/** A small generator of pseudo-random numbers in [0, 1), the same for the same seed (mulberry32). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

function count(record: Record<string, number>, key: string): void {
  record[key] = (record[key] ?? 0) + 1;
}

async function remains(): Promise<Remains> {
  for (let pass = 0; pass < 5; pass++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const status = readFileSync("/proc/self/status", "utf8");
  const children = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").trim();
  const { heapUsed, rss } = process.memoryUsage();
  return {
    instances: instanceCount().live,
    descriptors: readdirSync("/proc/self/fd").length,
    threads: Number(/^Threads:\s*(\d+)/m.exec(status)?.[1]),
    children: children === "" ? 0 : children.split(" ").length,
    heapMib: Math.round(heapUsed / 2 ** 20),
    rssMib: Math.round(rss / 2 ** 20),
  };
}

class Mixture {
  readonly isolations: Record<string, number> = {};
  readonly endings: Record<string, number> = {};
  readonly wrong: string[] = [];
  plugins = 0;
  readonly #random: () => number;
  readonly #bytes: Uint8Array;
  readonly #slots: (Promise<Plugin> | undefined)[] = Array.from({ length: PLUGINS });

  constructor(seed: number, bytes: Uint8Array) {
    this.#random = randomFrom(seed);
    this.#bytes = bytes;
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #load(): Promise<Plugin> {
    this.plugins++;
    const isolation = ISOLATIONS[this.#below(ISOLATIONS.length)] as Isolation;
    const stateless = this.#random() < 0.5;
    return loadPlugin(this.#bytes, {
      name: `plugin ${this.plugins}`,
      isolation,
      stateless,
      ...(stateless ? { pool: { maxInstances: isolation === "inline" ? 4 : 2, recycleCalls: 50 } } : {}),
      limits: { timeoutMs: 2000, initTimeoutMs: 5000, memoryBytes: 1 << 20 },
      hostFunctions: {
        "extism:host/user": {
          now: (context: CallContext, block: bigint) => context.store(context.readText(block)),
          later: async (context: CallContext, block: bigint) => {
            const text = context.readText(block);
            if (text.endsWith("0")) await new Promise((resolve) => setTimeout(resolve, 1));
            else await Promise.resolve();
            return context.store(text);
          },
        },
      },
    });
  }

  /** One call, or one close with a call of what comes after it. */
  async step(number: number): Promise<void> {
    const slot = this.#below(PLUGINS);
    if (this.#random() < 0.002) {
      const closing = this.#slots[slot];
      this.#slots[slot] = undefined;
      const abort = this.#random() < 0.5;
      if (closing !== undefined) await (await closing).close({ abort });
    }
    const plugin = await (this.#slots[slot] ??= this.#load());
    const fn = FUNCTIONS[this.#below(FUNCTIONS.length)] as string;
    const input = `call ${number}`;
    const controller = new AbortController();
    const aborts = this.#random() < 0.05;
    const timer = aborts ? setTimeout(() => controller.abort(), this.#below(10)) : undefined;
    count(this.isolations, plugin.isolation);
    try {
      const output = await plugin.call(fn, input, {
        timeoutMs: ANSWERS.has(fn) ? 5000 : DEADLINE_MS,
        ...(aborts ? { signal: controller.signal } : {}),
      });
      count(this.endings, "answered");
      if (output.text() !== input) this.wrong.push(`${fn} of "${plugin.name}" (${plugin.isolation}) gave "${output.text()}" for "${input}"`);
    } catch (error) {
      if (!isMortiseError(error)) throw error;
      count(this.endings, error.code);
      if (error.code === "MORTISE_INTERNAL") this.wrong.push(`${fn} of "${plugin.name}" (${plugin.isolation}): ${error.message}`);
    } finally {
      clearTimeout(timer);
    }
  }

  async end(): Promise<void> {
    for (const slot of this.#slots) if (slot !== undefined) await (await slot).close();
  }
}

async function mix(calls: number, seed: number): Promise<MixedReport> {
  const bytes = await assembleText("mixed", GUEST);
  // The first child process of all opens what Node then keeps.
  await (await loadPlugin(bytes, { isolation: "process", hostFunctions: { "extism:host/user": { now: () => 0n, later: () => 0n } } })).close();
  const handlesBefore = process.getActiveResourcesInfo();
  const before = await remains();
  const mixture = new Mixture(seed, bytes);
  const began = performance.now();
  let next = 0;
  let hanging = 0;
  const work = async (): Promise<void> => {
    for (let number = next++; number < calls; number = next++) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<"late">((resolve) => (timer = setTimeout(() => resolve("late"), HANGS_MS)));
      if ((await Promise.race([mixture.step(number), late])) === "late") hanging++;
      clearTimeout(timer);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  await mixture.end();
  const seconds = (performance.now() - began) / 1000;
  const after = await remains();
  const left = [...handlesBefore];
  const handles = process.getActiveResourcesInfo().filter((name) => {
    const at = left.indexOf(name);
    if (at >= 0) left.splice(at, 1);
    return at < 0;
  });
  const { isolations, endings, wrong, plugins } = mixture;
  return { seed, calls, seconds, isolations, endings, wrong: wrong.slice(0, 20), hanging, plugins, before, after, handles };
}

const { values } = parseArgs({ options: { calls: { type: "string", default: "100000" }, seed: { type: "string", default: "1" } } });
console.log(JSON.stringify(await mix(Number(values.calls), Number(values.seed))));
