// What a gateway is made with, out of `[gateway]`: options of `createGateway`, with their secrets.

import { hash } from "node:crypto";

import { configError, problemAt } from "./problems.ts";
import type { Config } from "./config.ts";
import type { ClientConfig, GatewayConfig, ProviderConfig, RateConfig } from "./gateway-config.ts";
import { type SecretSources, inOrder, secretReader } from "./resolve-secrets.ts";

/** A provider as `createGateway` takes it. */
export interface ConfiguredProvider extends Pick<ProviderConfig, "source" | "models" | "onlyListed" | "keyRest" | "breaker"> {
  readonly options: ConfiguredProviderOptions;
  readonly listModels?: boolean;
  readonly concurrency?: NonNullable<ProviderConfig["concurrency"]>;
  readonly keys?: readonly { readonly name?: string; readonly value: string; readonly weight?: number; readonly models?: readonly string[] }[];
}

type Timeouts = Pick<ProviderConfig, "requestTimeoutMs" | "streamTimeoutMs" | "maxInstances" | "maxLineBytes">;

interface ConfiguredProviderOptions extends Pick<ProviderConfig, "isolation" | "logLevel" | "limits">, Timeouts {
  readonly digest?: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly secrets: readonly string[];
  readonly permissions: { readonly hosts: readonly string[] };
  readonly http: Omit<ProviderConfig["http"], "ca"> & { readonly ca?: readonly string[] };
  readonly native?: Config["native"];
}

/** Options of `createGateway` that a configuration has; rates need a store besides. */
export interface ConfiguredGateway extends Pick<GatewayConfig, "aliases" | "attempts" | "limits"> {
  readonly providers: Readonly<Record<string, ConfiguredProvider>>;
  readonly defaultProvider?: string;
  readonly clients?: readonly { readonly name: string; readonly sha256: string }[];
  readonly rateLimits?: {
    readonly limits: readonly RateConfig[];
    readonly clients: Readonly<Record<string, readonly RateConfig[]>>;
    readonly onStoreFailure: "closed" | "open";
  };
  readonly clientConcurrency?: NonNullable<GatewayConfig["clientConcurrency"]>;
  /** Values that must not be printed anywhere. */
  readonly secrets: readonly string[];
}

/**
 * Reads the secrets of `[gateway]`, and makes options of it.
 *
 * @throws MortiseError MORTISE_SECRET_MISSING; MORTISE_CONFIG_INVALID if there is no `[gateway]`, for a key that no client can send,
 *   and for one that two clients have
 */
export async function toGatewayOptions({ gateway, native, documents }: Config, sources: SecretSources): Promise<ConfiguredGateway> {
  if (gateway === undefined) {
    const origin = documents[0]?.origin ?? { source: "the configuration" };
    throw configError([problemAt(origin, { place: ["gateway"], reason: "is missing; [[gateway.providers]] names who answers" })]);
  }
  const { aliases, attempts, limits, defaultProvider, clientConcurrency } = gateway;
  const secrets = new Set<string>();
  const providers = await inOrder(gateway.providers, async (each) => [each.name, await toProvider(each, native, sources, secrets)] as const);
  const clients = gateway.clients && (await toClients(gateway.clients, gateway, sources, secrets));
  const rateLimits = ratesOf(gateway);
  return {
    providers: Object.fromEntries(providers),
    aliases,
    attempts,
    limits,
    ...(defaultProvider !== undefined && { defaultProvider }),
    ...(clients && { clients }),
    ...(rateLimits && { rateLimits }),
    ...(clientConcurrency && { clientConcurrency }),
    secrets: [...secrets],
  };
}

async function toProvider(provider: ProviderConfig, native: Config["native"], sources: SecretSources, all: Set<string>): Promise<ConfiguredProvider> {
  const { source, models, onlyListed, listModels, keyRest, breaker, concurrency, keys, digest, isolation, logLevel, limits, hosts } = provider;
  const { read, readTable, secrets } = secretReader(provider, sources);
  const config = await readTable(provider.config, ["config"]);
  const { ca, ...http } = provider.http;
  const certificates = ca && (await inOrder(ca, (each, index) => read(each, "http", "ca", index)));
  const chosen = keys && (await inOrder(keys, async ({ key, ...rest }, index) => ({ ...rest, value: await read(key, "keys", index, "key") })));
  for (const secret of secrets) all.add(secret);
  for (const { value } of chosen ?? []) all.add(value);
  const options: ConfiguredProviderOptions = {
    isolation,
    logLevel,
    limits,
    ...timeoutsOf(provider),
    ...(digest !== undefined && { digest }),
    config,
    secrets: [...secrets],
    permissions: { hosts },
    http: { ...http, ...(certificates && { ca: certificates }) },
    ...(native.length > 0 && { native }),
  };
  return {
    source,
    options,
    models,
    onlyListed,
    keyRest,
    breaker,
    ...(listModels !== undefined && { listModels }),
    ...(concurrency && { concurrency }),
    ...(chosen && { keys: chosen }),
  };
}

function timeoutsOf({ requestTimeoutMs, streamTimeoutMs, maxInstances, maxLineBytes }: ProviderConfig): Timeouts {
  return {
    ...(requestTimeoutMs !== undefined && { requestTimeoutMs }),
    ...(streamTimeoutMs !== undefined && { streamTimeoutMs }),
    ...(maxInstances !== undefined && { maxInstances }),
    ...(maxLineBytes !== undefined && { maxLineBytes }),
  };
}

async function toClients(
  clients: readonly ClientConfig[],
  { origin }: GatewayConfig,
  sources: SecretSources,
  all: Set<string>,
): Promise<{ name: string; sha256: string }[]> {
  const { read } = secretReader({ origin, place: ["gateway", "clients"] }, sources);
  const names = new Map<string, string>();
  return inOrder(clients, async ({ name, key, sha256 = "" }, index) => {
    const text = key === undefined ? undefined : await read(key, index, "key");
    const fail = (reason: string): never => {
      throw configError([problemAt(origin, { place: ["gateway", "clients", index, key === undefined ? "sha256" : "key"], reason })]);
    };
    // What a header cannot carry nobody can send. The key itself is in no message.
    if (text !== undefined && !/^[\x21-\x7e]{1,1024}$/.test(text))
      fail("is no key that a client could send: 1 to 1024 characters of ASCII without spaces");
    if (text !== undefined) all.add(text);
    const digest = text === undefined ? sha256.toLowerCase() : hash("sha256", text);
    const other = names.get(digest);
    if (other !== undefined) fail(`is that of client "${other}", too`);
    names.set(digest, name);
    return { name, sha256: digest };
  });
}

/** Limits of clients; undefined if nobody has any. */
function ratesOf({ rates, clients = [], onStoreFailure }: GatewayConfig): ConfiguredGateway["rateLimits"] {
  const own = clients.flatMap(({ name, rates: given }) => (given === undefined ? [] : [[name, given] as const]));
  return rates.length === 0 && own.length === 0 ? undefined : { limits: rates, clients: Object.fromEntries(own), onStoreFailure };
}
