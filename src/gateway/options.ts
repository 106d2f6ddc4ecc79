// Options of a gateway, checked and completed.

import { type BreakerOptions, type HostOptions, type PluginSource, type Provider, type ProviderOptions, type Services } from "mortise";

import type { ClientKey } from "./client-keys.ts";
import type { GatewayLogger } from "./core.ts";
import type { GatewayHookOptions, GatewayHooks } from "./hooks.ts";
import type { AliasOptions } from "./policies/aliases.ts";
import type { AttemptOptions } from "./policies/attempt-policy.ts";
import { checkKeys, invalidOption, withDefaults } from "./policies/check-options.ts";
import type { GateOptions } from "./policies/gate.ts";
import type { KeyOptions, KeyRingOptions } from "./policies/key-ring.ts";
import type { RateLimiterOptions } from "./policies/rate-limiter.ts";

/** What the gateway needs of a provider: what `loadProvider` gives has it, and code of the application may have it too. */
export type ModelProvider = Pick<Provider, "chat" | "chatStream" | "embedWithUsage" | "listModels" | "passes" | "forward"> &
  // Without it, every parameter counts as one that it takes.
  Partial<Pick<Provider, "takes">>;

/** How a provider is asked. */
export interface ProviderPolicy {
  /** Names, or patterns with `*`, of its models that can be asked for without its name in front. @default none */
  readonly models?: readonly string[];
  /** Refuses all other models. @default false */
  readonly onlyListed?: boolean;
  /**
   * Asks it for its models when a client wants the list, and remembers them for five minutes.
   *
   * @default for a plugin, true if it has a key, or can tell them without asking a server; for others true
   */
  readonly listModels?: boolean;
  /** Keys to choose from, in place of the one that its options have. @default none */
  readonly keys?: readonly KeyOptions[];
  /** How long a key rests that the provider refused. @default the defaults of each option */
  readonly keyRest?: KeyRingOptions;
  /** Requests to it at a time. @default unlimited */
  readonly concurrency?: GateOptions;
  /** When it is not asked for a while; `false` for never. @default the defaults of each option */
  readonly breaker?: BreakerOptions | false;
}

/** A provider that the gateway loads, and closes with itself. */
export interface ProviderSource extends ProviderPolicy {
  /** Path, URL, bytes or manifest of the plugin. */
  readonly source: PluginSource;
  /** What it is loaded with. @default none */
  readonly options?: Omit<ProviderOptions, "name">;
}

/** A provider that is loaded already; who loaded it closes it. */
export interface LoadedProvider extends ProviderPolicy {
  /** What `loadProvider` gave, or code of your own. */
  readonly provider: ModelProvider;
}

/** Providers by the name that clients put before a model's. */
export type GatewayProviders = Readonly<Record<string, ProviderSource | LoadedProvider>>;

/** What may be replaced while the gateway runs. */
export interface GatewaySetup {
  /** At least one; names are letters, digits, dots, dashes and underscores. */
  readonly providers: GatewayProviders;
  /** Other names of models. @default none */
  readonly aliases?: Readonly<Record<string, AliasOptions>>;
  /** Who is asked for models that nobody lists. @default the provider, if there is just one */
  readonly defaultProvider?: string;
  /** Retries, fallbacks and deadlines. @default the defaults of each option */
  readonly attempts?: AttemptOptions;
}

/** Bounds of a gateway. */
export interface GatewayLimits {
  /** Bytes of a request's body. @default 16 MiB */
  readonly bodyBytes?: number;
  /**
   * Bytes of the bodies of all requests under way together, as stated or as they come; others are answered with 503. One of
   * several clients with keys has at most a half. @default 1024 MiB (`bodyBytes` if that is more)
   */
  readonly pendingBodyBytes?: number;
  /** Bytes of a request's headers. @default 16 KiB */
  readonly headerBytes?: number;
  /** Requests at a time; others are answered with 503. @default 16,384 */
  readonly requests?: number;
  /** Milliseconds for one request with all its attempts, to the end of its answer, without what its body takes. @default 600,000 */
  readonly timeoutMs?: number;
}

/** Limits with every default filled in. */
export type ResolvedLimits = Required<GatewayLimits>;

/** Where a gateway listens. */
export interface ListenOptions {
  /** Address, or name of one. @default "127.0.0.1" */
  readonly host?: string;
  /** Port. @default 0: any that is free */
  readonly port?: number;
  /**
   * Names in the header `host` that are answered. @default on loopback without client keys those of this machine, so that no
   * page in a browser reaches the gateway under a name of its own; else any
   */
  readonly names?: readonly string[];
}

/** Who may use a gateway, and how much of it. */
export interface GatewayAccess {
  /** Clients that may use it. @default none: everybody who reaches it */
  readonly clients?: readonly ClientKey[];
  /** How much clients may use, by name; without client keys, all are one client with the name "". @default no limits */
  readonly rateLimits?: Omit<RateLimiterOptions, "clock" | "onError">;
  /** Requests of one client at a time. @default unlimited */
  readonly clientConcurrency?: GateOptions;
}

/** Options of `createGateway`. */
export interface GatewayOptions extends GatewaySetup, GatewayAccess {
  /** Bounds of requests. @default the defaults of each option */
  readonly limits?: GatewayLimits;
  /** Where `start` listens. @default the defaults of each option */
  readonly listen?: ListenOptions;
  /** How plugins see requests. @default the defaults of each option */
  readonly hooks?: GatewayHookOptions;
  /** Gives the hooks with other failure policies or times; `withConfiguredHooks` of a configuration does. @default as they are */
  readonly configureHooks?: (hooks: GatewayHooks) => GatewayHooks;
  /** Services for plugins; whoever made them closes them. @default none */
  readonly services?: Services;
  /** What all plugins of the hooks are loaded with, and may have together. @default nothing */
  readonly plugins?: Pick<HostOptions<GatewayHooks>, "defaults" | "limits" | "pluginCalls">;
  /** Receives a line for each request; pino fits. @default none */
  readonly logger?: GatewayLogger;
  /** Monotonic clock in milliseconds, for tests. @default performance.now */
  readonly clock?: () => number;
}

const RELOADABLE: Readonly<Record<keyof (GatewaySetup & GatewayAccess), true>> = {
  providers: true,
  aliases: true,
  defaultProvider: true,
  attempts: true,
  clients: true,
  rateLimits: true,
  clientConcurrency: true,
};

const OPTIONS: Readonly<Record<keyof GatewayOptions, true>> = {
  ...RELOADABLE,
  limits: true,
  listen: true,
  hooks: true,
  configureHooks: true,
  services: true,
  plugins: true,
  logger: true,
  clock: true,
};

const PROVIDER: Readonly<Record<keyof (ProviderSource & LoadedProvider), true>> = {
  source: true,
  options: true,
  provider: true,
  models: true,
  onlyListed: true,
  listModels: true,
  keys: true,
  keyRest: true,
  concurrency: true,
  breaker: true,
};

const LIMITS: ResolvedLimits = {
  bodyBytes: 16 << 20,
  // 64 bodies of the greatest length, or 64 KiB for each request that may be under way.
  pendingBodyBytes: 1 << 30,
  headerBytes: 16 << 10,
  requests: 16_384,
  timeoutMs: 600_000,
};

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkOptions(options: GatewayOptions): void {
  checkKeys(options, "", Object.keys(OPTIONS));
  checkKeys(options.hooks ?? {}, "hooks", ["spelling", "timeoutMs"]);
  checkNamed(options);
}

/** What is given in place of what was given before. @throws MortiseError MORTISE_INVALID_OPTION */
export function checkReload(options: GatewaySetup & GatewayAccess): void {
  checkKeys(options, "", Object.keys(RELOADABLE));
  checkNamed(options);
}

/** Providers and clients. */
function checkNamed({ providers = {}, clients = [] }: Partial<GatewaySetup> & GatewayAccess): void {
  for (const [name, provider] of Object.entries(providers)) checkKeys(provider, `providers.${name}`, Object.keys(PROVIDER));
  const names = new Set<string>();
  for (const [index, client] of clients.entries()) {
    const option = `clients[${index}]`;
    checkKeys(client, option, ["name", "sha256"]);
    if (!/^[\w.@-]{1,64}$/.test(client.name))
      throw invalidOption(`${option}.name`, client.name, "1 to 64 letters, digits, dots, dashes, underscores and @");
    if (names.has(client.name)) throw invalidOption(`${option}.name`, client.name, "another name than those before");
    names.add(client.name);
    if (!/^[0-9a-f]{64}$/i.test(client.sha256)) throw invalidOption(`${option}.sha256`, "something else", "64 hexadecimal digits");
  }
}

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveLimits(limits: GatewayLimits = {}): ResolvedLimits {
  checkKeys(limits, "limits", Object.keys(LIMITS));
  const { bodyBytes = LIMITS.bodyBytes } = limits;
  const resolved = withDefaults({ ...LIMITS, pendingBodyBytes: Math.max(LIMITS.pendingBodyBytes, bodyBytes) }, limits);
  for (const [name, value] of Object.entries(resolved)) {
    const isWhole = Number.isSafeInteger(value) || (name === "timeoutMs" && value === Number.POSITIVE_INFINITY);
    if (!isWhole || value < 1) throw invalidOption(`limits.${name}`, value, "a whole number, 1 or more");
  }
  if (resolved.pendingBodyBytes < bodyBytes)
    throw invalidOption("limits.pendingBodyBytes", resolved.pendingBodyBytes, `limits.bodyBytes, which is ${bodyBytes}, or more`);
  return resolved;
}
