// The gateway: an endpoint in front of model providers, with plugins around every request.

import { type Logger, MortiseError, createHost, isMortiseError } from "mortise";

import { ClientKeys } from "./client-keys.ts";
import type { Access, Core, GatewayLogger, ProviderDescription } from "./core.ts";
import { type GatewayHost, gatewayHooks } from "./hooks.ts";
import { InjectedExchange } from "./inject.ts";
import { type GatewayAccess, type GatewayOptions, type GatewaySetup, checkClients, checkOptions, resolveLimits } from "./options.ts";
import { Gates, resolveGate } from "./policies/gate.ts";
import { RateLimiter } from "./policies/rate-limiter.ts";
import { type Listening, listen } from "./server.ts";
import { serve } from "./serve.ts";
import { loadSetup } from "./setup.ts";

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
    const state = { running: 0, isClosing: false };
    return new RunningGateway({ setup, host, ...access, limits, logger, state, names: undefined, clock }, options.listen);
  } catch (error) {
    await setup.retire();
    throw error;
  }
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
  /** Exchanges without a socket, which closing breaks off. */
  readonly #injected = new Set<InjectedExchange>();
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
    const { url, port } = await this.#listening;
    return { url, port };
  }

  async inject(request: Request): Promise<Response> {
    const exchange = new InjectedExchange(request);
    this.#injected.add(exchange);
    void serve(this.#core, exchange).finally(() => this.#injected.delete(exchange));
    return exchange.response;
  }

  health(): GatewayHealth {
    const { running, isClosing } = this.#core.state;
    return { status: isClosing ? "closing" : "ready", requests: running, providers: this.#core.setup.describe() };
  }

  async reload(setup: GatewaySetup & GatewayAccess): Promise<void> {
    this.#checkOpen("reload");
    checkClients(setup);
    const access = accessOf(setup, this.#core.logger);
    const next = await loadSetup(setup, this.#core.clock, this.#core.logger);
    if (this.#closing !== undefined) {
      await next.retire();
      this.#checkOpen("reload");
    }
    const before = this.#core.setup;
    Object.assign(this.#core, access);
    this.#core.setup = next;
    await before.retire();
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
    this.#core.state.isClosing = true;
    const listening = await this.#listening?.catch(() => undefined);
    const cutOff = setTimeout(() => {
      listening?.abort();
      for (const exchange of this.#injected) exchange.destroy();
    }, drainMs);
    await listening?.close();
    await this.#core.setup.retire();
    clearTimeout(cutOff);
    await this.host.close();
  }
}
