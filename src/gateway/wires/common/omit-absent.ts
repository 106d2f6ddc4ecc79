// Fields that are left out where they say nothing.

import type { JsonObject } from "mortise";

/** A field of that name, or none: for spreading. */
export function field(name: string, value: unknown): JsonObject {
  return value === undefined || value === null ? {} : { [name]: value };
}
