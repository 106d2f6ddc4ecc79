// Runs the stand-in as a process: `node main.ts --port 8000 --behaviour '{"bytes":600}'`. It prints its URL in one line.

import { parseArgs } from "node:util";

import type { Behaviour } from "./behaviour.ts";
import { startStandIn } from "./start-stand-in.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "0" },
    host: { type: "string", default: "127.0.0.1" },
    behaviour: { type: "string", default: "{}" },
    "by-model": { type: "string", default: "{}" },
    keep: { type: "string", default: "0" },
  },
});

const standIn = await startStandIn({
  port: Number(values.port),
  host: values.host,
  behaviour: JSON.parse(values.behaviour) as Behaviour,
  byModel: JSON.parse(values["by-model"]) as Record<string, Behaviour>,
  keep: Number(values.keep),
});
process.stdout.write(`${standIn.url}\n`);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => void standIn.close());
