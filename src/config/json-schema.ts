// The JSON Schema of a configuration, for editors, and what Mortise itself takes from it: known keys and defaults.

import * as z from "zod";

import type { Place } from "../manifest/place.ts";
import { configSchema } from "./schema.ts";

/** The part of JSON Schema that the schema of a configuration uses. */
export interface JsonSchema {
  readonly $schema?: string;
  readonly $id?: string;
  readonly title?: string;
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
}

let made: JsonSchema | undefined;

/** The schema as `mortise config schema` prints it. */
export function configJsonSchema(): JsonSchema {
  made ??= Object.freeze({ ...(z.toJSONSchema(configSchema, { io: "input", reused: "inline" }) as JsonSchema), title: "mortise.toml" });
  return made;
}

/** Schemas of one table: itself, or what it may be one of, as far as a value's `kind` tells. */
export function alternatives(schema: JsonSchema, value?: unknown): readonly JsonSchema[] {
  const given = schema.anyOf ?? schema.oneOf;
  if (given === undefined) return [schema];
  const kind = typeof value === "object" && value !== null ? (value as Record<string, unknown>)["kind"] : undefined;
  const fitting = given.filter(({ properties }) => kind !== undefined && properties?.["kind"]?.const === kind);
  return (fitting.length === 0 ? given : fitting).flatMap((each) => alternatives(each, value));
}

/** Schema of a member of a table or list; undefined for what the schema does not know. */
export function memberSchema(schema: JsonSchema, key: string | number, value?: unknown): JsonSchema | undefined {
  for (const { properties, items, additionalProperties } of alternatives(schema, value)) {
    if (typeof key === "number") {
      if (items !== undefined) return items;
    } else if (properties !== undefined && Object.hasOwn(properties, key)) return properties[key];
    else if (typeof additionalProperties === "object") return additionalProperties;
  }
  return undefined;
}

/** Keys that the table at a place may have, and those of tables within it by their path. */
export function knownKeys(place: Place, root: unknown): { readonly own: readonly string[]; readonly below: readonly string[] } {
  let schema: JsonSchema | undefined = configJsonSchema();
  let value: unknown = root;
  for (const key of place) {
    schema = schema === undefined ? undefined : memberSchema(schema, key, value);
    value = typeof value === "object" && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
  }
  const properties = schema === undefined ? [] : alternatives(schema, value).flatMap((each) => Object.entries(each.properties ?? {}));
  return {
    own: [...new Set(properties.map(([key]) => key))],
    below: properties.flatMap(([key, inner]) => Object.keys(inner.properties ?? {}).map((name) => `${key}.${name}`)),
  };
}
