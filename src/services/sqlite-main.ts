// Where a process that runs SQLite starts. A statement cannot be interrupted, not even by ending its thread, so that it has
// a process, which can be killed. Its first thread watches: if who asked is gone, so is the process, whatever it is doing.

import process from "node:process";
import { Worker, isMainThread, parentPort } from "node:worker_threads";

import { READY, type SqliteAnswer, type SqliteRequest } from "./sqlite-protocol.ts";

/** Bytes that the process may have, of which Node takes some 80 million. */
const MAX_RSS_BYTES = 320 << 20;
/** Milliseconds between two looks at how many it has. */
const LOOK_MS = 10;

if (isMainThread) watch();
else await work();

function watch(): void {
  process.once("disconnect", () => process.kill(process.pid, "SIGKILL"));
  const worker = new Worker(new URL(import.meta.url), { stdin: false });
  let watching: NodeJS.Timeout | undefined;
  worker.on("message", (answer: SqliteAnswer) => {
    clearInterval(watching);
    process.send?.(answer);
  });
  worker.once("exit", () => process.exit(1));
  process.on("message", (request) => {
    watching = setInterval(() => {
      if (!checkMemory()) clearInterval(watching);
    }, LOOK_MS);
    worker.postMessage(request, []);
  });
}

/** Node's SQLite has no limit of its own for memory. Memory that is given back may not shrink the process: it ends. */
function checkMemory(): boolean {
  if (process.memoryUsage.rss() <= MAX_RSS_BYTES) return true;
  const reason = `it needs more than the ${MAX_RSS_BYTES} bytes of memory that there are for queries`;
  const answer: SqliteAnswer = { kind: "limit", reason, last: true };
  process.send?.(answer, () => process.kill(process.pid, "SIGKILL"));
  return false;
}

async function work(): Promise<void> {
  const { runStatement } = await import("./sqlite-statements.ts");
  parentPort?.on("message", (request: SqliteRequest) => parentPort?.postMessage(runStatement(request), []));
  parentPort?.postMessage(READY, []);
}
