// A gateway out of a configuration, in one process: started, changed while it runs, and stopped.

import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { setImmediate } from "node:timers/promises";

import { openServices, withConfiguredHooks } from "../../config/apply-config.ts";
import type { Config } from "../../config/config.ts";
import { type ConfiguredGateway, toGatewayOptions } from "../../config/gateway-options.ts";
import type { ConfigProblem } from "../../config/problems.ts";
import type { SecretSources } from "../../config/resolve-secrets.ts";
import { type Gateway, type GatewayAccess, type GatewayProviders, type GatewaySetup, createGateway } from "../../gateway/index.ts";
import { MortiseError, type Store } from "../../index.ts";
import { CHANNELS, type LifecycleEvent, type Telemetry, createTelemetry } from "../../telemetry/index.ts";
import { describeProblem } from "../config-command.ts";
import { ConfiguredPlugins, type PluginChanges } from "./configured-plugins.ts";
import { ConfiguredProviders, type PreparedProviders } from "./configured-providers.ts";
import type { FileDigests } from "./file-watches.ts";
import { placed } from "./gateway-faults.ts";
import { HiddenSecrets } from "./hidden-secrets.ts";
import { pluginNotes, providerFault, providerNotes } from "./load-notes.ts";
import type { ServerLog } from "./log.ts";
import { RequestMetrics } from "./request-metrics.ts";

/** What a server is started with. */
export interface ServerParts {
  readonly config: Config;
  /** Of the configuration, as it was read. */
  readonly files: FileDigests;
  readonly log: ServerLog;
  /** Where it listens; undefined for a gateway that is only asked within the process. */
  readonly listen: { readonly host: string; readonly port: number } | undefined;
  /** Is told what may have been overlooked. @default the log */
  readonly onNote?: ((note: ConfigProblem) => void) | undefined;
}

/** What came of a reload. */
export interface Reloaded extends PluginChanges {
  /** Keys of the configuration that have changed and count only from the next start. */
  readonly later: readonly string[];
}

/** A server that runs. */
export interface RunningServer {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  /** Metrics of requests and plugins, in Prometheus's text format. */
  prometheus(): string;
  /**
   * Takes over another configuration. If anything of it cannot be used, nothing has changed.
   *
   * @param all also loads plugins anew that are the same, since their files may be others
   * @throws MortiseError
   */
  reload(config: Config, files: FileDigests, all: boolean): Promise<Reloaded>;
  /** Takes no new requests, lets those under way end, and closes everything. */
  close(drainMs: number): Promise<void>;
}

/**
 * Loads providers and plugins, and then listens.
 *
 * @throws MortiseError why it cannot; MORTISE_LISTEN for an address that cannot be listened at
 */
export async function startServer({ config, files, log, listen, onNote }: ServerParts): Promise<RunningServer> {
  const sources: SecretSources = { env: process.env, onWarning: (problem) => log.warn(describeProblem(problem)) };
  // What was opened is closed again, the last first, if something after it fails.
  await using opened = new AsyncDisposableStack();
  const options = await toGatewayOptions(config, sources);
  const secrets = new HiddenSecrets(log);
  const hidden = secrets.begin(options.secrets);
  const services = opened.use(await openServices(config, sources));
  const providers = opened.use(new ConfiguredProviders(log));
  const prepared = await prepareProviders(providers, config, options, files, true);
  prepared.commit();
  const metrics = new RequestMetrics(() => gateway.health().requests);
  const gateway: Gateway = opened.use(
    await createGateway({
      ...setupOf(options, prepared.providers),
      ...accessOf(options, services.store, false),
      limits: options.limits,
      configureHooks: (hooks) => withConfiguredHooks(hooks, config),
      services,
      logger: metrics.around(log),
      ...(listen && { listen: { ...listen, ...namesOf(config) } }),
    }).catch((error: unknown) => {
      throw placed(error, config);
    }),
  );
  const plugins = new ConfiguredPlugins(gateway.host, (error) => log.warn(String(error)));
  const telemetry: Telemetry = opened.use(
    createTelemetry({
      plugins: () => gateway.host.plugins.list().flatMap(({ name }) => gateway.host.plugins.get(name) ?? []),
      pluginMetrics: services.metrics,
    }),
  );
  const change = await plugins.prepare(config, sources);
  hidden.add(change.secrets);
  hidden.commit();
  change.commit();
  const say = (next: Config, reports: PreparedProviders["reports"]): void => {
    const notes = [...providerNotes(next, reports), ...pluginNotes(next, gateway.host)];
    for (const note of notes)
      if (onNote === undefined) log.warn(describeProblem(note));
      else onNote(note);
  };
  say(config, prepared.reports);
  opened.defer(sayReloads(log));
  if (config.gateway?.watch === true) gateway.host.plugins.watch();
  const { url, port } = listen === undefined ? { url: "", port: 0 } : await startListening(gateway, listen);
  return new ServerProcess({
    config,
    log,
    sources,
    secrets,
    store: services.store,
    gateway,
    providers,
    plugins,
    url,
    port,
    telemetry,
    metrics,
    say,
    opened: opened.move(),
  });
}

interface ProcessParts extends Pick<ServerParts, "config" | "log"> {
  readonly sources: SecretSources;
  readonly secrets: HiddenSecrets;
  readonly store: Store;
  readonly gateway: Gateway;
  readonly providers: ConfiguredProviders;
  readonly plugins: ConfiguredPlugins;
  readonly url: string;
  readonly port: number;
  readonly telemetry: Telemetry;
  readonly metrics: RequestMetrics;
  /** Tells what may have been overlooked. */
  readonly say: (config: Config, reports: PreparedProviders["reports"]) => void;
  readonly opened: AsyncDisposableStack;
}

class ServerProcess implements RunningServer {
  readonly gateway: Gateway;
  readonly url: string;
  readonly port: number;
  readonly #parts: ProcessParts;
  /** Rates are counted, or were. */
  #hasRates: boolean;
  #reloading: Promise<unknown> = Promise.resolve();

  constructor(parts: ProcessParts) {
    const { rates = [], clients = [] } = parts.config.gateway ?? {};
    this.#hasRates = rates.length > 0 || clients.some((client) => client.rates !== undefined);
    this.gateway = parts.gateway;
    this.url = parts.url;
    this.port = parts.port;
    this.#parts = parts;
  }

  prometheus(): string {
    return this.#parts.metrics.prometheus() + this.#parts.telemetry.prometheus();
  }

  reload(config: Config, files: FileDigests, all: boolean): Promise<Reloaded> {
    // One after the other: each is compared with what the one before has left.
    const reloaded = this.#reloading.then(() => this.#reload(config, files, all));
    this.#reloading = reloaded.catch(() => {});
    return reloaded;
  }

  async #reload(config: Config, files: FileDigests, all: boolean): Promise<Reloaded> {
    const { sources, secrets, log, gateway, plugins, providers, store } = this.#parts;
    const options = await toGatewayOptions(config, sources);
    const hidden = secrets.begin(options.secrets);
    await using undo = new AsyncDisposableStack();
    const prepared = await prepareProviders(providers, config, options, files, all);
    undo.defer(() => prepared.abandon());
    const change = await plugins.prepare(config, sources, { all });
    undo.defer(() => change.abandon());
    hidden.add(change.secrets);
    const retired = gateway.reload({ ...setupOf(options, prepared.providers), ...accessOf(options, store, this.#hasRates) });
    try {
      // What is wrong shows at once, since all is loaded; what still uses the old ones may take long.
      await Promise.race([retired, setImmediate()]);
    } catch (error) {
      throw placed(error, config);
    }
    undo.move();
    this.#hasRates ||= options.rateLimits !== undefined;
    const closeOld = prepared.commit();
    const forgetOld = hidden.commit();
    retired
      .then(closeOld)
      .catch((error: unknown) => log.warn(String(error)))
      // What still ends may tell the secrets that it was begun with.
      .finally(forgetOld);
    const changes = change.commit();
    this.#parts.say(config, prepared.reports);
    return { ...changes, later: laterKeys(this.#parts.config, config) };
  }

  async close(drainMs: number): Promise<void> {
    const { log, opened } = this.#parts;
    const timer = setTimeout(() => {
      const { requests } = this.gateway.health();
      if (requests > 0) log.warn({ requests }, "the time to stop is over, and these are broken off");
    }, drainMs);
    await this.gateway.close({ drainMs });
    clearTimeout(timer);
    await opened.disposeAsync();
  }
}

/** Loads them. @throws MortiseError MORTISE_CONFIG_INVALID for what a provider refuses, or as `loadProvider` */
async function prepareProviders(
  providers: ConfiguredProviders,
  config: Config,
  options: ConfiguredGateway,
  files: FileDigests,
  all: boolean,
): Promise<PreparedProviders> {
  try {
    return await providers.prepare(options.providers, files, all);
  } catch (error) {
    throw providerFault(error, config);
  }
}

/** Logs new versions of plugins; gives what ends it. */
function sayReloads(log: ServerLog): () => void {
  const onChange = (event: unknown): void => {
    const { plugin, version, from, to } = event as LifecycleEvent;
    if (from === "loading" && to === "ready") log.info({ plugin, version }, "loaded a version of a plugin");
  };
  subscribe(CHANNELS.lifecycle, onChange);
  return () => void unsubscribe(CHANNELS.lifecycle, onChange);
}

function setupOf({ aliases, attempts, defaultProvider }: ConfiguredGateway, providers: GatewayProviders): GatewaySetup {
  return { providers, aliases, attempts, ...(defaultProvider !== undefined && { defaultProvider }) };
}

/** Rates are counted where plugins keep their keys, too. Without any they are not counted at all, unless it is to end those that there were. */
function accessOf({ clients, rateLimits, clientConcurrency }: ConfiguredGateway, store: Store, hadRates: boolean): GatewayAccess {
  return {
    ...((hadRates || rateLimits !== undefined) && { rateLimits: { ...rateLimits, store } }),
    ...(clients && { clients }),
    ...(clientConcurrency && { clientConcurrency }),
  };
}

function namesOf({ gateway }: Config): { readonly names?: readonly string[] } {
  return gateway?.names === undefined ? {} : { names: gateway.names };
}

async function startListening(
  gateway: Gateway,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<{ url: string; port: number }> {
  try {
    return await gateway.start();
  } catch (error) {
    throw listenError(error, host, port);
  }
}

const LISTEN_REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: "something else listens there already",
  EACCES: "this process may not",
  EADDRNOTAVAIL: "this machine has no such address",
  ENOTFOUND: "there is no such name",
};

/** The error for an address that cannot be listened at. */
export function listenError(error: unknown, host: string, port: number): unknown {
  if (!(error instanceof Error) || !("syscall" in error && "code" in error)) return error;
  const { message, code } = error;
  return new MortiseError(
    "MORTISE_LISTEN",
    { address: `${host.includes(":") ? `[${host}]` : host}:${port}`, reason: LISTEN_REASONS[String(code)] ?? message, port },
    error,
  );
}

/** Keys that count from the next start only, and are not what they were at this one. */
function laterKeys(before: Config, after: Config): string[] {
  const old = shown(before);
  return Object.entries(shown(after)).flatMap(([key, value]) => (JSON.stringify(value) === JSON.stringify(old[key]) ? [] : [key]));
}

function shown({ gateway, store, services, databases, hooks }: Config): Record<string, unknown> {
  return {
    "gateway.host": gateway?.host,
    "gateway.port": gateway?.port,
    "gateway.metrics_port": gateway?.metricsPort,
    "gateway.names": gateway?.names,
    "gateway.watch": gateway?.watch,
    "gateway.drain_ms": gateway?.drainMs,
    // Whether there are any; who they are counts at once.
    "gateway.clients": gateway?.clients === undefined,
    "gateway.client_concurrency": gateway?.clientConcurrency === undefined,
    "gateway.limits": gateway?.limits,
    store,
    services,
    databases,
    hooks,
  };
}
