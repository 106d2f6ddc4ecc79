// Arguments of calls: JSON text in the common form, a value in Anthropic's messages.

import type { JsonObject } from "mortise";

import { isObject } from "../common/fields.ts";

/** The key under which Anthropic's documentation wants arguments that are not JSON told. */
const INVALID = "INVALID_JSON";

/** An object in any case, as models' arguments need not be JSON, and clients rely on an object. */
export function toolInput(given: string): JsonObject {
  if (given.trim() === "") return {};
  try {
    const value: unknown = JSON.parse(given);
    if (isObject(value)) return value;
  } catch {
    // Told as text.
  }
  return { [INVALID]: given };
}

/** The text of an input; {@link toolInput} the other way round. */
export function argumentsText(input: unknown, write: (value: unknown) => string): string {
  if (isObject(input) && typeof input[INVALID] === "string" && Object.keys(input).length === 1) return input[INVALID];
  return write(input ?? {});
}
