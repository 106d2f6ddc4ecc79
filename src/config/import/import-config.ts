// Reads the configuration of another plugin system, and writes what it says as a configuration of Mortise.

import { extname } from "node:path";

import { printable } from "../../api/errors.ts";
import { parseYaml } from "../../manifest/yaml-reader.ts";
import { quoted } from "../../manifest/place.ts";
import { type ConfigDocument, parseText } from "../config-text.ts";
import { configError, problem } from "../problems.ts";
import type { Draft, ImportNote, ImportedSystem, ImportedTable } from "./draft.ts";
import { isTable } from "./fields.ts";
import { fromBifrost } from "./from-bifrost.ts";
import { type ListPlugins, fromHelios } from "./from-helios.ts";
import { fromQuery } from "./from-query.ts";
import { fromQueryMt } from "./from-querymt.ts";
import { writeDraft } from "./toml-writer.ts";

/** How a configuration is written. */
export type ImportFormat = "toml" | "json" | "yaml";

/** Options of {@link importConfig}. */
export interface ImportOptions {
  /** Path of the text, for messages and comments. */
  readonly source: string;
  /** @default what the source's extension says; for another, JSON if the text begins with a brace, else TOML */
  readonly format?: ImportFormat;
  /** Looks into HeliosProxy's folder of plugins. @default its plugins have to be added by hand */
  readonly list?: ListPlugins;
}

/** What was imported. */
export interface ImportedConfig {
  readonly system: ImportedSystem;
  /** Text of a mortise.toml. */
  readonly toml: string;
  /** The same as an object. */
  readonly config: Readonly<Record<string, unknown>>;
  /** What could not be carried, or means something else here. */
  readonly notes: readonly ImportNote[];
}

/**
 * Imports providers.toml, .json or .yaml of QueryMT, plugins.toml of Query, config.json of Bifrost, or proxy.toml of
 * HeliosProxy; which of them it is shows in the text itself. Secrets in the clear become references to variables; they
 * are neither in the result nor in a note.
 *
 * @throws MortiseError MORTISE_CONFIG_INVALID for a text that is none of these, or that its own system would not read
 */
export async function importConfig(text: string, { source, format = formatOf(source, text), list }: ImportOptions): Promise<ImportedConfig> {
  const { value, origin } = await parse(text, format, quoted(source));
  const draft = await readDraft(value, { value, origin }, list);
  const { toml, config } = writeDraft(draft, headingOf(draft, source));
  return { system: draft.system, toml, config, notes: draft.notes };
}

function formatOf(source: string, text: string): ImportFormat {
  switch (extname(source).toLowerCase()) {
    case ".json":
      return "json";
    case ".yaml":
    case ".yml":
      return "yaml";
    case ".toml":
      return "toml";
    default:
      return /^\ufeff?\s*\{/.test(text) ? "json" : "toml";
  }
}

async function parse(text: string, format: ImportFormat, source: string): Promise<ConfigDocument> {
  if (format !== "yaml") return parseText(text, format, source);
  const { value, locate } = await parseYaml(text, (reason, position) => {
    throw configError([problem(source, reason, position)]);
  });
  return { value, origin: { source, locate } };
}

async function readDraft(root: unknown, { origin }: ConfigDocument, list: ListPlugins | undefined): Promise<Draft> {
  if (!isTable(root)) throw configError([problem(origin.source, "it is no table at the top")]);
  switch (systemOf(root)) {
    case "QueryMT":
      return fromQueryMt(root, origin);
    case "Query":
      return fromQuery(root, origin);
    case "Bifrost":
      return fromBifrost(root, origin);
    case "HeliosProxy":
      return fromHelios(root, origin, list);
    default:
      throw configError([problem(origin.source, strangerReason(root))]);
  }
}

/** Whose configuration it is, by the one key that each of them has. */
function systemOf(root: ImportedTable): ImportedSystem | undefined {
  if (Array.isArray(root["providers"])) return "QueryMT";
  if (Array.isArray(root["plugin"])) return "Query";
  const { plugins, providers } = root;
  if (isTable(plugins)) return "HeliosProxy";
  if (isTable(providers)) return "Bifrost";
  // A plugin of Mortise has a source, and one of Bifrost a path or neither.
  const isOurs = Array.isArray(plugins) && plugins.some((plugin: unknown) => isTable(plugin) && "source" in plugin);
  return Array.isArray(plugins) && !isOurs ? "Bifrost" : undefined;
}

function strangerReason(root: ImportedTable): string {
  if (Array.isArray(root["plugins"])) return "it is a configuration of Mortise already";
  if ("wasm" in root) return "it is a manifest of one plugin, which is loaded as it is";
  const keys = Object.keys(root)
    .slice(0, 5)
    .map((key) => printable(key, 40));
  const wanted = "providers (QueryMT), plugin (Query), a list plugins (Bifrost) or a table plugins (HeliosProxy)";
  return `it has none of ${wanted}${keys.length === 0 ? ", but is empty" : `, but ${keys.join(", ")}`}`;
}

function headingOf({ system, notes }: Draft, source: string): string[] {
  const count = notes.length === 1 ? "1 note says" : `${notes.length} notes say`;
  return [
    `Imported from ${quoted(source)} of ${system}.`,
    ...(notes.length === 0 ? [] : [`${count} what is different here; "mortise plugin import" prints them.`]),
  ];
}
