// One of several processes that serve: it does what the process says that started it.

import { LiveConfig } from "./live-config.ts";
import { type ServeParts, drainMsOf } from "./serve.ts";
import { startServer } from "./server.ts";
import type { PrimaryMessage, WorkerMessage } from "./worker-messages.ts";

/** Serves until the process that started it says otherwise, or is gone. */
export async function serveAsWorker(parts: ServeParts, listen: { readonly host: string; readonly port: number }): Promise<number> {
  const { config, log } = parts;
  // A terminal sends signals to all processes, but what they mean is said by one.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  const stopAsked = Promise.withResolvers<void>();
  process.on("disconnect", stopAsked.resolve);
  const server = await startServer({ ...parts, listen });
  const live = new LiveConfig({ ...parts, server });
  process.on("message", (message: PrimaryMessage) => {
    switch (message.kind) {
      case "reload":
        void live.reload("SIGHUP", true);
        break;
      case "drain":
        stopAsked.resolve();
        break;
      case "metrics":
        tell({ kind: "metrics", id: message.id, text: server.prometheus() });
        break;
      default:
        message satisfies never;
    }
  });
  log.info({ pid: process.pid }, "serving");
  tell({ kind: "ready", url: server.url, port: server.port });
  await stopAsked.promise;
  live.close();
  await server.close(drainMsOf(config));
  return 0;
}

function tell(message: WorkerMessage): void {
  if (process.connected) process.send?.(message);
}
