// Headers of clients that go along with a request that is passed through, and no others: a fixed list for each interface.

import { invalidOption } from "../api/limits.ts";
import type { PreparedRequest } from "../services/http/guarded-http.ts";
import type { PassApi } from "./pass-heads.ts";

/** In lower case: what a client asks for beside the body, and what lets a server know a request that it has had already. */
const OPENAI = ["openai-beta", "idempotency-key"] as const;
const ANTHROPIC = ["anthropic-beta", "idempotency-key"] as const;

/** Names of such headers, by interface. */
export const PASS_HEADERS: Readonly<Record<PassApi, readonly string[]>> = {
  "openai.chat": OPENAI,
  "openai.responses": OPENAI,
  "openai.embeddings": OPENAI,
  "anthropic.messages": ANTHROPIC,
};

/** Characters of a value. */
const MAX_VALUE_CHARS = 1024;
/** A field value of RFC 9110 without other letters than those of ASCII. */
const VALUE = /^[\t\u0020-\u007e]*$/;

/** @throws MortiseError MORTISE_INVALID_OPTION */
export function checkPassHeaders(api: PassApi, headers: Readonly<Record<string, string>>): void {
  if (typeof headers !== "object" || headers === null) throw invalidOption("headers", typeof headers, "an object");
  const names = PASS_HEADERS[api];
  for (const [name, value] of Object.entries(headers)) {
    if (!names.includes(name)) throw invalidOption("headers", `"${name}"`, `headers of the list ${names.join(", ")}`);
    if (typeof value !== "string" || value.length > MAX_VALUE_CHARS || !VALUE.test(value))
      throw invalidOption(`headers.${name}`, typeof value === "string" ? `${value.length} characters` : typeof value, HEADER_VALUE);
  }
}

const HEADER_VALUE = `text of ${MAX_VALUE_CHARS} characters at most, all of which HTTP allows`;

/** A head with a client's headers behind its own; what it has itself stays. */
export function withPassHeaders(prepared: PreparedRequest, headers: Readonly<Record<string, string>> | undefined): PreparedRequest {
  if (headers === undefined) return prepared;
  const { head } = prepared;
  const more = Object.entries(headers).filter(([name, value]) => value.trim() !== "" && !head.headers.some(([own]) => own === name));
  if (more.length === 0) return prepared;
  return { ...prepared, head: { ...head, headers: [...head.headers, ...more] } };
}
