// The tables of docs/providers.md: keys of configurations, as the providers' schemas have them.

import type { Provider } from "mortise";

interface Property {
  readonly type?: string | readonly string[];
  readonly description?: string;
  readonly items?: unknown;
  readonly additionalProperties?: unknown;
}

/** A table of all keys. */
export function keyTable({ report }: Provider): string {
  const { properties } = report.configSchema as { readonly properties: Readonly<Record<string, Property>> };
  const rows = Object.entries(properties).map(([name, property]) => `| \`${name}\` | ${typeOf(property)} | ${property.description ?? ""} |\n`);
  return `| key | type | |\n|---|---|---|\n${rows.join("")}`;
}

function typeOf({ type, additionalProperties }: Property): string {
  if (Array.isArray(type)) return "text or texts";
  if (type === "object") return additionalProperties === undefined ? "object" : "texts by name";
  return { string: "text", number: "number", integer: "whole number", boolean: "true or false", array: "list" }[String(type)] ?? "any";
}
