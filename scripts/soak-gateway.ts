// The gateway under load for long, with clients and model servers in other processes: ten thousand streams at a time, clients
// that hardly read, a million requests through three plugins, and a model server that is killed again and again. Prints one
// JSON object.
//
//   node --conditions=source scripts/soak-gateway.ts [--quick] [--part NAME]...

import { spawn, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setTimeout as wait } from "node:timers/promises";

import { type GatewayProcess, type ServerProcess, startGateway, startUpstream } from "../bench/row-gateway-processes.ts";
import type { Memory, ServeOptions } from "../bench/row-gateway-serve.ts";
import type { ClientReport, ClientTask } from "./soak-gateway-client.ts";

/** Ten thousand streams. */
export interface StreamsReport {
  readonly streams: number;
  /** Processes that serve them: one, unless the system lets a process have too few descriptors. */
  readonly gateways: number;
  /** Streams that the model server had open at the same time. */
  readonly mostOpen: number;
  readonly faults: Readonly<Record<string, number>>;
  /** Bytes of all gateways before, while all streams are open, and after, when the model server is gone too. */
  readonly memory: readonly [before: Memory, open: Memory, after: Memory];
}

/** Clients that hardly read. */
export interface SlowReport {
  readonly clients: number;
  readonly bytesPerSecond: number;
  /** Bytes that the model server would send to each, if it could. */
  readonly offered: number;
  /** Bytes that the gateway had more, for all of them, than before. */
  readonly kept: number;
  /** What other clients got meanwhile. */
  readonly others: Readonly<Record<string, number>>;
  /** Requests under way after they left. */
  readonly left: number;
}

/** A million requests. */
export interface RequestsReport {
  readonly requests: number;
  readonly seconds: number;
  readonly statuses: Readonly<Record<string, number>>;
  readonly early: Memory;
  readonly late: Memory;
  /** After how many requests `early` was measured. */
  readonly earlyRequests: number;
}

/** A model server that is killed and comes back. */
export interface RevivalReport {
  readonly kills: number;
  /** Statuses where there is no other server to ask, and those that the last answers have, after the server is back. */
  readonly alone: Readonly<Record<string, number>>;
  readonly aloneLast: readonly string[];
  /** Statuses where there is another one. */
  readonly withFallback: Readonly<Record<string, number>>;
}

export interface GatewayReport {
  readonly streams?: StreamsReport;
  readonly slow?: SlowReport;
  readonly requests?: RequestsReport;
  readonly revival?: RevivalReport;
}

interface Plan {
  readonly streams: number;
  readonly slowClients: number;
  readonly slowSeconds: number;
  readonly requests: number;
  readonly kills: number;
}

const FULL: Plan = { streams: 10_000, slowClients: 100, slowSeconds: 20, requests: 1_000_000, kills: 10 };
const QUICK: Plan = { streams: 1000, slowClients: 20, slowSeconds: 5, requests: 20_000, kills: 2 };

const CLIENT = fileURLToPath(new URL("soak-gateway-client.ts", import.meta.url));
const HOOKS: ServeOptions["plugins"] = ["gateway_pii.rs", "gateway_guard.c", "gateway_budget.ts"];
/** As for attacks: V8 keeps what its young generation has grown to. */
const SMALL_YOUNG = ["--max-semi-space-size=2"];
/** Descriptors that a process needs besides those of streams. */
const OTHER_DESCRIPTORS = 100;

/** Pieces of a stream, and milliseconds between two. */
const PIECES = 15;
const PIECE_MS = 2000;

const say = (text: string, more: object = {}): string => JSON.stringify({ model: "any", messages: [{ role: "user", content: text }], ...more });
const STREAM = say("Hello", { stream: true });
const REQUEST = say("The mortise takes the tenon, and the two have held tables, doors and whole houses together for a long time.");

interface Clients {
  readonly done: Promise<ClientReport>;
  readonly stop: () => void;
}

function startClients(task: ClientTask): Clients {
  const child = spawn(process.execPath, ["--no-warnings", CLIENT, JSON.stringify(task)], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const done = new Promise<ClientReport>((resolve, reject) => {
    child.once("message", (report) => resolve(report as ClientReport));
    child.once("exit", (code) => reject(new Error(`the clients ended with ${String(code)}`)));
  });
  return { done, stop: () => void (child.connected && child.send("stop")) };
}

/** Descriptors that a process may have. */
function descriptorLimit(): number {
  const text = spawnSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" }).stdout.trim();
  return text === "unlimited" ? Number.POSITIVE_INFINITY : Number(text);
}

async function counters(upstream: ServerProcess): Promise<{ readonly open: number; readonly mostOpen: number }> {
  return (await fetch(`${upstream.url}/stand-in`)).json() as Promise<{ readonly open: number; readonly mostOpen: number }>;
}

const memoryOf = async (gateway: GatewayProcess): Promise<Memory> => (await gateway.ask("memory")) as Memory;

async function memoryOfAll(gateways: readonly GatewayProcess[]): Promise<Memory> {
  const all = await Promise.all(gateways.map(memoryOf));
  const sum = (of: (memory: Memory) => number): number => all.reduce((total, memory) => total + of(memory), 0);
  return { heap: sum(({ heap }) => heap), external: sum(({ external }) => external), rss: sum(({ rss }) => rss) };
}

async function streams({ streams: count }: Plan): Promise<StreamsReport> {
  await using upstream = disposable(await startUpstream({ bytes: 300, chunks: PIECES, chunkDelayMs: PIECE_MS }));
  // Each stream has a socket on both sides.
  const each = Math.floor((descriptorLimit() - OTHER_DESCRIPTORS) / 2);
  const needed = Math.ceil(count / each);
  await using gateways = disposableAll(
    await Promise.all(Array.from({ length: needed }, () => startGateway({ upstreams: [upstream.it.url], plugins: [], retries: 0 }, SMALL_YOUNG))),
  );
  const { all } = gateways;
  const before = await memoryOfAll(all);
  const clients = startClients({ kind: "streams", urls: all.map(({ url }) => url), count, body: STREAM });
  const state = { isDone: false };
  clients.done.finally(() => (state.isDone = true)).catch(() => {});
  while (!state.isDone && (await counters(upstream.it)).open <= count) await wait(100); // the question itself is one
  const open = await memoryOfAll(all);
  const { faults = {} } = await clients.done;
  const { mostOpen } = await counters(upstream.it);
  // Connections to it are kept for a while, in case that they are needed again.
  await upstream.it.stop();
  return { streams: count, gateways: needed, mostOpen: Math.min(count, mostOpen), faults, memory: [before, open, await memoryOfAll(all)] };
}

async function slow({ slowClients: count, slowSeconds }: Plan): Promise<SlowReport> {
  const offered = 16 << 20;
  await using upstream = disposable(await startUpstream({ bytes: offered, chunks: 4096 }));
  await using quick = disposable(await startUpstream({ bytes: 300 }));
  const options: ServeOptions = { upstreams: [upstream.it.url, quick.it.url], plugins: [], retries: 0 };
  await using gateway = disposable(await startGateway(options, SMALL_YOUNG));
  const before = await memoryOf(gateway.it);
  const clients = startClients({ kind: "slow", url: gateway.it.url, count, bytesPerSecond: 1024, body: STREAM });
  const quickly = REQUEST.replace('"any"', '"upstream1/stand-in"');
  const others = startClients({ kind: "requests", url: gateway.it.url, connections: 4, body: quickly });
  await wait(slowSeconds * 1000);
  others.stop();
  const { tally } = await others.done;
  const during = await memoryOf(gateway.it);
  const kept = during.heap + during.external - before.heap - before.external;
  clients.stop();
  await clients.done;
  let left = count;
  for (let tries = 0; left > 0 && tries < 100; tries++) {
    left = (await gateway.it.ask("requests")) as number;
    await wait(50);
  }
  return { clients: count, bytesPerSecond: 1024, offered, kept, others: tally?.statuses ?? {}, left };
}

async function requests({ requests: count }: Plan): Promise<RequestsReport> {
  await using upstream = disposable(await startUpstream({ bytes: 300 }));
  await using gateway = disposable(await startGateway({ upstreams: [upstream.it.url], plugins: HOOKS, retries: 0 }, SMALL_YOUNG));
  const { url } = gateway.it;
  const began = performance.now();
  const earlyRequests = Math.floor(count / 10);
  const statuses: Record<string, number> = {};
  const send = async (times: number): Promise<Memory> => {
    const { tally } = await startClients({ kind: "requests", url, connections: 32, count: times, body: REQUEST }).done;
    for (const [status, some] of Object.entries(tally?.statuses ?? {})) statuses[status] = (statuses[status] ?? 0) + some;
    return memoryOf(gateway.it);
  };
  const early = await send(earlyRequests);
  const late = await send(count - earlyRequests);
  return { requests: count, seconds: (performance.now() - began) / 1000, statuses, early, late, earlyRequests };
}

async function revival({ kills }: Plan): Promise<RevivalReport> {
  const killed = await killing(kills, []);
  await using other = disposable(await startUpstream({ bytes: 300 }));
  const spared = await killing(kills, [other.it.url]);
  return { kills, alone: killed.tally?.statuses ?? {}, aloneLast: [...new Set(killed.last)], withFallback: spared.tally?.statuses ?? {} };
}

/** Kills the first model server again and again under load. */
async function killing(kills: number, others: readonly string[]): Promise<ClientReport> {
  let upstream = await startUpstream({ bytes: 300 });
  await using gateway = disposable(await startGateway({ upstreams: [upstream.url, ...others], plugins: [], retries: 1 }, SMALL_YOUNG));
  const clients = startClients({ kind: "requests", url: gateway.it.url, connections: 32, body: REQUEST });
  for (let kill = 0; kill < kills; kill++) {
    await wait(1000);
    await upstream.stop();
    await wait(500);
    upstream = await startUpstream({ bytes: 300 }, Number(new URL(upstream.url).port));
  }
  // Until the breaker has found out that the server is back.
  await wait(15_000);
  clients.stop();
  const report = await clients.done;
  await upstream.stop();
  return report;
}

function disposable<T extends ServerProcess>(it: T): AsyncDisposable & { readonly it: T } {
  return { it, [Symbol.asyncDispose]: () => it.stop() };
}

function disposableAll<T extends ServerProcess>(all: readonly T[]): AsyncDisposable & { readonly all: readonly T[] } {
  return { all, [Symbol.asyncDispose]: async () => void (await Promise.all(all.map((each) => each.stop()))) };
}

const PARTS = { streams, slow, requests, revival } as const;

const { values } = parseArgs({
  options: { quick: { type: "boolean", default: false }, part: { type: "string", multiple: true, default: Object.keys(PARTS) } },
});
const plan = values.quick ? QUICK : FULL;
const report: Record<string, unknown> = {};
for (const [name, part] of Object.entries(PARTS)) if (values.part.includes(name)) report[name] = await part(plan);
console.log(JSON.stringify(report satisfies GatewayReport));
