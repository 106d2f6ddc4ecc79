// A program: workers, one of which is killed while their primary is too busy to notice, and then spoken to.

import cluster from "node:cluster";

import { openLog } from "../../src/cli/serve/log.ts";
import { Workers } from "../../src/cli/serve/workers.ts";

/** Milliseconds in which the killed one is gone for certain. */
const BUSY_MS = 300;

if (cluster.isWorker) {
  process.on("message", (message: { readonly kind: string; readonly id?: number }) => {
    if (message.kind === "drain") process.exit(0);
    if (message.kind === "metrics") process.send?.({ kind: "metrics", id: message.id, text: "x 1\n" });
  });
  process.send?.({ kind: "ready", url: "http://localhost", port: 1 });
} else {
  const workers = new Workers({ count: 2, port: 0, log: await openLog({ level: "off" }) });
  await workers.start();
  cluster.workers?.[2]?.process.kill("SIGKILL");
  const end = Date.now() + BUSY_MS;
  while (Date.now() < end);
  for (let round = 0; round < 3; round++) workers.reload();
  console.log((await workers.prometheus()).trim());
  await workers.drain();
  console.log("drained");
}
