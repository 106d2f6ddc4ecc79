// The gateway: an endpoint in front of model providers, with plugins around every request.

import { randomBytes } from "node:crypto";

import { type AllFunction, type Logger, MortiseError, createHost, isMortiseError } from "mortise";

import { ClientKeys } from "./client-keys.ts";
import type { Access, Core, Reports, GatewayLogger, ProviderDescription } from "./core.ts";
import { type GatewayHost, gatewayHooks } from "./hooks.ts";
import { InjectedExchange } from "./inject.ts";
import {
  type GatewayAccess,
  type GatewayOptions,
  type GatewaySetup,
  type ResolvedLimits,
  checkOptions,
  checkReload,
  resolveLimits,
} from "./options.ts";
import { PendingBodies } from "./pending-bodies.ts";
import { Gates, resolveGate } from "./policies/gate.ts";
import { RateLimiter } from "./policies/rate-limiter.ts";
import { ReportQueue } from "./report-queue.ts";
import { type Listening, listen } from "./server.ts";
import { serve } from "./serve.ts";
import { loadSetup } from "./setup.ts";

/** Of what bodies under way may have, so much may wait for observers: a quarter. */
const REPORTS_PART = 4;

/** How a gateway is closed. */
export interface GatewayCloseOptions {
  /** Milliseconds for requests under way to end; what is left then is broken off. @default 10,000 */
  readonly drainMs?: number;
}

/** How a gateway is doing. */
export interface GatewayHealth {
  readonly status: "ready" | "closing";
  /** Requests under way. */
  readonly requests: number;
  /** Requests of which plugins with `on_completion` or `on_usage` were not told, since too much waited to be told. */
  readonly untold: number;
  readonly providers: readonly ProviderDescription[];
}

/** A gateway. */
export interface Gateway extends AsyncDisposable {
  /** The host of its hooks: load plugins into `host.plugins`. */
  readonly host: GatewayHost;
  /** Listens. Starting twice is starting once. @throws Error of the system if it cannot listen; MortiseError MORTISE_HOST_CLOSED */
  start(): Promise<{ readonly url: string; readonly port: number }>;
  /** Serves a request without a socket. */
  inject(request: Request): Promise<Response>;
  health(): GatewayHealth;
  /**
   * Replaces providers and routes, and of who may use them what is named. Requests under way keep theirs; if the new ones
   * cannot be loaded, nothing has changed. Settled when nothing uses the old ones any more.
   */
  reload(setup: GatewaySetup & GatewayAccess): Promise<void>;
  /** Takes no new requests, lets those under way end, and closes plugins and providers. Closing twice is closing once. */
  close(options?: GatewayCloseOptions): Promise<void>;
}

/**
 * Makes a gateway; `start` lets it listen.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION, or as `loadProvider`
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  checkOptions(options);
  const { hooks, configureHooks = (given) => given, services, plugins, logger, clock = () => performance.now() } = options;
  const limits = resolveLimits(options.limits);
  const access: Access = { keys: undefined, rates: undefined, clientGates: undefined, ...accessOf(options, logger) };
  const setup = await loadSetup(options, clock, logger);
  try {
    const host = await createHost({
      ...plugins,
      hooks: configureHooks(gatewayHooks(hooks, limits)),
      ...(services && { services }),
      ...(logger && { logger: pluginLogger(logger) }),
      clock,
    });
    const state = { running: 0, isClosing: false, run: randomBytes(8).toString("hex"), told: 0 };
    const bodies = new PendingBodies(limits);
    const reports = reportsTo(host, limits, logger);
    return new RunningGateway({ setup, host, ...access, limits, bodies, reports, logger, state, names: undefined, clock }, options.listen);
  } catch (error) {
    await setup.retire();
    throw error;
  }
}

/** Requests are read again when plugins are told of them: what waits for that has a part of what bodies may have. */
function reportsTo(host: GatewayHost, { pendingBodyBytes }: ResolvedLimits, logger: GatewayLogger | undefined): Reports {
  const maxBytes = pendingBodyBytes / REPORTS_PART;
  const queue = <T>(name: string, hook: AllFunction<T>): ReportQueue<T> => {
    const atATime = (): number => Math.min(...hook.plugins.map((plugin) => host.plugins.get(plugin)?.maxInstances ?? 1));
    return new ReportQueue({ name, hook, atATime, logger, maxBytes });
  };
  return { completed: queue("completed", host.hooks.completed), used: queue("used", host.hooks.used) };
}

/** What is named. @throws MortiseError MORTISE_INVALID_OPTION */
function accessOf({ clients, rateLimits, clientConcurrency }: GatewayAccess, logger: GatewayLogger | undefined): Partial<Access> {
  const onError = (error: unknown): void => logger?.error({ code: codeOf(error) }, "the store of rate limits failed");
  return {
    ...(clients && { keys: new ClientKeys(clients) }),
    ...(rateLimits && { rates: new RateLimiter({ ...rateLimits, onError }) }),
    ...(clientConcurrency && { clientGates: new Gates("client", resolveGate(clientConcurrency, "clientConcurrency")) }),
  };
}

function codeOf(error: unknown): string {
  return isMortiseError(error) ? error.code : "UNKNOWN";
}

/** Lines of plugins have no fields. */
function pluginLogger(logger: GatewayLogger): Logger {
  const write =
    (level: keyof Logger) =>
    (message: string): void =>
      logger[level](message);
  return { trace: write("trace"), debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
}

class RunningGateway implements Gateway {
  readonly host: GatewayHost;
  readonly #core: Core;
  readonly #listen: GatewayOptions["listen"];
  /** Exchanges without a socket, which closing breaks off, until they have ended. */
  readonly #injected = new Map<InjectedExchange, Promise<void>>();
  /** Earlier setups, until nothing uses them. */
  readonly #retiring = new Set<Promise<void>>();
  /** The last reload, until it has been taken over or has failed. */
  #swapping: Promise<unknown> = Promise.resolve();
  #listening: Promise<Listening> | undefined;
  #closing: Promise<void> | undefined;

  constructor(core: Core, listenAt: GatewayOptions["listen"]) {
    this.#core = core;
    this.#listen = listenAt;
    this.host = core.host;
  }

  async start(): Promise<{ readonly url: string; readonly port: number }> {
    this.#checkOpen("start the gateway");
    this.#listening ??= listen(this.#core, this.#listen);
    try {
      const { url, port } = await this.#listening;
      return { url, port };
    } catch (error) {
      // It may be tried again: the port may be free then.
      this.#listening = undefined;
      throw error;
    }
  }

  async inject(request: Request): Promise<Response> {
    const exchange = new InjectedExchange(request);
    const served = serve(this.#core, exchange).finally(() => this.#injected.delete(exchange));
    this.#injected.set(exchange, served);
    return exchange.response;
  }

  health(): GatewayHealth {
    const { state, reports } = this.#core;
    const { running, isClosing } = state;
    const untold = reports.completed.dropped + reports.used.dropped;
    return { status: isClosing ? "closing" : "ready", requests: running, untold, providers: this.#core.setup.describe() };
  }

  async reload(setup: GatewaySetup & GatewayAccess): Promise<void> {
    this.#checkOpen("reload");
    checkReload(setup);
    // One after the other, so that what was asked for last is what holds in the end.
    const swapping = this.#swapping.then(() => this.#swap(setup));
    this.#swapping = swapping.catch(() => {});
    const { retired } = await swapping;
    await retired;
  }

  /** Puts a setup in the place of another one. @returns what is settled when nothing uses that one any more */
  async #swap(setup: GatewaySetup & GatewayAccess): Promise<{ readonly retired: Promise<void> }> {
    const access = accessOf(setup, this.#core.logger);
    const next = await loadSetup(setup, this.#core.clock, this.#core.logger);
    if (this.#closing !== undefined) {
      await next.retire();
      this.#checkOpen("reload");
    }
    const before = this.#core.setup;
    Object.assign(this.#core, access);
    this.#core.setup = next;
    const retired = before.retire().finally(() => this.#retiring.delete(retired));
    this.#retiring.add(retired);
    return { retired };
  }

  #checkOpen(what: string): void {
    if (this.#closing !== undefined) throw new MortiseError("MORTISE_HOST_CLOSED", { what });
  }

  close({ drainMs = 10_000 }: GatewayCloseOptions = {}): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #close(drainMs: number): Promise<void> {
    const { completed, used } = this.#core.reports;
    const queues = [completed, used];
    this.#core.state.isClosing = true;
    const listening = await this.#listening?.catch(() => undefined);
    const cutOff = setTimeout(() => {
      listening?.abort();
      for (const exchange of this.#injected.keys()) exchange.destroy();
      for (const queue of queues) queue.close();
    }, drainMs);
    try {
      await Promise.all([listening?.close(), this.#core.setup.retire(), ...this.#injected.values(), ...this.#retiring]);
      await Promise.all(queues.map((queue) => queue.settled()));
    } finally {
      clearTimeout(cutOff);
      await this.host.close();
    }
  }
}
