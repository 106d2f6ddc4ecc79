// The data of a server's event.

import type { JsonObject } from "mortise";

import { ANSWER } from "./fields.ts";
import { MAX_DEPTH, isDeeper } from "./is-deeper.ts";

const EVENT = { up: undefined, key: "an event" };

/** @throws MortiseError MORTISE_GATEWAY_UPSTREAM for what is no JSON object, and what is nested too deeply */
export function parseEvent(data: string): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    // The parser's own message would quote what the server sent.
  }
  if (value === undefined) throw ANSWER.fault(EVENT, "is not JSON");
  if (isDeeper(value)) throw ANSWER.fault(EVENT, `is nested deeper than ${MAX_DEPTH} levels`);
  return ANSWER.object(value, EVENT);
}
