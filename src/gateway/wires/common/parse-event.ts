// The data of a server's event.

import type { JsonObject } from "mortise";

import { ANSWER } from "./fields.ts";

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM for what is no JSON object */
export function parseEvent(data: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // The parser's own message would quote what the server sent.
  }
  if (value === undefined) throw ANSWER.fault({ up: undefined, key: "an event" }, "is not JSON");
  return ANSWER.object(value, { up: undefined, key: "an event" });
}
