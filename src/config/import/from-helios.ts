// Reads the table [plugins] of HeliosProxy's proxy.toml.

import { isAbsolute } from "node:path";

import type { Origin } from "../../manifest/place.ts";
import type { Draft, DraftPlugin, ImportedTable } from "./draft.ts";
import { Notes, whereFrom } from "./draft.ts";
import { isTable, tableAt } from "./fields.ts";
import { type TakenNames, freeName } from "./plugin-entry.ts";
import { carryValues } from "./plugin-values.ts";

/** A plugin that was found in HeliosProxy's folder. */
export interface FoundPlugin {
  /** Name of the file in the folder. */
  readonly file: string;
  /** Name in its manifest. @default the file's */
  readonly name?: string | undefined;
  /** SHA-256 of the module, in hexadecimal digits. */
  readonly digest?: string | undefined;
  /** Lines that would grant what its manifest asks for. */
  readonly grants?: readonly string[];
  /** Why it cannot be used. */
  readonly fault?: string | undefined;
}

/** The plugins of a folder, sorted by file; undefined if there is no such folder. */
export type ListPlugins = (folder: string) => Promise<readonly FoundPlugin[] | undefined>;

const DEFAULT_FOLDER = "/etc/heliosproxy/plugins";
const KIB = 1024;
const MIB = 1024 * 1024;
const KNOWN: ReadonlySet<string> = new Set([
  "enabled",
  "plugin_dir",
  "hot_reload",
  "memory_limit_mb",
  "timeout_ms",
  "max_plugins",
  "fuel_metering",
  "fuel_limit",
  "trust_root",
  "kv_max_value_bytes",
  "kv_max_keys_per_plugin",
  "kv_max_plugins",
  "kv_max_total_bytes",
]);
const LIMIT_KEYS: ReadonlySet<string> = new Set(["memory_limit", "timeout", "fuel_limit"]);

/**
 * Reads a configuration of HeliosProxy. Its plugins are the modules of a folder, which `list` looks into.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID
 */
export async function fromHelios(root: ImportedTable, origin: Origin, list?: ListPlugins): Promise<Draft> {
  const notes = new Notes(origin);
  const table = tableAt(origin, root["plugins"], ["plugins"]);
  const others = Object.keys(root).filter((key) => key !== "plugins");
  if (others.length > 0)
    notes.add(
      [],
      `the settings ${others.slice(0, 12).join(", ")}${others.length > 12 ? " and others" : ""}`,
      "they are the proxy's own, not its plugins'",
      "keep them with the proxy",
    );
  const own = new Map(Object.entries(table).filter((entry): entry is [string, ImportedTable] => isTable(entry[1])));
  for (const key of Object.keys(table))
    if (!KNOWN.has(key) && !own.has(key))
      notes.add(["plugins", key], `the setting ${key}`, "it is read by nobody there", "look whether it is misspelt; otherwise nothing");
  const settings = readSettings(table, notes);
  const folder = typeof table["plugin_dir"] === "string" && table["plugin_dir"] !== "" ? table["plugin_dir"] : DEFAULT_FOLDER;
  if (!isAbsolute(folder))
    notes.add(
      ["plugins", "plugin_dir"],
      "a relative path",
      "it starts at the working directory there, and at the folder of the configuration here",
      "correct the sources",
    );
  const found = await list?.(folder);
  if (found === undefined)
    notes.add(["plugins", "plugin_dir"], "the folder of the plugins", "it could not be looked into", "add a table [[plugins]] for each module in it");
  const taken: TakenNames = new Set();
  const plugins = listed(found ?? [], own).map((plugin) => readPlugin(plugin, folder, settings, origin, notes, taken));
  if (plugins.length > 0) {
    notes.add(
      ["plugins"],
      "what a failure does",
      "a plugin that failed was skipped there, guards included; here a hook that decides fails the request",
      'write on_failure = "open" for plugins that may be skipped',
    );
    notes.add(
      ["plugins"],
      "permissions",
      "every plugin had keys and values and hashes there, whatever it declared",
      'grant them under [plugins.permissions]: kv = "read-write", crypto = true',
    );
  }
  return { system: "HeliosProxy", tables: settings.tables, plugins, notes: notes.list };
}

/** What holds for all plugins. */
interface Settings {
  readonly tables: Readonly<Record<string, unknown>>;
  readonly quotas: Readonly<Record<string, number>>;
  readonly enabled: boolean;
}

function readSettings(table: ImportedTable, notes: Notes): Settings {
  const number = (key: string, otherwise: number): number => {
    const value = table[key];
    if (value === undefined) return otherwise;
    if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
    notes.add(["plugins", key], `the setting ${key}`, `it is no whole number; ${otherwise}, the default, was taken`, "correct it");
    return otherwise;
  };
  const timeoutMs = Math.max(1, number("timeout_ms", 100));
  const memoryMb = Math.max(1, number("memory_limit_mb", 64));
  const fuel = table["fuel_metering"] === false ? undefined : Math.max(1, number("fuel_limit", 1_000_000));
  if (table["memory_limit_mb"] !== undefined)
    notes.add(["plugins", "memory_limit_mb"], "memory_limit_mb", "it was not enforced there; here it is", "raise memory_mb, if plugins need more");
  if (fuel !== undefined)
    notes.add(
      ["plugins", "fuel_limit"],
      "the fuel of a call",
      "units are not the same: about one for each instruction here, host functions and bytes besides",
      "look at what calls use before you rely on it",
    );
  const quotas = {
    ...quota("kv_value_kb", number("kv_max_value_bytes", 65_536), KIB, "kv_max_value_bytes", notes),
    ...quota("kv_keys", number("kv_max_keys_per_plugin", 1024), 1, "kv_max_keys_per_plugin", notes),
  };
  const { max_mb: storeMb } = quota("max_mb", number("kv_max_total_bytes", 64 * MIB), MIB, "kv_max_total_bytes", notes);
  const enabled = table["enabled"] === true;
  if (!enabled)
    notes.add(
      ["plugins", "enabled"],
      "enabled",
      "plugins are off there unless it is true",
      "take enabled = false out of the plugins that are to be loaded",
    );
  for (const [key, why, todo] of [
    ["hot_reload", "it had no effect there", "nothing"],
    ["max_plugins", "it was not enforced there, and plugins are named one by one here", "nothing"],
    ["kv_max_plugins", "plugins are named one by one here", "nothing"],
    [
      "trust_root",
      "signatures are not verified here; what a plugin is, is said by its digest",
      "compare the digests with those of the modules that were signed",
    ],
  ] as const)
    if (table[key] !== undefined) notes.add(["plugins", key], `the setting ${key}`, why, todo);
  return {
    tables: {
      defaults: { limits: { timeout_ms: timeoutMs, memory_mb: memoryMb, ...(fuel === undefined ? {} : { fuel }) } },
      ...(storeMb === undefined ? {} : { store: { kind: "memory", max_mb: storeMb } }),
    },
    quotas,
    enabled,
  };
}

function quota(key: string, value: number, unit: number, there: string, notes: Notes): Record<string, number> {
  if (value > 0) return { [key]: value / unit };
  notes.add(
    ["plugins", there],
    `the setting ${there}`,
    "0 is unlimited there, and there is always a limit here",
    `the default of ${key} holds; write another under ${key === "max_mb" ? "[store]" : "[plugins.quotas]"}`,
  );
  return {};
}

/** A plugin by its file, its own table, or both. */
interface Listed {
  readonly found: FoundPlugin | undefined;
  readonly key: string | undefined;
  readonly own: ImportedTable;
}

function listed(found: readonly FoundPlugin[], own: ReadonlyMap<string, ImportedTable>): Listed[] {
  const rest = new Map(own);
  const files = found.map((plugin): Listed => {
    const stem = plugin.file.replace(/(?:\.wasm|\.tar\.gz|\.gz)$/, "");
    const key = [plugin.name, stem, plugin.file].find((name) => name !== undefined && rest.has(name));
    const table = key === undefined ? undefined : rest.get(key);
    if (key !== undefined) rest.delete(key);
    return { found: plugin, key, own: table ?? {} };
  });
  return [...files, ...[...rest].map(([key, table]): Listed => ({ found: undefined, key, own: table }))];
}

function readPlugin(
  { found, key, own }: Listed,
  folder: string,
  { quotas, enabled }: Settings,
  origin: Origin,
  notes: Notes,
  taken: TakenNames,
): DraftPlugin {
  const place = key === undefined ? ["plugins", "plugin_dir"] : ["plugins", key];
  const file = found?.file ?? `${String(key)}.wasm`;
  const path = `${folder.replace(/\/+$/, "")}/${file}`;
  if (found?.fault !== undefined) {
    notes.add(place, `the file ${file}`, found.fault, "correct it, and import again");
    return { comments: [`${path} was left out: ${found.fault}`], table: undefined };
  }
  const comments = [key === undefined ? `found in ${folder}` : whereFrom(origin, place)];
  if (found === undefined) notes.add(place, `the file ${file}`, "it was not looked for, or not found", "correct the source");
  const name = freeName(notes, found?.name ?? key ?? file.replace(/(?:\.wasm|\.tar\.gz|\.gz)$/, ""), place, taken);
  for (const grant of found?.grants ?? []) comments.push(`asks for, under [plugins.permissions]: ${grant}`);
  for (const each of Object.keys(own))
    if (key !== undefined && each !== "enabled") notes.add(["plugins", key, each], `the setting ${each}`, "it had no effect there", whatNow(each));
  const config = isTable(own["config"]) ? carryValues(notes, own["config"], [...place, "config"], name) : {};
  const isOn = enabled && own["enabled"] !== false;
  return {
    comments,
    table: {
      name,
      source: path,
      ...(found?.digest === undefined ? {} : { digest: `sha256:${found.digest}` }),
      abi: "helios",
      ...(isOn ? {} : { enabled: false }),
      ...(typeof own["priority"] === "number" && Number.isSafeInteger(own["priority"]) ? { order: -own["priority"] } : {}),
      ...(Object.keys(quotas).length === 0 ? {} : { quotas }),
      ...(Object.keys(config).length === 0 ? {} : { config }),
    },
  };
}

function whatNow(key: string): string {
  if (key === "priority") return "it became order, with its sign turned: lower comes first here";
  if (key === "config") return "the plugin can read it now";
  if (key === "permissions") return "grant what the plugin needs under [plugins.permissions]";
  return LIMIT_KEYS.has(key) ? "write it under [plugins.limits]" : "look whether it is misspelt; otherwise nothing";
}
