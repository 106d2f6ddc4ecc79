// Reads config.json of Bifrost: its providers and plugins.

import type { Origin } from "../../manifest/place.ts";
import type { Draft, DraftPlugin, ImportedTable } from "./draft.ts";
import { bifrostProviders } from "./bifrost-providers.ts";
import { Notes, whereFrom } from "./draft.ts";
import { isTable, requireText, tablesAt } from "./fields.ts";
import { type TakenNames, carrySource, freeName, isLibrary } from "./plugin-entry.ts";
import { carryValues } from "./plugin-values.ts";

const KEYS = ["name", "enabled", "path", "config", "placement", "order", "version", "semaphore_size", "inject_timeout"];
/** Keys without a meaning here. */
const DROPPED: Readonly<Record<string, readonly [why: string, todo: string]>> = {
  version: ["nothing says there what it means", "pin the module with digest"],
  semaphore_size: ["it bounds what plugins for observability do at a time, which are no hooks here", "nothing"],
  inject_timeout: ["it bounds one call of a plugin for observability", "set timeout_ms under [plugins.limits]"],
};

interface Entry {
  readonly table: ImportedTable;
  readonly index: number;
  readonly rank: readonly [group: number, order: number];
}

/**
 * Reads a configuration of Bifrost.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID for plugins that are no list of tables with names
 */
export function fromBifrost(root: ImportedTable, origin: Origin): Draft {
  const notes = new Notes(origin);
  const others = Object.keys(root).filter((key) => !["plugins", "providers", "$schema"].includes(key));
  if (others.length > 0)
    notes.add(
      [],
      `the settings ${others.slice(0, 12).join(", ")}${others.length > 12 ? " and others" : ""}`,
      "only providers and plugins are carried",
      "look into docs/gateway-operations.md for clients, limits and the rest",
    );
  const taken: TakenNames = new Set();
  const providers = bifrostProviders(root["providers"], origin, notes);
  const entries = tablesAt(origin, root["plugins"] ?? [], ["plugins"]).map((table, index): Entry => ({
    table,
    index,
    rank: rankOf(table, index, notes),
  }));
  // Ties keep their order there, and go by name here: every plugin gets a number of its own.
  const sorted = entries.toSorted((a, b) => a.rank[0] - b.rank[0] || a.rank[1] - b.rank[1]);
  const plugins = sorted.map((entry, position) => readEntry(entry, position, origin, notes, taken));
  if (plugins.some(({ table }) => table !== undefined))
    notes.add(
      ["plugins"],
      "what a failure does",
      "errors of plugins were warnings there, and the request went on; here a hook that decides fails the request",
      'write on_failure = "open" for plugins that may be skipped',
    );
  return { system: "Bifrost", tables: {}, providers, plugins, notes: notes.list };
}

function rankOf({ placement, order }: ImportedTable, index: number, notes: Notes): readonly [number, number] {
  const place = ["plugins", index] as const;
  if (placement !== undefined && placement !== null) {
    const known = placement === "pre_builtin" || placement === "post_builtin" || placement === "builtin";
    notes.add(
      [...place, "placement"],
      "the placement",
      known
        ? "there are no plugins of the host's own to stand before or behind; it counted for the order"
        : "it is none of pre_builtin and post_builtin",
      "look at the order",
    );
  }
  return [placement === "pre_builtin" ? 0 : 1, typeof order === "number" && Number.isFinite(order) ? order : 0];
}

function readEntry({ table, index }: Entry, position: number, origin: Origin, notes: Notes, taken: TakenNames): DraftPlugin {
  const place = ["plugins", index] as const;
  const wanted = requireText(origin, table, "name", place);
  const { path } = table;
  const from = whereFrom(origin, place);
  notes.addUnknown(table, KEYS, place, "it is read by nobody there");
  for (const [key, [why, todo]] of Object.entries(DROPPED)) {
    const value = table[key];
    if (value !== undefined && value !== null) notes.add([...place, key], `the setting ${key}`, why, todo);
  }
  if (path === undefined || path === null || path === "") {
    notes.add(place, "a plugin of the gateway's own", "it has no path, and is part of Bifrost", "nothing");
    return { comments: [`${from}: "${wanted}" is built into the gateway, and was left out`], table: undefined };
  }
  const file = requireText(origin, table, "path", place);
  if (isLibrary(file.replace(/[?#].*$/, ""))) {
    notes.add(
      [...place, "path"],
      "a Go library",
      "it runs in the very build of the gateway that it was built for only",
      "build it for WebAssembly, or port it",
    );
    return { comments: [`${from}: "${wanted}" is a Go library, which was left out`], table: undefined };
  }
  const name = freeName(notes, wanted, [...place, "name"], taken);
  const config = readConfig(table["config"], [...place, "config"], name, notes);
  return {
    comments: [from],
    table: {
      name,
      source: carrySource(notes, file, [...place, "path"], "the working directory"),
      abi: "bifrost",
      ...(isEnabled(table["enabled"], [...place, "enabled"], notes) ? {} : { enabled: false }),
      order: (position + 1) * 10,
      ...(Object.keys(config).length === 0 ? {} : { config }),
    },
  };
}

function isEnabled(value: unknown, place: readonly (string | number)[], notes: Notes): boolean {
  if (typeof value === "boolean") return value;
  notes.add(place, "enabled", "a plugin that does not say so is not enabled there", "write enabled = true, if it is to be loaded");
  return false;
}

function readConfig(value: unknown, place: readonly (string | number)[], name: string, notes: Notes): Record<string, unknown> {
  if (value === undefined || value === null) return {};
  if (isTable(value)) return carryValues(notes, value, place, name);
  notes.add(
    place,
    "a configuration that is no object",
    "plugins are configured by a table here",
    "ask the plugin's author for a key that it may have",
  );
  return {};
}
