// A host: hooks of an application, and the plugins that take part in them.

import type { Logger } from "../abi/guest.ts";
import { invalidOption } from "../api/limits.ts";
import type { RequestContext, RequestOptions } from "../api/request.ts";
import { printable } from "../api/errors.ts";
import type { ServiceProvider } from "../api/services.ts";
import type { HookDefinitions } from "../hooks/definition.ts";
import { type HookFunctions, hookFunctions, newRequest } from "../hooks/host-hooks.ts";
import { Roster } from "../hooks/roster.ts";
import type { PluginOptions } from "../host/options.ts";
import type { CloseOptions } from "../host/plugin.ts";
import { now } from "../wasm/meter.ts";
import { type HostLimits, resolveHostLimits } from "./host-limits.ts";
import { HostPlugins } from "./host-plugins.ts";
import { createPluginCalls } from "./plugin-calls/create-plugin-calls.ts";
import { type PluginCallOptions, resolvePluginCalls } from "./plugin-calls/options.ts";

/** Options of {@link createHost}. */
export interface HostOptions<D extends HookDefinitions> {
  /** The hooks, by name. */
  readonly hooks: D;
  /** Services for the plugins, as their permissions say; `createServices` makes them, and whoever made them closes them. @default none */
  readonly services?: ServiceProvider;
  /** How plugins may call each other; which may call which is up to `permissions.call`. @default the defaults of each option */
  readonly pluginCalls?: PluginCallOptions;
  /** Options that plugins are loaded with where their own say nothing; limits and permissions are taken one by one. @default none */
  readonly defaults?: Omit<PluginOptions, "name" | "signal" | "clock">;
  /** What all plugins together may have. @default the defaults of each limit */
  readonly limits?: HostLimits;
  /** Receives a warning for every failure that an open hook goes on without, and the plugins' log lines if `defaults` name no other. @default none */
  readonly logger?: Logger;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

/** What an application embeds. */
export interface Host<D extends HookDefinitions> {
  /** Runs hooks. */
  readonly hooks: HookFunctions<D>;
  /** Loads and unloads plugins. */
  readonly plugins: HostPlugins;
  /** A context for one request, to be passed to all hooks that are run for it. */
  request(options?: RequestOptions): RequestContext;
  /** Unloads all plugins. Runs under way come to their end first, or are ended if `abort` is set; later ones fail with MORTISE_HOST_CLOSED. */
  close(options?: CloseOptions): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const OPTIONS: Record<keyof HostOptions<HookDefinitions>, true> = {
  hooks: true,
  services: true,
  pluginCalls: true,
  defaults: true,
  limits: true,
  logger: true,
  clock: true,
};

/**
 * Makes a host without plugins; `host.plugins.load` adds them.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export async function createHost<const D extends HookDefinitions>(options: HostOptions<D>): Promise<Host<D>> {
  for (const key of Object.keys(options))
    if (!Object.hasOwn(OPTIONS, key)) throw invalidOption(key, "unknown", `one of ${Object.keys(OPTIONS).join(", ")}`);
  const { hooks: definitions, services, logger, defaults = {}, clock = now } = options;
  checkHooks(definitions);
  const roster = new Roster(definitions);
  const calls = createPluginCalls(
    resolvePluginCalls(options.pluginCalls),
    (name, context) => plugins.callee(name, context),
    (source, own) => plugins.loadRegistered(source, own),
  );
  const plugins: HostPlugins = new HostPlugins(roster, {
    definitions,
    defaults: { ...(services && { services }), ...(logger && { logger }), calls, ...defaults },
    limits: resolveHostLimits(options.limits),
    clock,
    logger,
  });
  const hooks = hookFunctions(definitions, roster, {
    clock,
    closed: () => plugins.closed,
    onFailure:
      logger &&
      (({ hook, plugin, request, policy, error }) => {
        if (policy === "open") logger.warn(`hook "${hook}" goes on without plugin "${plugin}" for request ${printable(request)}: ${error.message}`);
      }),
  });
  const close = (closing?: CloseOptions): Promise<void> => plugins.close(closing);
  return Object.freeze({
    hooks,
    plugins,
    request: (requestOptions?: RequestOptions) => newRequest({ clock }, requestOptions),
    close,
    [Symbol.asyncDispose]: close,
  });
}

function checkHooks(definitions: unknown): asserts definitions is HookDefinitions {
  if (typeof definitions !== "object" || definitions === null) throw invalidOption("hooks", typeof definitions, "hooks by name");
  for (const [name, definition] of Object.entries(definitions)) {
    if (!/^[a-z_]\w*$/i.test(name)) throw invalidOption(`hooks.${name}`, "no identifier", "a name of letters, digits and underscores");
    if (typeof definition !== "object" || definition === null || !("kind" in definition))
      throw invalidOption(`hooks.${name}`, typeof definition, "what hook.first, hook.chain, hook.all or hook.bracket gives");
  }
}
