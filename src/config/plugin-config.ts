// One plugin of a configuration: what its table means, once its keys and kinds are right.

import { resolve } from "node:path";

import { isMortiseError } from "../api/errors.ts";
import type { Limits } from "../api/limits.ts";
import type { PathGrant, Permissions } from "../api/permissions.ts";
import { type Origin, type Place, quoted } from "../manifest/place.ts";
import { readHostRules } from "../services/http/host-rules.ts";
import { builtinOf } from "./builtins.ts";
import { type Ceilings, cappedLimits, limitsBeyond, permissionsBeyond } from "./ceilings.ts";
import type { ConfigHttp, ConfigWasi, Isolation, LogLevel, OnFailure, PluginConfig } from "./config.ts";
import { readValue, tableOf, textOrSecret } from "./config-values.ts";
import { BREAKER_KEYS, FOLDER_BYTES, HTTP_KEYS, LIMIT_KEYS, POOL_KEYS, QUOTA_KEYS, WASI_KEYS, numbersOf, scaled } from "./number-keys.ts";
import type { Finding } from "./problems.ts";
import type { RawPermissions, RawPlugin } from "./schema.ts";

/** What a plugin's table is read with. */
export interface PluginScope {
  readonly origin: Origin;
  /** Folder that relative paths start from. */
  readonly folder: string;
  readonly defaults: PluginDefaults;
  readonly ceilings: Ceilings;
  readonly report: (finding: Finding) => void;
}

/** What holds for plugins that say nothing of their own. */
export interface PluginDefaults {
  readonly isolation: Isolation;
  readonly onFailure: OnFailure | undefined;
  readonly logLevel: LogLevel;
  readonly limits: Limits;
}

/** Reads a plugin whose shape is right; what is wrong besides goes to `report`. */
export function readPlugin(raw: RawPlugin, place: Place, scope: PluginScope): PluginConfig {
  const { origin, folder, defaults, ceilings, report } = scope;
  const own = numbersOf(LIMIT_KEYS, raw.limits) as Limits;
  const limits = mergedLimits(defaults.limits, own);
  const permissions = readPermissions(raw.permissions, [...place, "permissions"], folder, report);
  const beyond = [
    ...limitsBeyond(own, ceilings.limits, [...place, "limits"]),
    ...permissionsBeyond(permissions, ceilings.permissions, [...place, "permissions"]),
  ];
  for (const finding of beyond) report(finding);
  const pool = numbersOf(POOL_KEYS, raw.pool);
  if ((pool.maxInstances ?? 1) > 1 && raw.stateless !== true)
    report({
      place: [...place, "pool", "max_instances"],
      reason: `is ${pool.maxInstances}, but only a plugin with stateless = true may have more than one`,
    });
  return Object.freeze({
    name: raw.name,
    source: resolveSource(raw.source, folder, "plugin", (reason) => report({ place: [...place, "source"], reason })).path,
    digest: raw.digest,
    abi: raw.abi,
    enabled: raw.enabled ?? true,
    order: raw.order ?? 0,
    onFailure: raw.on_failure ?? defaults.onFailure,
    isolation: raw.isolation ?? defaults.isolation,
    stateless: raw.stateless ?? false,
    logLevel: raw.log_level ?? defaults.logLevel,
    config: tableOf(Object.entries(raw.config ?? {}).map(([key, value]) => [key, readValue(value, [...place, "config", key], folder, report)])),
    limits: cappedLimits(limits, ceilings.limits),
    permissions,
    pool,
    http: readHttp(raw.http, folder),
    wasi: readWasi(raw.wasi, folder),
    filters: raw.filters ?? {},
    requires: raw.requires ?? [],
    quotas: numbersOf(QUOTA_KEYS, raw.quotas),
    version: raw.version,
    dependsOn: raw.depends_on ?? [],
    watch: raw.watch ?? false,
    probe: raw.probe as PluginConfig["probe"],
    breaker: raw.breaker?.enabled === false ? false : numbersOf(BREAKER_KEYS, raw.breaker),
    origin,
    place,
  });
}

/** A time of the plugin's own holds for its initialisation, too, before one that is a default. */
function mergedLimits(defaults: Limits, own: Limits): Limits {
  const { initTimeoutMs: _initial, ...others } = defaults;
  return own.timeoutMs !== undefined && own.initTimeoutMs === undefined ? { ...others, ...own } : { ...defaults, ...own };
}

/** A path from the folder of the configuration, or of what comes with Mortise; what has another scheme is left as it is. */
export function resolveSource(
  source: string,
  folder: string,
  kind: "plugin" | "provider",
  report: (reason: string) => void,
): { readonly path: string; readonly host?: string | undefined } {
  const builtin = builtinOf(source, kind);
  if (builtin === undefined) return { path: /^[a-z][a-z0-9+.-]+:/i.test(source) ? source : resolve(folder, source) };
  if (!("fault" in builtin)) return builtin;
  report(builtin.fault);
  return { path: source };
}

/** Permissions as the host takes them, with absolute paths. */
export function readPermissions(raw: RawPermissions = {}, place: Place, folder: string, report: (finding: Finding) => void): Permissions {
  const { paths, databases, attributes, ...others } = raw;
  for (const [index, host] of (raw.hosts ?? []).entries()) {
    const fault = hostFault(host);
    if (fault !== undefined) report({ place: [...place, "hosts", index], reason: fault });
  }
  return {
    ...(others as Permissions),
    ...(paths === undefined ? {} : { paths: readPaths(paths, [...place, "paths"], folder, report) }),
    ...(databases === undefined ? {} : { databases: tableOf(Object.entries(databases)) }),
    ...(attributes === undefined ? {} : { attributes: { ...attributes } as NonNullable<Permissions["attributes"]> }),
  };
}

function hostFault(host: string): string | undefined {
  try {
    readHostRules([host], "hosts");
    return undefined;
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    const { found, wanted } = error.details;
    return `is ${String(found)} but must be ${String(wanted)}`;
  }
}

function readPaths(
  paths: NonNullable<RawPermissions["paths"]>,
  place: Place,
  folder: string,
  report: (finding: Finding) => void,
): Readonly<Record<string, PathGrant>> {
  const guests = new Map<string, string>();
  return tableOf<PathGrant>(
    Object.entries(paths).map(([host, grant]) => {
      const guest = typeof grant === "string" ? grant : grant.guest;
      const other = guests.get(guest);
      if (other !== undefined)
        report({ place: [...place, host], reason: `gives the plugin's path ${quoted(guest)} a second meaning, after ${quoted(other)}` });
      guests.set(guest, host);
      const readOnly = host.startsWith("ro:");
      const path = `${readOnly ? "ro:" : ""}${resolve(folder, readOnly ? host.slice("ro:".length) : host)}`;
      if (typeof grant === "string") return [path, grant] as const;
      const { access, max_mb: maxMb } = grant;
      const granted: PathGrant = {
        guest,
        ...(access === undefined ? {} : { access }),
        ...(maxMb === undefined ? {} : { maxBytes: scaled(FOLDER_BYTES, maxMb) }),
      };
      return [path, granted] as const;
    }),
  );
}

function readHttp(raw: RawPlugin["http"] = {}, folder: string): ConfigHttp {
  const { response_headers: responseHeaders } = raw;
  return {
    ...numbersOf(HTTP_KEYS, raw),
    ...readTransport(raw, folder),
    ...(responseHeaders === undefined ? {} : { responseHeaders }),
  };
}

/** What of HTTP is no number, and providers have, too. */
export function readTransport(
  { allow_http: allowHttp, ca }: Pick<NonNullable<RawPlugin["http"]>, "allow_http" | "ca">,
  folder: string,
): Pick<ConfigHttp, "allowHttp" | "ca"> {
  return {
    ...(allowHttp === undefined ? {} : { allowHttp }),
    ...(ca === undefined ? {} : { ca: ca.map((each) => textOrSecret(each, folder)) }),
  };
}

function readWasi(raw: RawPlugin["wasi"] = {}, folder: string): ConfigWasi {
  const { args, env, clock, files } = raw;
  return {
    ...numbersOf(WASI_KEYS, raw),
    ...(args === undefined ? {} : { args }),
    ...(env === undefined ? {} : { env: tableOf(Object.entries(env).map(([name, value]) => [name, textOrSecret(value, folder)])) }),
    ...(clock === undefined ? {} : { clock }),
    ...(files === undefined ? {} : { files }),
  };
}
