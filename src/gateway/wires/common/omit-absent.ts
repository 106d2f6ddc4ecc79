// Objects without the fields that say nothing.

import type { JsonObject } from "mortise";

/** The same object if no field is undefined or null, else a copy without those. */
export function omitAbsent(object: JsonObject): JsonObject {
  for (const key in object) {
    const value = object[key];
    if (value === undefined || value === null)
      return Object.fromEntries(Object.entries(object).filter(([, one]) => one !== undefined && one !== null));
  }
  return object;
}

/** A field of that name, or none: for spreading. */
export function field(name: string, value: unknown): JsonObject {
  return value === undefined || value === null ? {} : { [name]: value };
}
