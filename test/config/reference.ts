// Every key of a configuration, by the table that it stands in, out of the schema.

import { type JsonSchema, configJsonSchema } from "../../src/config/json-schema.ts";

/** One key. */
export interface ReferenceKey {
  /** Header of its table, such as `[plugins.limits]`; the top level is `top level`. */
  readonly table: string;
  readonly key: string;
  readonly kind: string;
  readonly standard: string;
  readonly description: string;
}

/** All keys, in the order of the schema. */
export function referenceKeys(): ReferenceKey[] {
  return keysOf(configJsonSchema(), "top level", "");
}

function keysOf(schema: JsonSchema, table: string, path: string): ReferenceKey[] {
  const own: ReferenceKey[] = [];
  const below: ReferenceKey[] = [];
  for (const [key, member] of Object.entries(schema.properties ?? {})) {
    const at = path === "" ? key : `${path}.${key}`;
    const { additionalProperties: free, items } = member;
    own.push({ table, key, kind: kindOf(member), standard: standardOf(member), description: member.description ?? "" });
    if (member.properties !== undefined) below.push(...keysOf(member, `[${at}]`, at));
    else if (items?.properties !== undefined) below.push(...keysOf(items, `[[${at}]]`, at));
    else if (member.oneOf !== undefined)
      for (const each of member.oneOf) below.push(...keysOf(each, `[${at}] of kind ${String(each.properties?.["kind"]?.const)}`, at));
    else if (typeof free === "object") {
      const inner = free.properties === undefined ? free.anyOf?.find(({ properties }) => properties !== undefined) : free;
      if (inner !== undefined) below.push(...keysOf(inner, `[${at}.NAME]`, `${at}.NAME`));
      else if (free.additionalProperties !== undefined) below.push(...conditionsOf(free.additionalProperties as JsonSchema, `[${at}.HOOK]`));
    }
  }
  return [...own, ...below];
}

function conditionsOf(condition: JsonSchema, table: string): ReferenceKey[] {
  const tests = condition.anyOf?.find(({ properties }) => properties !== undefined);
  return tests === undefined ? [] : keysOf(tests, table, "");
}

function kindOf(schema: JsonSchema): string {
  const { type, enum: words, const: word, anyOf, oneOf, items, properties } = schema;
  if (word !== undefined) return `\`${JSON.stringify(word)}\``;
  if (words !== undefined) return words.map((each) => `\`${JSON.stringify(each)}\``).join(", ");
  if (oneOf !== undefined || properties !== undefined) return "table";
  if (anyOf !== undefined) return [...new Set(anyOf.map(kindOf))].join(" or ");
  if (type === "array") return items?.properties === undefined ? "array" : "tables";
  return (
    { string: "text", integer: "whole number", number: "number", boolean: "true or false", object: "table", null: "null" }[type ?? ""] ?? "any value"
  );
}

function standardOf({ default: standard }: JsonSchema): string {
  if (standard === undefined) return "";
  if (typeof standard === "number") return standard.toLocaleString("en-US");
  return standard === "unlimited" ? "unlimited" : `\`${JSON.stringify(standard)}\``;
}
