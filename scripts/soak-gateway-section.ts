// What docs/soak-results.md says of the gateway.

import type { GatewayReport, RequestsReport, RevivalReport, SlowReport, StreamsReport } from "./soak-gateway.ts";

const MIB = 1 << 20;
const KIB = 1 << 10;
/** Bytes that a stream may keep while it is open, and that one whose client does not read may. */
const STREAM_BYTES = 128 * KIB;
const SLOW_BYTES = 512 * KIB;
/** Bytes that a gateway may have more when all is over: code that was compiled meanwhile, and buffers that are kept for later. */
const REST_BYTES = 16 * MIB;
/** Bytes of the heap that a million requests may leave behind. */
const REQUESTS_BYTES = 5 * MIB;
/** What clients get where a server is gone: 502 from an attempt, 503 while the breaker does not ask it at all. */
const GONE: ReadonlySet<string> = new Set(["200", "502", "503"]);

const whole = (value: number): string => value.toLocaleString("en");
const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`;
const used = ({ heap, external }: { readonly heap: number; readonly external: number }): number => heap + external;
const counts = (statuses: Readonly<Record<string, number>>): string =>
  Object.entries(statuses)
    .map(([status, times]) => `${status} ${whole(times)}`)
    .join(", ");

function streamFaults({ streams, mostOpen, faults, memory: [before, open, after] }: StreamsReport): string[] {
  const found = Object.entries(faults).map(([fault, times]) => `${times} streams: ${fault}`);
  if (mostOpen < streams) found.push(`only ${mostOpen} streams were open at the same time`);
  if (used(open) - used(before) > streams * STREAM_BYTES) found.push(`${mib(used(open) - used(before))} for ${streams} streams`);
  if (used(after) - used(before) > REST_BYTES) found.push(`${mib(used(after) - used(before))} are left of the streams`);
  return found;
}

function slowFaults({ clients, kept, others, left }: SlowReport): string[] {
  const found: string[] = [];
  if (kept > clients * SLOW_BYTES + REST_BYTES) found.push(`${mib(kept)} for ${clients} clients that hardly read`);
  if (Object.keys(others).join() !== "200") found.push(`others got ${counts(others)}`);
  if (left > 0) found.push(`${left} requests were still under way`);
  return found;
}

function requestFaults({ requests, statuses, early, late }: RequestsReport): string[] {
  const found = Object.keys(statuses).join() === "200" ? [] : [`of ${requests} requests ${counts(statuses)}`];
  if (used(late) - used(early) > REQUESTS_BYTES) found.push(`the heap grew by ${mib(used(late) - used(early))}`);
  return found;
}

function revivalFaults({ alone, aloneLast, withFallback }: RevivalReport): string[] {
  const found = Object.keys(alone)
    .filter((status) => !GONE.has(status))
    .map((status) => `without another server ${alone[status]} requests ended with ${status}`);
  if (aloneLast.join() !== "200") found.push(`after the last revival there were ${aloneLast.join(", ")}`);
  if (Object.keys(withFallback).join() !== "200") found.push(`with another server there were ${counts(withFallback)}`);
  return found;
}

/** What went wrong; nothing, if all is well. */
export function gatewayFaults({ streams, slow, requests, revival }: GatewayReport): string[] {
  return [
    ...(streams === undefined ? [] : streamFaults(streams)),
    ...(slow === undefined ? [] : slowFaults(slow)),
    ...(requests === undefined ? [] : requestFaults(requests)),
    ...(revival === undefined ? [] : revivalFaults(revival)),
  ];
}

export function gatewaySection(report: GatewayReport): string[] {
  const faults = gatewayFaults(report);
  return [
    "## The gateway",
    "",
    "Clients, gateway and model server are processes of their own. Memory is heap and what it keeps outside, after garbage collection.",
    "",
    ...(report.streams === undefined ? [] : [streamsLine(report.streams)]),
    ...(report.slow === undefined ? [] : [slowLine(report.slow)]),
    ...(report.requests === undefined ? [] : [requestsLine(report.requests)]),
    ...(report.revival === undefined ? [] : revivalLines(report.revival)),
    `- Verdict: ${faults.length === 0 ? "**held**" : `**failed**: ${faults.join("; ")}`}`,
    "",
  ];
}

function streamsLine({ streams, gateways, mostOpen, faults, memory: [before, open, after] }: StreamsReport): string {
  const split = gateways === 1 ? "one process" : `${gateways} processes, since one may not have as many descriptors here`;
  const broken = Object.values(faults).reduce((sum, times) => sum + times, 0);
  const each = Math.round((used(open) - used(before)) / streams / KIB);
  return `- ${whole(streams)} streams at a time in ${split}: ${whole(mostOpen)} were open together, ${broken} were not whole. Memory ${mib(used(before))} before, ${mib(used(open))} with all of them open, which is ${each} KiB each, ${mib(used(after))} after; resident ${mib(before.rss)}, ${mib(open.rss)}, ${mib(after.rss)}`;
}

function slowLine({ clients, bytesPerSecond, offered, kept, others }: SlowReport): string {
  const served = Object.values(others).reduce((sum, times) => sum + times, 0);
  return `- ${clients} clients that read ${bytesPerSecond} bytes a second of answers of ${mib(offered)}: ${mib(kept)} more in the gateway for all of them, and ${whole(served)} requests of others served meanwhile`;
}

function requestsLine({ requests, seconds, statuses, early, late, earlyRequests }: RequestsReport): string {
  return `- ${whole(requests)} requests through three Wasm plugins in ${seconds.toFixed(0)} s: ${counts(statuses)}. Memory ${mib(used(early))} after ${whole(earlyRequests)} and ${mib(used(late))} at the end; resident ${mib(early.rss)} and ${mib(late.rss)}`;
}

function revivalLines({ kills, alone, withFallback }: RevivalReport): string[] {
  return [
    `- A model server that was killed ${kills} times under load and came back, with another one to ask: ${counts(withFallback)}`,
    `- The same without another one: ${counts(alone)}, and nothing but 200 in the end`,
  ];
}
