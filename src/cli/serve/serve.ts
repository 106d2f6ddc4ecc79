// Runs a gateway until it is told to stop: in this process, or as one of several.

import cluster from "node:cluster";

import type { Config } from "../../config/config.ts";
import { MortiseError } from "../../index.ts";
import { type MetricsServer, serveMetrics } from "../../telemetry/index.ts";
import { describeProblem, printProblems } from "../config-command.ts";
import { EXIT, exitCodeOf, printConfiguredFailure, toMortiseError } from "../failure.ts";
import type { ServeFlags } from "../serve-command.ts";
import { type FileDigests, filesOf } from "./file-watches.ts";
import { freePort } from "./free-port.ts";
import { guide } from "./guide.ts";
import { type ServerLog, openLog } from "./log.ts";
import { LiveConfig } from "./live-config.ts";
import { type RunningServer, listenError, startServer } from "./server.ts";
import { type Settings, findSettings } from "./settings.ts";
import { type StopSignal, watchSignals } from "./signals.ts";
import { serveAsWorker } from "./worker.ts";
import { workerPlace } from "./worker-messages.ts";
import { Workers } from "./workers.ts";

const STANDARD_PORT = 8080;
/** Where metrics are served: whoever is not on this machine gets them through something that is. */
const LOOPBACK = "127.0.0.1";

/** Addresses that nobody else can reach. */
const OWN_ADDRESSES = /^(?:127\.[\d.]+|::1|localhost)$/i;

/** What a process that serves is given. */
export interface ServeParts {
  readonly settings: Settings;
  readonly config: Config;
  readonly files: FileDigests;
  readonly log: ServerLog;
  readonly flags: ServeFlags;
  /** Of several workers, the first tells what all of them find. */
  readonly onNote?: (() => void) | undefined;
}

/** Where it listens. */
interface Address {
  readonly host: string;
  readonly port: number;
  /** The port that was wanted, where it is another one. */
  readonly wantedPort: number | undefined;
}

/** Serves, and returns the exit code. */
export async function serve(flags: ServeFlags): Promise<number> {
  const place = cluster.isWorker ? workerPlace(process.env) : undefined;
  const log = await openLog({ level: flags.logLevel, json: flags.jsonLogs === true, ...(place && { fields: { worker: place.number } }) });
  process.on("exit", () => log.flush());
  try {
    const settings = await findSettings(flags.config);
    const config = await settings.read();
    const parts = { settings, config, files: filesOf(config), log, flags, onNote: (place?.number ?? 1) === 1 ? undefined : () => {} };
    if (place !== undefined) return await serveAsWorker(parts, { host: hostOf(parts), port: place.port });
    for (const warning of config.warnings) log.warn(describeProblem(warning));
    return await (flags.workers > 1 ? serveInSeveral(parts) : serveAlone(parts));
  } catch (error) {
    const failure = toMortiseError(error);
    printConfiguredFailure(failure);
    printProblems(failure);
    return exitCodeOf(failure);
  } finally {
    // What ties a worker to the process that started it would keep it alive; if it just broke, the exit code would be 0.
    if (process.connected) cluster.worker?.disconnect();
  }
}

async function serveAlone(parts: ServeParts): Promise<number> {
  const { config, log } = parts;
  const stopAsked = Promise.withResolvers<StopSignal>();
  const address = await addressOf(parts);
  let server: RunningServer | undefined;
  await using metrics = await openMetrics({ prometheus: () => server?.prometheus() ?? "" }, parts);
  server = await startServer({ ...parts, listen: address });
  const live = new LiveConfig({ ...parts, server });
  watchSignals({ stop: stopAsked.resolve, stopAtOnce: (code) => process.exit(code), reload: () => void live.reload("SIGHUP", true) });
  announce(parts, address, server.url, metrics.url);
  await stopAsked.promise;
  sayStopping(log, server.gateway.health().requests);
  live.close();
  await server.close(drainMsOf(config));
  log.info("stopped");
  return EXIT.ok;
}

async function serveInSeveral(parts: ServeParts): Promise<number> {
  const { config, log, flags } = parts;
  if (config.store.kind === "memory" && flags.separateState !== true)
    throw new MortiseError("MORTISE_USAGE", {
      reason: `${flags.workers} workers cannot share a store in memory`,
      hint: "[store] with kind sqlite or redis is shared; --separate-state gives each worker its own",
    });
  const stopAsked = Promise.withResolvers<StopSignal>();
  const address = await addressOf(parts);
  const workers = new Workers({ count: flags.workers, port: address.port, log });
  watchSignals({
    stop: stopAsked.resolve,
    stopAtOnce: (code) => {
      workers.kill();
      process.exit(code);
    },
    reload: () => workers.reload(),
  });
  await using metrics = await openMetrics(workers, parts);
  const started = await workers.start();
  if ("exitCode" in started) return started.exitCode;
  announce(parts, address, started.url, metrics.url);
  await stopAsked.promise;
  sayStopping(log);
  await workers.drain();
  log.info("stopped");
  return EXIT.ok;
}

function hostOf({ flags, config }: ServeParts): string {
  return flags.host ?? config.gateway?.host ?? LOOPBACK;
}

/** A port that somebody names is the one; otherwise it is the usual one, or the next that is free. @throws MortiseError MORTISE_LISTEN */
async function addressOf(parts: ServeParts): Promise<Address> {
  const host = hostOf(parts);
  const named = parts.flags.port ?? parts.config.gateway?.port;
  if (named !== undefined) return { host, port: named, wantedPort: undefined };
  const port = await freePort(host, STANDARD_PORT);
  return { host, port, wantedPort: port === STANDARD_PORT ? undefined : STANDARD_PORT };
}

/** @throws MortiseError MORTISE_LISTEN */
async function openMetrics(source: { prometheus(): string | Promise<string> }, { config, flags }: ServeParts): Promise<MetricsServer> {
  const port = flags.metricsPort ?? config.gateway?.metricsPort ?? 0;
  try {
    return await serveMetrics(source, { port });
  } catch (error) {
    throw listenError(error, LOOPBACK, port);
  }
}

export function drainMsOf({ gateway }: Config): number {
  return gateway?.drainMs ?? 0;
}

function announce({ settings: { file }, config, flags, log }: ServeParts, { host, wantedPort }: Address, url: string, metrics: string): void {
  if (flags.jsonLogs === true) log.info({ url, metrics, workers: flags.workers }, "listening");
  else {
    // Under npm it is not found by its name.
    const command = process.env["npm_lifecycle_event"] === undefined ? "mortise" : "npm run -s mortise --";
    // What stands for all addresses is none that a client could use everywhere.
    const reachable = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:");
    process.stdout.write(guide({ config, file, url: reachable, metrics, workers: flags.workers, wantedPort, command }));
  }
  if (config.gateway?.clients === undefined && !OWN_ADDRESSES.test(host))
    log.warn(`everybody who reaches ${host} may use it; [[gateway.clients]] says who may`);
}

function sayStopping(log: ServerLog, requests?: number): void {
  log.info(requests === undefined ? {} : { requests }, "stopping when the requests under way have ended");
}
