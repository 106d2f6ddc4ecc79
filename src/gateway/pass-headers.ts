// Headers of a client that its model's server gets, where that speaks the client's own interface.

import { PASS_HEADERS, type PassApi } from "mortise";

import type { Asked, Turn } from "./turn.ts";

/** Longer values are left out. */
const MAX_VALUE_CHARS = 1024;
const IDEMPOTENCY_KEY = "idempotency-key";

/** Those that are there, as an option of `forward`; what a plugin took away or changed is as the plugin left it. */
export function headersFor(
  { exchange, isRepaired }: Turn,
  { headers: made }: Asked,
  api: PassApi,
): { readonly headers?: Readonly<Record<string, string>> } {
  let found: Record<string, string> | undefined;
  for (const name of PASS_HEADERS[api]) {
    const value = made === undefined ? exchange.headers[name] : valueOf(made, name);
    if (value === undefined || value.length > MAX_VALUE_CHARS || !/^[\t\u0020-\u007e]*$/.test(value)) continue;
    // What is asked once more, with other messages, is another request.
    if (name === IDEMPOTENCY_KEY && isRepaired) continue;
    found ??= {};
    found[name] = value;
  }
  return found === undefined ? {} : { headers: found };
}

/** The value of a header whatever its name's case; undefined where there is none, or a plugin made no text of it. */
function valueOf(headers: Readonly<Record<string, unknown>>, wanted: string): string | undefined {
  const value = Object.entries(headers).find(([name]) => name.toLowerCase() === wanted)?.[1];
  return typeof value === "string" ? value : undefined;
}
