// Main module of the clients' process: `soak-gateway-client.ts {json}` does one part, and sends its parent what came of it.

import { type Tally, addressOf, readSlowly, readStream, sendRequests } from "./soak-gateway-clients.ts";

/** What clients do. */
export type ClientTask =
  | { readonly kind: "streams"; readonly urls: readonly string[]; readonly count: number; readonly body: string }
  | { readonly kind: "slow"; readonly url: string; readonly count: number; readonly bytesPerSecond: number; readonly body: string }
  | { readonly kind: "requests"; readonly url: string; readonly connections: number; readonly count?: number; readonly body: string };

/** What came of it. */
export interface ClientReport {
  /** Of streams: what went wrong, by how often. */
  readonly faults?: Readonly<Record<string, number>>;
  readonly tally?: Tally;
  /** The statuses of the last answers, oldest first. */
  readonly last?: readonly string[];
}

/** Connections that are made at a time, and milliseconds between. */
const RAMP = 100;
const RAMP_MS = 20;
const LAST = 200;

const state = { isStopped: false };

async function streams({ urls, count, body }: ClientTask & { readonly kind: "streams" }): Promise<ClientReport> {
  const faults: Record<string, number> = {};
  const pending: Promise<void>[] = [];
  const addresses = urls.map(addressOf);
  for (let index = 0; index < count; index++) {
    if (index % RAMP === RAMP - 1) await new Promise((resolve) => setTimeout(resolve, RAMP_MS)); // oxlint-disable-line no-await-in-loop -- not all at once
    const address = addresses[index % addresses.length];
    if (address === undefined) break;
    const read = async (): Promise<void> => {
      const fault = await readStream(address, body);
      if (fault !== undefined) faults[fault] = (faults[fault] ?? 0) + 1;
    };
    pending.push(read());
  }
  await Promise.all(pending);
  return { faults };
}

async function slow({ url, count, bytesPerSecond, body }: ClientTask & { readonly kind: "slow" }): Promise<ClientReport> {
  const address = addressOf(url);
  const readers = Array.from({ length: count }, () => readSlowly(address, body, bytesPerSecond));
  while (!state.isStopped) await new Promise((resolve) => setTimeout(resolve, 100)); // oxlint-disable-line no-await-in-loop -- until the parent says so
  for (const { leave } of readers) leave();
  return {};
}

async function requests({
  url,
  connections,
  count = Number.POSITIVE_INFINITY,
  body,
}: ClientTask & { readonly kind: "requests" }): Promise<ClientReport> {
  const last: string[] = [];
  let answers = 0;
  const isOver = (): boolean => state.isStopped || answers >= count;
  const onAnswer = (status: string): void => {
    answers++;
    last.push(status);
    if (last.length > LAST) last.shift();
  };
  return { tally: await sendRequests(addressOf(url), body, { connections, isOver, onAnswer }), last };
}

process.on("message", () => {
  state.isStopped = true;
});
const task = JSON.parse(process.argv[2] ?? "{}") as ClientTask;
const report = await (task.kind === "streams" ? streams(task) : task.kind === "slow" ? slow(task) : requests(task));
process.send?.(report, () => process.exit());
