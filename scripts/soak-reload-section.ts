// What docs/soak-results.md says of reloads under load.

import type { ReloadReport } from "./soak-reload.ts";

/** MiB that heap and resident memory may grow by between the two measurements. */
const MAX_GROWTH_MIB = 5;

/** What went wrong; nothing, if all is well. */
export function reloadFaults({ wrong, heapMib, rssMib, instances, reloads, seconds }: ReloadReport): string[] {
  const faults = [...wrong];
  if (reloads < seconds / 2) faults.push(`only ${reloads} reloads in ${seconds} s`);
  if (instances[1] > instances[0]) faults.push(`instances: ${instances[0]} before, ${instances[1]} after`);
  for (const [what, [first, last]] of [["heap", heapMib] as const, ["resident memory", rssMib] as const])
    if (last > first + MAX_GROWTH_MIB) faults.push(`${what}: ${first.toFixed(1)} MiB before, ${last.toFixed(1)} MiB after`);
  return faults;
}

export function reloadSection(report: ReloadReport): string[] {
  const { requests, calls, seconds, rate, reloads, refused, wrong, latencyMs, heapMib, rssMib, instances, model } = report;
  const faults = reloadFaults(report);
  const broken = Object.values(refused).reduce((sum, count) => sum + count, 0);
  const kinds = Object.entries(refused).map(([kind, count]) => `${kind} ${count}`);
  const whole = (value: number): string => value.toLocaleString("en");
  return [
    "## Reloads under load",
    "",
    `${whole(requests)} requests in ${seconds} s, ${whole(rate)} a second, each of which calls a plugin before and after 5 ms of work, while the plugin`,
    "is reloaded every second, one time in five with a version that is broken.",
    "",
    `- Reloads: ${reloads}, of which ${broken} were broken and refused: ${kinds.join(", ")}`,
    `- Requests that failed, were answered by two versions, by a broken one or for another request: ${wrong.length}`,
    `- Calls: ${whole(calls)}, two for each request`,
    `- Latency with the 5 ms: median ${latencyMs.p50.toFixed(1)} ms, 99 % ${latencyMs.p99.toFixed(1)} ms, slowest ${latencyMs.max.toFixed(1)} ms`,
    `- Instances before and after: ${instances.join(" and ")}`,
    `- Heap ${heapMib.map((value) => value.toFixed(1)).join(" and ")} MiB, resident ${rssMib.map((value) => value.toFixed(1)).join(" and ")} MiB, after ${seconds / 4} s of the same and at the end`,
    `- The manager against its model: ${whole(model.sequences)} random sequences of ${whole(model.commands)} commands, with loads and calls under way (seed ${model.seed})`,
    `- Verdict: ${faults.length === 0 ? "**held**" : `**failed**: ${faults.join("; ")}`}`,
    "",
  ];
}
