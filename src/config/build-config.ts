// Puts the documents of a configuration together: defaults, ceilings, names, and what each plugin gets.

import { resolve } from "node:path";

import type { Limits } from "../api/limits.ts";
import { type Place, quoted } from "../manifest/place.ts";
import { type Ceilings, limitsBeyond } from "./ceilings.ts";
import { checkShape } from "./check-shape.ts";
import type { SqliteDatabase } from "../services/databases.ts";
import { clearSecrets, tableOf, textOrSecret } from "./config-values.ts";
import type { Config, ConfigFile, HookConfig, PluginConfig, ServicesConfig, StoreConfig } from "./config.ts";
import {
  DATABASE_BYTES,
  DATABASE_KEYS,
  HOOK_TIMEOUT_MS,
  LIMIT_KEYS,
  MEMORY_KEYS,
  REDIS_KEYS,
  SERVICE_KEYS,
  SQLITE_KEYS,
  numbersOf,
  scaled,
} from "./number-keys.ts";
import { gatewayWarnings, readGateway } from "./gateway-config.ts";
import { REDIS_URL, isRedisUrl } from "./redis-url.ts";
import { type PluginDefaults, readPermissions, readPlugin } from "./plugin-config.ts";
import { type ConfigProblem, type Finding, MAX_PROBLEMS, configError, problemAt, whereOf } from "./problems.ts";
import type { RawConfig, RawPlugin } from "./schema.ts";

/** Keys that count in the main file alone: they say what all plugins may have. */
const MAIN_ONLY = ["defaults", "ceilings", "store", "services", "native", "gateway"] as const;

/** Collects problems; only so many are looked up in their texts. */
class Problems {
  readonly list: ConfigProblem[] = [];
  count = 0;

  add(file: ConfigFile, finding: Finding): void {
    if (this.count++ < MAX_PROBLEMS) this.list.push(problemAt(file.origin, finding));
  }

  /** Adds a problem that another file has reported. */
  take(problems: readonly ConfigProblem[], count: number): void {
    this.list.push(...problems.slice(0, MAX_PROBLEMS - this.list.length));
    this.count += count;
  }
}

/**
 * Checks documents and makes a configuration of them.
 *
 * @param files the main one first
 * @param found problems that were found while the files were read
 * @throws MortiseError MORTISE_CONFIG_INVALID with all problems of all files
 */
export function buildConfig(files: readonly ConfigFile[], found: readonly ConfigProblem[] = []): Config {
  const problems = new Problems();
  problems.take(found, found.length);
  const raws = files.map((file, index) => readShape(file, index > 0, problems));
  const [main] = files;
  if (main === undefined) throw new RangeError("a configuration without a file");
  const { defaults, ceilings } = readBounds(raws[0] ?? {}, main, problems);
  const databases = readDatabases(raws, files, problems);
  const plugins = raws.flatMap(({ plugins: given = [] }, number) => {
    const file = files[number] as ConfigFile;
    const report = (finding: Finding): void => problems.add(file, finding);
    return given.flatMap((raw, index) =>
      raw === undefined ? [] : [readPlugin(raw, ["plugins", index], { origin: file.origin, folder: file.folder, defaults, ceilings, report })],
    );
  });
  checkPlugins(plugins, databases, files, problems);
  const hooks = readHooks(raws, files, problems);
  const store = readStore(raws[0]?.store, main, problems);
  const gateway =
    raws[0]?.gateway &&
    readGateway(raws[0].gateway, { origin: main.origin, folder: main.folder, ceilings, report: (finding) => problems.add(main, finding) });
  if (problems.count > 0) throw configError(problems.list.toSorted(byPosition(files)), problems.count);
  return Object.freeze({
    plugins,
    store,
    services: readServices(raws[0]?.services),
    databases,
    hooks,
    native: (raws[0]?.native ?? []).map(({ path, digest }) => ({ path: resolve(main.folder, path), digest })),
    gateway,
    documents: files,
    warnings: [...plugins.flatMap(warningsOf), ...(gateway === undefined ? [] : gatewayWarnings(gateway))],
  });
}

/** A document whose parts are of the right shape; a plugin or table that is not is left out, with its problems reported. */
type PartialConfig = Omit<RawConfig, "plugins"> & { readonly plugins?: readonly (RawPlugin | undefined)[] };

function readShape(file: ConfigFile, included: boolean, problems: Problems): PartialConfig {
  const findings = checkShape(file.value === undefined || file.value === null ? {} : file.value);
  for (const finding of findings) problems.add(file, finding);
  if (findings.some(({ place }) => place.length === 0)) return {};
  const raw: Record<string, unknown> = { ...(file.value as object | null) };
  for (const { place } of findings) {
    const [key, index] = place as [string, string | number | undefined];
    if (key === "plugins" && typeof index === "number" && Array.isArray(raw["plugins"])) raw["plugins"] = raw["plugins"].with(index, undefined);
    else delete raw[key];
  }
  for (const key of included ? MAIN_ONLY : [])
    if (raw[key] !== undefined) problems.add(file, { place: [key], reason: "counts in the main file only; move it there" });
  return raw;
}

function readBounds(raw: PartialConfig, file: ConfigFile, problems: Problems): { readonly defaults: PluginDefaults; readonly ceilings: Ceilings } {
  const { defaults = {}, ceilings = {} } = raw;
  const report = (finding: Finding): void => problems.add(file, finding);
  const standard: Limits = numbersOf(LIMIT_KEYS, defaults.limits);
  const most: Limits = numbersOf(LIMIT_KEYS, ceilings.limits);
  for (const finding of limitsBeyond(standard, most, ["defaults", "limits"])) report(finding);
  return {
    defaults: {
      isolation: defaults.isolation ?? "inline",
      onFailure: defaults.on_failure,
      logLevel: defaults.log_level ?? "info",
      limits: standard,
    },
    ceilings: { limits: most, permissions: readPermissions(ceilings.permissions, ["ceilings", "permissions"], file.folder, report) },
  };
}

/** Entries of a table that several files may have; a name in two of them is refused, and both places are named. */
function entriesOf<T>(
  raws: readonly PartialConfig[],
  files: readonly ConfigFile[],
  problems: Problems,
  key: "databases" | "hooks",
  read: (raw: never, file: ConfigFile) => T,
): Readonly<Record<string, T>> {
  const entries = new Map<string, { readonly value: T; readonly file: ConfigFile }>();
  for (const [number, raw] of raws.entries()) {
    const file = files[number] as ConfigFile;
    for (const [name, value] of Object.entries(raw[key] ?? {})) {
      const other = entries.get(name);
      if (other === undefined) entries.set(name, { value: read(value as never, file), file });
      else problems.add(file, { place: [key, name], reason: `is given twice: it stands at ${placeOf(other.file, [key, name])}, too` });
    }
  }
  return tableOf([...entries].map(([name, { value }]) => [name, value]));
}

function readDatabases(raws: readonly PartialConfig[], files: readonly ConfigFile[], problems: Problems): Readonly<Record<string, SqliteDatabase>> {
  type Raw = NonNullable<RawConfig["databases"]>[string];
  return entriesOf(raws, files, problems, "databases", ({ kind, path, schema, max_file_mb: maxFile }: Raw, { folder }): SqliteDatabase => ({
    kind,
    path: resolve(folder, path),
    ...(schema === undefined ? {} : { schema }),
    ...(maxFile === undefined ? {} : { maxFileBytes: scaled(DATABASE_BYTES, maxFile) }),
  }));
}

function readHooks(raws: readonly PartialConfig[], files: readonly ConfigFile[], problems: Problems): Readonly<Record<string, HookConfig>> {
  type Raw = NonNullable<RawConfig["hooks"]>[string];
  return entriesOf(raws, files, problems, "hooks", ({ on_failure: onFailure, timeout_ms: timeoutMs }: Raw): HookConfig => ({
    ...(onFailure === undefined ? {} : { onFailure }),
    ...(timeoutMs === undefined ? {} : { timeoutMs: scaled(HOOK_TIMEOUT_MS, timeoutMs) }),
  }));
}

function readStore(raw: RawConfig["store"], file: ConfigFile, problems: Problems): StoreConfig {
  const { folder } = file;
  switch (raw?.kind) {
    case undefined:
      return { kind: "memory" };
    case "memory":
      return { kind: "memory", ...numbersOf(MEMORY_KEYS, raw) };
    case "sqlite":
      return {
        kind: "sqlite",
        path: resolve(folder, raw.path),
        ...(raw.durable === undefined ? {} : { durable: raw.durable }),
        ...numbersOf(SQLITE_KEYS, raw),
      };
    case "redis": {
      const { url, prefix } = raw;
      // The URL may hold a password: it is never shown.
      if (typeof url === "string" && !isRedisUrl(url)) problems.add(file, { place: ["store", "url"], reason: `is not ${REDIS_URL}` });
      return { kind: "redis", url: textOrSecret(url, folder), ...(prefix === undefined ? {} : { prefix }), ...numbersOf(REDIS_KEYS, raw) };
    }
    default:
      return raw satisfies never;
  }
}

function readServices(raw: RawConfig["services"] = {}): ServicesConfig {
  const { hash_algorithms: hashAlgorithms } = raw;
  return {
    ...numbersOf(SERVICE_KEYS, raw),
    ...(hashAlgorithms === undefined ? {} : { hashAlgorithms }),
    databaseLimits: numbersOf(DATABASE_KEYS, raw),
  };
}

/** What only shows where all plugins are together. */
function checkPlugins(
  plugins: readonly PluginConfig[],
  databases: Readonly<Record<string, SqliteDatabase>>,
  files: readonly ConfigFile[],
  problems: Problems,
): void {
  const named = new Map<string, PluginConfig>();
  for (const plugin of plugins) {
    const file = files.find(({ origin }) => origin === plugin.origin) as ConfigFile;
    const other = named.get(plugin.name);
    if (other === undefined) named.set(plugin.name, plugin);
    else {
      const first = files.find(({ origin }) => origin === other.origin) as ConfigFile;
      const reason = `is ${quoted(plugin.name)}, which is given twice: it stands at ${placeOf(first, [...other.place, "name"])}, too`;
      problems.add(file, { place: [...plugin.place, "name"], reason });
    }
    for (const [index, name] of plugin.dependsOn.entries()) {
      const needed = plugins.find((each) => each.name === name);
      const place = [...plugin.place, "depends_on", index];
      if (needed === undefined) problems.add(file, { place, reason: `is ${quoted(name)}, which is no plugin of the configuration` });
      else if (plugin.enabled && !needed.enabled) problems.add(file, { place, reason: `is ${quoted(name)}, which is not enabled` });
      else if (dependsOn(needed, plugin.name, plugins, new Set()))
        problems.add(file, { place, reason: `is ${quoted(name)}, which depends on this one` });
    }
    for (const name of Object.keys(plugin.permissions.databases ?? {}))
      if (!Object.hasOwn(databases, name))
        problems.add(file, {
          place: [...plugin.place, "permissions", "databases", name],
          reason: `is no database of the configuration; [databases.${name}] would make it one`,
        });
  }
}

/** Whether a plugin is another one, or depends on it. */
function dependsOn(from: PluginConfig, name: string, plugins: readonly PluginConfig[], seen: Set<string>): boolean {
  if (from.name === name) return true;
  if (seen.has(from.name)) return false;
  seen.add(from.name);
  return plugins.some((next) => from.dependsOn.includes(next.name) && dependsOn(next, name, plugins, seen));
}

function placeOf(file: ConfigFile, place: Place): string {
  return whereOf(problemAt(file.origin, { place, reason: "" }));
}

function warningsOf({ config, origin, place, name }: PluginConfig): ConfigProblem[] {
  const reason = `looks like a secret in the clear; write { env = "NAME" } or { file = "path" } instead, so that plugin ${quoted(name)} alone gets it`;
  return clearSecrets(config, [...place, "config"]).map((at) => problemAt(origin, { place: at, reason }));
}

/** In the order of the files, and of the lines in each. */
function byPosition(files: readonly ConfigFile[]): (a: ConfigProblem, b: ConfigProblem) => number {
  // A file that could not be parsed is none of these, and comes last.
  const names = files.map(({ origin }) => origin.source);
  const rank = ({ source }: ConfigProblem): number => (names.includes(source) ? names.indexOf(source) : names.length);
  return (a, b) => rank(a) - rank(b) || (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0);
}
