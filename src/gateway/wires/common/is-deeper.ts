// How deeply JSON is nested: what is too deep cannot be shown to plugins.

/** Deepest nesting of objects and arrays in what clients and servers send. */
export const MAX_DEPTH = 64;

/** True for what is nested deeper than so many levels. It looks no deeper itself. */
export function isDeeper(value: unknown, levels: number = MAX_DEPTH): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (levels === 0) return true;
  for (const item of Array.isArray(value) ? (value as readonly unknown[]) : Object.values(value))
    if (typeof item === "object" && isDeeper(item, levels - 1)) return true;
  return false;
}
