// `[gateway]` of a configuration: what its tables mean, once their keys and kinds are right.

import type { Limits } from "../api/limits.ts";
import { type Origin, type Place, quoted } from "../manifest/place.ts";
import { type Ceilings, cappedLimits, limitsBeyond, permissionsBeyond } from "./ceilings.ts";
import { clearSecrets, readValue, tableOf, textOrSecret } from "./config-values.ts";
import type { BreakerConfig, ConfigHttp, ConfigTable, Isolation, LogLevel } from "./config.ts";
import {
  ATTEMPT_KEYS,
  GATEWAY_KEYS,
  GATEWAY_LIMIT_KEYS,
  GATE_KEYS,
  KEY_REST_KEYS,
  PROVIDER_HTTP_KEYS,
  PROVIDER_KEYS,
  RATE_KEYS,
} from "./gateway-keys.ts";
import type { RawClient, RawGateway, RawProvider } from "./gateway-schema.ts";
import { BREAKER_KEYS, LIMIT_KEYS, numbersOf } from "./number-keys.ts";
import { readPermissions, readTransport, resolveSource } from "./plugin-config.ts";
import { type ConfigProblem, type Finding, problemAt } from "./problems.ts";
import { Secret } from "./secret.ts";

/** Numbers of a table; those that are absent have their defaults. */
type Numbers<Keys> = Readonly<Partial<Record<keyof Keys, number>>>;
/** Requests at a time. */
export type GateConfig = Numbers<typeof GATE_KEYS>;
/** How much may be used in a window. */
export type RateConfig = Numbers<typeof RATE_KEYS>;

/** A model, and how often it is chosen beside others. */
export type AliasTargetConfig = string | { readonly to: string; readonly weight?: number };

/** A key of a provider. */
export interface ProviderKeyConfig {
  readonly name?: string;
  readonly key: string | Secret;
  readonly weight?: number;
  readonly models?: readonly string[];
}

/** A provider of models. */
export interface ProviderConfig extends Numbers<typeof PROVIDER_KEYS> {
  readonly name: string;
  /** Absolute path, or URL. */
  readonly source: string;
  readonly digest: string | undefined;
  readonly models: readonly string[];
  readonly onlyListed: boolean;
  /** Undefined where it depends on whether it has a key, or needs none. */
  readonly listModels: boolean | undefined;
  /** As it is written, with secrets that are not resolved. */
  readonly config: ConfigTable;
  /** Undefined if it has none besides what its configuration says. */
  readonly keys: readonly ProviderKeyConfig[] | undefined;
  readonly keyRest: Numbers<typeof KEY_REST_KEYS>;
  readonly hosts: readonly string[];
  readonly concurrency: GateConfig | undefined;
  readonly breaker: BreakerConfig | false;
  readonly isolation: Isolation;
  readonly logLevel: LogLevel;
  readonly limits: Limits;
  readonly http: Pick<ConfigHttp, "allowHttp" | "ca"> & Numbers<typeof PROVIDER_HTTP_KEYS>;
  /** Where it stands, for messages. */
  readonly origin: Origin;
  readonly place: Place;
}

/** A client that may use the gateway. */
export interface ClientConfig {
  readonly name: string;
  /** Either its key or the hash of it. */
  readonly key: string | Secret | undefined;
  readonly sha256: string | undefined;
  /** Undefined where what holds for each client holds. */
  readonly rates: readonly RateConfig[] | undefined;
}

/** `[gateway]`. */
export interface GatewayConfig {
  readonly host: string;
  /** Undefined where nobody says: 8080 then. */
  readonly port: number | undefined;
  /** Undefined for any that is free. */
  readonly metricsPort: number | undefined;
  readonly drainMs: number;
  readonly names: readonly string[] | undefined;
  readonly watch: boolean;
  readonly defaultProvider: string | undefined;
  readonly providers: readonly ProviderConfig[];
  readonly aliases: Readonly<Record<string, AliasTargetConfig | readonly AliasTargetConfig[]>>;
  /** Undefined if everybody may use it. */
  readonly clients: readonly ClientConfig[] | undefined;
  readonly rates: readonly RateConfig[];
  readonly onStoreFailure: "closed" | "open";
  readonly clientConcurrency: GateConfig | undefined;
  readonly attempts: Numbers<typeof ATTEMPT_KEYS> & { readonly fallbackOn?: RawAttempts["fallback_on"] };
  readonly limits: Numbers<typeof GATEWAY_LIMIT_KEYS>;
  /** Where it stands, for messages. */
  readonly origin: Origin;
}

type RawAttempts = NonNullable<RawGateway["attempts"]>;

/** What the table is read with. */
export interface GatewayScope {
  readonly origin: Origin;
  /** Folder that relative paths start from. */
  readonly folder: string;
  readonly ceilings: Ceilings;
  readonly report: (finding: Finding) => void;
}

const PLACE = ["gateway"];

/** Reads `[gateway]`; what is wrong besides its shape goes to `report`. */
export function readGateway(raw: RawGateway, scope: GatewayScope): GatewayConfig {
  const { origin, folder, report } = scope;
  const { attempts = {}, clients, providers = [], rates = [] } = raw;
  const { port, metricsPort, drainMs } = numbersOf(GATEWAY_KEYS, raw);
  if (providers.length === 0) report({ place: [...PLACE, "providers"], reason: "is missing; it must have one provider at least" });
  refuseTwice(providers, [...PLACE, "providers"], report);
  refuseTwice(clients ?? [], [...PLACE, "clients"], report);
  const limits = numbersOf(GATEWAY_LIMIT_KEYS, raw.limits);
  const { standard = 0, scale } = GATEWAY_LIMIT_KEYS.bodyBytes;
  const { bodyBytes = standard * scale, pendingBodyBytes = bodyBytes } = limits;
  if (pendingBodyBytes < bodyBytes)
    report({ place: [...PLACE, "limits", "pending_body_mb"], reason: "is less than body_mb, so that bodies find no room" });
  const names = providers.map(({ name }) => name);
  if (raw.default_provider !== undefined && !names.includes(raw.default_provider))
    report({ place: [...PLACE, "default_provider"], reason: `is ${quoted(raw.default_provider)}, which is no provider of the configuration` });
  return Object.freeze({
    host: raw.host ?? "127.0.0.1",
    port,
    metricsPort,
    drainMs: drainMs ?? (GATEWAY_KEYS.drainMs.standard as number),
    names: raw.names,
    watch: raw.watch ?? true,
    defaultProvider: raw.default_provider,
    providers: providers.map((each, index) => readProvider(each, [...PLACE, "providers", index], scope)),
    aliases: tableOf(Object.entries(raw.aliases ?? {})) as GatewayConfig["aliases"],
    clients: clients?.map((each, index) => readClient(each, [...PLACE, "clients", index], folder, report)),
    rates: readRates(rates, [...PLACE, "rates"], report),
    onStoreFailure: raw.on_store_failure ?? "closed",
    clientConcurrency: raw.client_concurrency && numbersOf(GATE_KEYS, raw.client_concurrency),
    attempts: { ...numbersOf(ATTEMPT_KEYS, attempts), ...(attempts.fallback_on !== undefined && { fallbackOn: attempts.fallback_on }) },
    limits,
    origin,
  });
}

function refuseTwice(tables: readonly { readonly name: string }[], place: Place, report: GatewayScope["report"]): void {
  for (const [index, { name }] of tables.entries())
    if (tables.findIndex((each) => each.name === name) < index)
      report({ place: [...place, index, "name"], reason: `is ${quoted(name)}, which is given twice` });
}

function readProvider(raw: RawProvider, place: Place, { origin, folder, ceilings, report }: GatewayScope): ProviderConfig {
  const { path, host } = resolveSource(raw.source, folder, "provider", (reason) => report({ place: [...place, "source"], reason }));
  const config = tableOf(
    Object.entries(raw.config ?? {}).map(([key, value]) => [key, readValue(value, [...place, "config", key], folder, report)] as const),
  );
  const limits = numbersOf(LIMIT_KEYS, raw.limits) as Limits;
  const { hosts = hostsOf(config["base_url"], host) } = readPermissions(raw.permissions, [...place, "permissions"], folder, report);
  const beyond = [
    ...limitsBeyond(limits, ceilings.limits, [...place, "limits"]),
    ...permissionsBeyond({ hosts }, ceilings.permissions, [...place, "permissions"]),
  ];
  for (const finding of beyond) report(finding);
  if (raw.keys !== undefined) {
    const at = [...place, "keys"];
    if (raw.keys.length === 0) report({ place: at, reason: "is empty; it must have one key at least" });
    if (config["api_key"] !== undefined) report({ place: at, reason: "stands beside api_key in config; one of them has to go" });
  }
  return Object.freeze({
    ...numbersOf(PROVIDER_KEYS, raw),
    name: raw.name,
    source: path,
    digest: raw.digest,
    models: raw.models ?? [],
    onlyListed: raw.only_listed ?? false,
    listModels: raw.list_models,
    config,
    keys: raw.keys?.map(({ key, ...rest }) => ({ ...rest, key: textOrSecret(key, folder) }) as ProviderKeyConfig),
    keyRest: numbersOf(KEY_REST_KEYS, raw.key_rest),
    hosts,
    concurrency: raw.concurrency && numbersOf(GATE_KEYS, raw.concurrency),
    breaker: raw.breaker?.enabled === false ? false : numbersOf(BREAKER_KEYS, raw.breaker),
    isolation: raw.isolation ?? "inline",
    logLevel: raw.log_level ?? "info",
    limits: cappedLimits(limits, ceilings.limits),
    http: { ...readTransport(raw.http ?? {}, folder), ...standards(), ...numbersOf(PROVIDER_HTTP_KEYS, raw.http) },
    origin,
    place,
  });
}

/** Defaults that are not those of `loadProvider`. */
function standards(): Pick<ProviderConfig["http"], "maxConcurrent"> {
  return { maxConcurrent: PROVIDER_HTTP_KEYS.maxConcurrent.standard as number };
}

/** Where a provider may go if nobody says: to the server that its operator named, or that it is made for. */
function hostsOf(baseUrl: unknown, host: string | undefined): readonly string[] {
  const url = typeof baseUrl === "string" ? URL.parse(baseUrl) : null;
  if (url !== null && url.hostname !== "") return [url.port === "" ? url.hostname.replace(/^\[(.*)\]$/, "$1") : url.host];
  return host === undefined || baseUrl !== undefined ? [] : [host];
}

function readClient({ name, key, sha256, rates }: RawClient, place: Place, folder: string, report: GatewayScope["report"]): ClientConfig {
  if ((key === undefined) === (sha256 === undefined)) {
    const both = key === undefined ? "has neither key nor sha256" : "has both key and sha256";
    report({ place, reason: `${both}; it must have one of them` });
  }
  return {
    name,
    key: key === undefined ? undefined : textOrSecret(key, folder),
    sha256,
    rates: rates && readRates(rates, [...place, "rates"], report),
  };
}

function readRates(raw: NonNullable<RawGateway["rates"]>, place: Place, report: GatewayScope["report"]): readonly RateConfig[] {
  return raw.map((each, index) => {
    const rate = numbersOf(RATE_KEYS, each);
    if (rate.requests === undefined && rate.tokens === undefined)
      report({ place: [...place, index], reason: "has neither requests nor tokens; it must have one of them" });
    return rate;
  });
}

/** Secrets in the clear. */
export function gatewayWarnings({ providers, clients = [], origin }: GatewayConfig): ConfigProblem[] {
  const inClear = (key: string | Secret | undefined): boolean => key !== undefined && !(key instanceof Secret);
  const places: readonly Place[] = [
    ...providers.flatMap(({ config, keys = [], place }) => [
      ...clearSecrets(config, [...place, "config"]),
      ...keys.flatMap(({ key }, index): Place[] => (inClear(key) ? [[...place, "keys", index, "key"]] : [])),
    ]),
    ...clients.flatMap(({ key }, index): Place[] => (inClear(key) ? [[...PLACE, "clients", index, "key"]] : [])),
  ];
  const reason = 'is a secret in the clear; write { env = "NAME" } or { file = "path" } instead';
  return places.map((place) => problemAt(origin, { place, reason }));
}
