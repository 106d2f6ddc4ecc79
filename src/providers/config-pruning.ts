// Keeps of a configuration what the provider's schema declares, and says what was left out.

import { isRecord } from "./shapes.ts";

/** A configuration after pruning. */
export interface PrunedConfig {
  readonly config: Readonly<Record<string, unknown>>;
  /** Paths of the keys that were left out, such as `retry.attempts`. */
  readonly dropped: readonly string[];
}

/**
 * Keeps the keys that `properties` of a JSON Schema has, and does the same in those whose own schema has `properties`.
 * Without `properties` everything is kept. References and combinations of schemas are not looked at, as QueryMT does not.
 */
export function pruneConfig(config: Readonly<Record<string, unknown>>, schema: unknown): PrunedConfig {
  const dropped: string[] = [];
  return { config: prune(config, schema, "", dropped), dropped };
}

function prune(config: Readonly<Record<string, unknown>>, schema: unknown, path: string, dropped: string[]): Record<string, unknown> {
  const properties = isRecord(schema) ? schema["properties"] : undefined;
  if (!isRecord(properties)) return { ...config };
  const kept: [string, unknown][] = [];
  for (const [key, value] of Object.entries(config)) {
    if (value === undefined) continue;
    if (Object.hasOwn(properties, key)) kept.push([key, isRecord(value) ? prune(value, properties[key], `${path}${key}.`, dropped) : value]);
    else dropped.push(path + key);
  }
  return Object.fromEntries(kept);
}
