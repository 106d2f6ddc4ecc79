// Reads the secrets that one plugin names, when it is loaded and for it alone.

import { MortiseError } from "../api/errors.ts";
import { type Origin, type Place, placeName } from "../manifest/place.ts";
import type { Config, ConfigTable, ConfigValue, PluginConfig } from "./config.ts";
import { REDIS_URL, isRedisUrl } from "./redis-url.ts";
import { configText, tableOf } from "./config-values.ts";
import { type ConfigProblem, configError, problemAt } from "./problems.ts";
import { readBoundedFile } from "./read-file.ts";
import { Secret } from "./secret.ts";

/** Bytes of a secret in a file; certificates are the largest. */
const MAX_SECRET_BYTES = 64 << 10;
/** Permission bits of group and others. */
const OTHERS = 0o077;

/** Where secrets come from. Nothing else of the environment is looked at. */
export interface SecretSources {
  /** Environment variables; the command line passes its own. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Hears of files that others may read. @default nobody */
  readonly onWarning?: (warning: ConfigProblem) => void;
}

/** What a plugin's configuration is once its secrets are there. */
export interface ResolvedSecrets {
  /** The values as JSON has them, for plugins whose interface takes JSON. */
  readonly config: Readonly<Record<string, unknown>>;
  /** The same, text by text: what is no text is JSON. */
  readonly configText: Readonly<Record<string, string>>;
  /** Certificates of `http.ca`, if there are any. */
  readonly ca: readonly string[] | undefined;
  /** Variables of `wasi.env`, if there are any. */
  readonly env: Readonly<Record<string, string>> | undefined;
  /** The secret values, which must not be printed anywhere. */
  readonly secrets: readonly string[];
}

/**
 * Reads what a plugin's configuration names as secrets.
 *
 * @throws MortiseError MORTISE_SECRET_MISSING, which names the variable or file and never has its value
 */
export async function resolveSecrets(plugin: PluginConfig, sources: SecretSources): Promise<ResolvedSecrets> {
  const { read, readTable, secrets } = secretReader(plugin, sources);
  const { ca } = plugin.http;
  const { env } = plugin.wasi;
  const config = await readTable(plugin.config, ["config"]);
  return {
    config,
    configText: tableOf(Object.entries(config).map(([key, value]) => [key, configText(value)])),
    ca: ca === undefined ? undefined : await inOrder(ca, (each, index) => read(each, "http", "ca", index)),
    env:
      env === undefined
        ? undefined
        : tableOf(await inOrder(Object.entries(env), async ([name, value]) => [name, await read(value, "wasi", "env", name)] as const)),
    secrets: [...secrets],
  };
}

/**
 * The address of the store's server, which may be a secret.
 *
 * @throws MortiseError MORTISE_SECRET_MISSING, MORTISE_CONFIG_INVALID if it is no URL
 */
export async function resolveStoreUrl({ store, documents: [main] }: Config, sources: SecretSources): Promise<string | undefined> {
  if (store.kind !== "redis") return undefined;
  if (!(store.url instanceof Secret) || main === undefined) return String(store.url);
  const url = await readSecret(store.url, ["store", "url"], { origin: main.origin }, sources);
  if (!isRedisUrl(url)) throw configError([problemAt(main.origin, { place: ["store", "url"], reason: `names a secret that is not ${REDIS_URL}` })]);
  return url;
}

type Read = (value: string | Secret, ...place: Place) => Promise<string>;

/** Reads the secrets of one table, whose place is before those that it is asked with. */
export interface SecretReader {
  /** A text, or the secret's value. @throws MortiseError MORTISE_SECRET_MISSING */
  readonly read: Read;
  /** Values with their secrets in them. @throws MortiseError MORTISE_SECRET_MISSING */
  readonly readTable: (table: ConfigTable, place: Place) => Promise<Readonly<Record<string, unknown>>>;
  /** The values that were read. */
  readonly secrets: ReadonlySet<string>;
}

/** Reads the secrets of a table. */
export function secretReader(owner: { readonly origin: Origin; readonly place: Place }, sources: SecretSources): SecretReader {
  const secrets = new Set<string>();
  const read: Read = async (value, ...place) => {
    if (!(value instanceof Secret)) return value;
    const text = await readSecret(value, [...owner.place, ...place], owner, sources);
    secrets.add(text);
    return text;
  };
  const readTable: SecretReader["readTable"] = async (table, place) =>
    tableOf(await inOrder(Object.entries(table), async ([key, value]) => [key, await plain(value, [...place, key], read)] as const));
  return { read, readTable, secrets };
}

/** A value with its secrets in it. */
async function plain(value: ConfigValue, place: Place, read: Read): Promise<unknown> {
  if (value instanceof Secret) return read(value, ...place);
  if (Array.isArray(value)) return inOrder(value as readonly ConfigValue[], (each, index) => plain(each, [...place, index], read));
  if (typeof value !== "object" || value === null) return value;
  return tableOf(await inOrder(Object.entries(value), async ([key, inner]) => [key, await plain(inner, [...place, key], read)] as const));
}

/** One after another, so that the first that fails is always the same. */
export async function inOrder<T, R>(values: readonly T[], map: (value: T, index: number) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (const [index, value] of values.entries()) results.push(await map(value, index));
  return results;
}

async function readSecret({ kind, name }: Secret, place: Place, { origin }: Pick<PluginConfig, "origin">, sources: SecretSources): Promise<string> {
  const missing = (reason: string): MortiseError => {
    const { source, line, column } = problemAt(origin, { place, reason: "" });
    const at = line === undefined || column === undefined ? "" : `, line ${line}, column ${column}`;
    const what = kind === "env" ? `the environment variable "${name}"` : `the file "${name}"`;
    return new MortiseError("MORTISE_SECRET_MISSING", { source, at, place: placeName(place), what, reason, line, column });
  };
  if (kind === "env") {
    const value = Object.hasOwn(sources.env, name) ? sources.env[name] : undefined;
    if (value === undefined) throw missing("is not set");
    if (value === "") throw missing("is empty");
    return value;
  }
  const content = await readBoundedFile(name, MAX_SECRET_BYTES);
  if ("fault" in content) throw missing(content.fault);
  if (process.platform !== "win32" && (content.mode & OTHERS) !== 0) {
    const mode = (content.mode & 0o777).toString(8);
    sources.onWarning?.(
      problemAt(origin, { place, reason: `names the file "${name}", which others may use (mode ${mode}); chmod 600 keeps it to its owner` }),
    );
  }
  const text = decoded(content.bytes);
  if (text === undefined) throw missing("is not valid UTF-8");
  if (text === "") throw missing("is empty");
  return text;
}

/** Text without the line break that editors put at its end. */
function decoded(bytes: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "");
  } catch {
    return undefined;
  }
}
