// A configuration as text: TOML, with a comment where nobody wrote the value.

import type { ConfigDescription, GivenBy } from "../config/describe-config.ts";
import { type Place, placeName } from "../manifest/place.ts";
import { jsonText } from "./terminal.ts";

const MARKS: Readonly<Record<GivenBy, string>> = { default: "default", defaults: "from [defaults]", ceilings: "from [ceilings]" };

type Origins = ConfigDescription["origins"];
type Table = Readonly<Record<string, unknown>>;

/** The lines of a configuration. */
export function configLines(config: Omit<ConfigDescription, "origins">, origins: Origins): string[] {
  const { plugins, native, gateway, ...tables } = config;
  const lines = Object.entries(tables).flatMap(([key, table]) => tableLines([key], `[${key}]`, table, origins));
  for (const [index, grant] of native.entries()) lines.push(...tableLines(["native", index], "[[native]]", grant as Table, origins));
  if (gateway !== undefined) lines.push(...tableLines(["gateway"], "[gateway]", gateway, origins));
  for (const [index, plugin] of plugins.entries()) lines.push(...tableLines(["plugins", index], "[[plugins]]", plugin, origins));
  return lines.slice(1);
}

/** A table: its values, then the tables in it under headers of their own. */
function tableLines(place: Place, header: string, table: Table, origins: Origins): string[] {
  const values: string[] = [];
  const below: string[] = [];
  for (const [key, value] of Object.entries(table)) {
    const at = [...place, key];
    if (isTable(value) && !isFree(at)) {
      below.push(...tableLines(at, `[${pathText(at)}]`, value, origins));
      continue;
    }
    if (isTables(value)) {
      for (const [index, each] of value.entries()) below.push(...tableLines([...at, index], `[[${pathText(at)}]]`, each, origins));
      continue;
    }
    const mark = origins.get(placeName(at));
    values.push(`${keyText(key)} = ${valueText(value)}${mark === undefined ? "" : ` # ${MARKS[mark]}`}`);
  }
  const isEmpty = values.length === 0 && (below.length > 0 || typeof place.at(-1) === "string");
  return [...(isEmpty ? [] : ["", header, ...values]), ...below];
}

/** Tables of a plugin's own, and tables without a schema, stand on one line. */
function isFree(place: Place): boolean {
  return (
    place.at(-2) === "aliases" ||
    place.at(-3) === "filters" ||
    place.at(-2) === "config" ||
    place.at(-2) === "env" ||
    place.at(-2) === "files" ||
    place.at(-2) === "paths"
  );
}

function isTables(value: unknown): value is readonly Table[] {
  return Array.isArray(value) && value.length > 0 && (value as readonly unknown[]).every(isTable);
}

function pathText(place: Place): string {
  return place
    .filter((part) => typeof part === "string")
    .map(keyText)
    .join(".");
}

function isTable(value: unknown): value is Table {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function keyText(key: string): string {
  return /^[\w-]+$/.test(key) ? key : jsonText(key);
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return `[${(value as unknown[]).map(valueText).join(", ")}]`;
  if (!isTable(value)) return jsonText(value);
  const members = Object.entries(value).map(([key, member]) => `${keyText(key)} = ${valueText(member)}`);
  return members.length === 0 ? "{}" : `{ ${members.join(", ")} }`;
}
