// Reads the JSON with which an Extism guest states a request: `{url, method?, headers?}`.

import { type FailureReport, type HttpCaller, failureReport } from "./failures.ts";
import { readMethod } from "./headers.ts";

/** Characters of the JSON; it is parsed on the thread. */
const MAX_CHARS = 256 << 10;

/** A request without its body, in the types that it must have. Its URL and headers are judged when it is sent. */
export interface StatedRequest {
  readonly url: string;
  /** In upper case. */
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Reads a request. As with Extism the method is GET by default, `null` counts as absent, and `header` is an older name of
 * `headers`. Other names are ignored.
 *
 * @param caller whom errors are about
 * @throws MortiseError MORTISE_HTTP_INVALID
 */
export function readHttpRequest(json: string, caller: HttpCaller): StatedRequest {
  const report = failureReport(caller);
  if (json.length > MAX_CHARS) throw report.invalid(`its JSON has more than ${MAX_CHARS} characters`);
  const stated = parse(json, report);
  const url = stated["url"];
  if (typeof url !== "string") throw report.invalid("url must be a string");
  const method = stated["method"] ?? "GET";
  if (typeof method !== "string") throw report.invalid("method must be a string");
  const read = readMethod(method);
  if (typeof read === "string") throw report.invalid(read);
  const headers = stated["headers"] ?? stated["header"] ?? {};
  if (!isRecord(headers)) throw report.invalid("headers must be an object");
  return { url, method: read.method, headers: textsOf(headers, report) };
}

function parse(json: string, report: FailureReport): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch {
    // The parser's own message quotes the text, which may hold a secret.
    throw report.invalid("it is not JSON");
  }
  if (!isRecord(value)) throw report.invalid("it must be an object");
  return value;
}

/** Header names in lower case; as entries, since a name may be `__proto__`. */
function textsOf(headers: Record<string, unknown>, report: FailureReport): Readonly<Record<string, string>> {
  const texts = new Map<string, string>();
  for (const [stated, value] of Object.entries(headers)) {
    const name = stated.toLowerCase();
    if (typeof value !== "string") throw report.invalid(`the header "${name}" must be a string`);
    if (texts.has(name)) throw report.invalid(`the header "${name}" is there twice`);
    texts.set(name, value);
  }
  return Object.fromEntries(texts);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
