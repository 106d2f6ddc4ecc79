// Requests that never stop while their plugin is reloaded again and again, often with something broken. Used by the test, and
// with a clock by the soak.

import { createHost, hook, instanceCount, isMortiseError } from "../../src/index.ts";
import { type Does, action, guest } from "../hooks/guests.ts";
import { assembleText } from "../wasm/assemble.ts";

/** What came of it. */
export interface StormReport {
  readonly requests: number;
  readonly reloads: number;
  /** Reloads that were refused, by what was wrong with the version. */
  readonly refused: Readonly<Record<string, number>>;
  /** What should never be: requests that failed, were answered by half of a version, by two of them, or by a broken one. */
  readonly wrong: readonly string[];
  /** Calls of all versions; two for each request. */
  readonly calls: number;
  /** Milliseconds of requests, and the longest that the switch itself held the thread. */
  readonly latencyMs: { readonly p50: number; readonly p99: number; readonly max: number };
  /** Instances before, and after the host was closed. */
  readonly instances: readonly [before: number, after: number];
}

/** How it goes. */
export interface StormOptions {
  /** Settled when the next requests are to begin: how many, or undefined for the end. */
  readonly next: () => Promise<number | undefined>;
  /** True if a reload is due; asked whenever the last one has ended. */
  readonly isReloadDue: () => boolean;
  /** Milliseconds of the work that each request does between the two functions of the plugin. @default none: a turn of the event loop */
  readonly workMs?: number;
}

type Message = {
  readonly version: string;
  readonly message: { readonly input: unknown; readonly output: unknown; readonly context: { readonly request_id: string } };
};

/** Sees every request twice, before and after its work, and says each time which version it is. */
async function version(label: string): Promise<Uint8Array<ArrayBuffer>> {
  const post: Does = { before: `{"action":"replace","value":{"version":"${label}","message":`, after: "}}" };
  return guest({ pre_wrap: action("replace", { value: label }), post_wrap: post });
}

/** One of each kind of version that must not serve. */
async function brokenVersions(): Promise<readonly (readonly [kind: string, bytes: Uint8Array<ArrayBuffer>])[]> {
  const start = (text: string): Promise<Uint8Array<ArrayBuffer>> =>
    assembleText("broken", `(module (func $s ${text}) (start $s) (func (export "pre_wrap")) (func (export "post_wrap")))`);
  const linear = `(module (memory (export "memory") 1) (func (export "pre_wrap") (param i32 i32) (result i64) (i64.const 0))
    (func (export "post_wrap") (param i32 i32) (result i64) (i64.const 0)))`;
  return [
    ["garbage", Uint8Array.from({ length: 5000 }, (_, index) => (index * 37) & 0xff)],
    ["cut off", (await version("cut off")).slice(0, -40)],
    ["traps at start", await start("unreachable")],
    ["loops at start", await start("(loop (br 0))")],
    ["missing export", await guest({ other: "" })],
    ["wrong interface", await assembleText("linear", linear)],
  ];
}

/** Runs requests and reloads until there are no more. */
export async function reloadStorm({ next, isReloadDue, workMs }: StormOptions): Promise<StormReport> {
  const before = instanceCount().live;
  const host = await createHost({ hooks: { wrap: hook.bracket<string, unknown>() }, limits: { instances: 100, memoryBytes: 1 << 30 } });
  const broken = await brokenVersions();
  const wrong: string[] = [];
  const refused: Record<string, number> = {};
  const latencies: number[] = [];
  const ready = new Set(["1"]);
  let calls = 0;
  let recent = [await host.plugins.load(await version("1"), { name: "a", abi: "extism", limits: { timeoutMs: 30_000, initTimeoutMs: 20 } })];
  let requests = 0;
  let reloads = 0;
  const fault = (text: string): void => {
    if (wrong.length < 20) wrong.push(text);
  };

  const work = (): Promise<void> => new Promise((resolve) => (workMs === undefined ? setImmediate(resolve) : setTimeout(resolve, workMs)));
  const request = async (): Promise<void> => {
    const number = ++requests;
    const context = host.request({ id: `request ${number}` });
    const began = performance.now();
    let first = "";
    try {
      const answer = await host.hooks.wrap(
        `input ${number}`,
        async (label) => {
          first = label;
          await work();
          return `output ${number}`;
        },
        { request: context },
      );
      const { version: second, message } = answer as Message;
      if (first !== second) fault(`request ${number} began with version ${first} and ended with ${second}`);
      if (!ready.has(first)) fault(`request ${number} was answered by version ${first}`);
      if (message.output !== `output ${number}` || message.context.request_id !== context.id) fault(`request ${number} got the answer of another`);
    } catch (error) {
      fault(`request ${number} failed: ${String(error)}`);
    }
    latencies.push(performance.now() - began);
  };

  const reload = async (): Promise<void> => {
    const number = ++reloads;
    const bad = number % 5 === 0 ? broken[(number / 5) % broken.length] : undefined;
    const label = String(number + 1);
    const bytes = bad?.[1] ?? (await version(label));
    // It may serve before whoever asked for it is told.
    if (bad === undefined) ready.add(label);
    try {
      recent.push(await host.plugins.reload("a", bytes));
      if (bad !== undefined) fault(`a version that ${bad[0]} was taken`);
    } catch (error) {
      if (bad === undefined || !isMortiseError(error)) fault(`reload ${number} failed: ${String(error)}`);
      else refused[bad[0]] = (refused[bad[0]] ?? 0) + 1;
    }
    // What has left its host does not stay because of this count.
    for (const plugin of recent.slice(0, -3)) calls += plugin.stats().calls;
    recent = recent.slice(-3);
  };

  const running = new Set<Promise<void>>();
  let reloading: Promise<void> | undefined;
  for (let count = await next(); count !== undefined; count = await next()) {
    if (reloading === undefined && isReloadDue())
      reloading = reload().finally(() => {
        reloading = undefined;
      });
    for (let left = count; left > 0; left--) {
      const one = request().finally(() => running.delete(one));
      running.add(one);
    }
  }
  await reloading;
  await Promise.all(running);
  await host.close();
  for (const plugin of recent) calls += plugin.stats().calls;
  if (calls !== 2 * requests) fault(`${calls} calls were made for ${requests} requests`);
  latencies.sort((a, b) => a - b);
  const at = (share: number): number => latencies[Math.min(latencies.length - 1, Math.floor(share * latencies.length))] ?? 0;
  const latencyMs = { p50: at(0.5), p99: at(0.99), max: at(1) };
  return { requests, reloads, refused, wrong, calls, latencyMs, instances: [before, instanceCount().live] };
}
