// Keeps secret values of a plugin's configuration out of what is printed.

import { type ErrorDetails, MortiseError, isMortiseError } from "../api/errors.ts";
import type { ServiceFunction, ServiceTable } from "../api/services.ts";

/** Shorter values occur by chance, and hiding them would say where. */
const MIN_SECRET_CHARS = 8;
const MASK = "***";

/** Hides secrets in texts. */
export interface Redaction {
  /** The text with `***` for each secret in it; two that overlap are hidden together. */
  readonly text: (text: string) => string;
  /** The error, or one without secrets in its place. */
  readonly error: (error: unknown) => unknown;
}

/** Makes a redaction of values, those of fewer than 8 characters left out; undefined if there are none. */
export function redactionOf(values: readonly string[]): Redaction | undefined {
  const secrets = [...new Set(values)].filter((value) => value.length >= MIN_SECRET_CHARS);
  if (secrets.length === 0) return undefined;
  const text = (given: string): string => hide(given, secrets);
  return {
    text,
    error(error) {
      if (!isMortiseError(error)) return error;
      const details = redactDetails(error.details, text);
      const cause = error.cause === undefined || text(describe(error.cause)) !== describe(error.cause) ? undefined : error.cause;
      return details === error.details && cause === error.cause ? error : new MortiseError(error.code, details, cause);
    },
  };
}

/** Services whose errors hold no secrets. */
export function redactServices(table: ServiceTable, redaction: Redaction): ServiceTable {
  const rethrow = (error: unknown): never => {
    throw redaction.error(error);
  };
  const redact = (service: ServiceFunction): ServiceFunction =>
    Object.freeze({
      ...service,
      run: (...given: Parameters<ServiceFunction["run"]>) => {
        try {
          const result = service.run(...given);
          return result instanceof Promise ? result.catch(rethrow) : result;
        } catch (error) {
          return rethrow(error);
        }
      },
    });
  return Object.fromEntries(Object.entries(table).map(([name, service]) => [name, redact(service)]));
}

function hide(text: string, secrets: readonly string[]): string {
  const spans: [start: number, end: number][] = [];
  for (const secret of secrets) {
    let last: [start: number, end: number] | undefined;
    for (let at = text.indexOf(secret); at >= 0; at = text.indexOf(secret, at + 1)) {
      // A secret can overlap with itself, over the whole text.
      if (last !== undefined && at <= last[1]) last[1] = at + secret.length;
      else spans.push((last = [at, at + secret.length]));
    }
  }
  if (spans.length === 0) return text;
  let hidden = "";
  let done = 0;
  for (const [start, end] of spans.toSorted(([a], [b]) => a - b)) {
    if (start >= done) hidden += text.slice(done, start) + MASK;
    done = Math.max(done, end);
  }
  return hidden + text.slice(done);
}

/** The same object if there was nothing to hide. Details are plain data, without circles. */
function redactDetails(details: ErrorDetails, redact: (text: string) => string): ErrorDetails {
  const entries = Object.entries(details).map(([key, value]): [string, unknown] => [key, redactValue(value, redact)]);
  return entries.every(([key, value]) => value === details[key]) ? details : Object.fromEntries(entries);
}

function redactValue(value: unknown, redact: (text: string) => string): unknown {
  if (typeof value === "string") return redact(value);
  if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
  if (!Array.isArray(value)) return redactDetails(value as ErrorDetails, redact);
  const items = value.map((item) => redactValue(item, redact));
  return items.every((item, index) => item === value[index]) ? value : items;
}

function describe(cause: unknown): string {
  return cause instanceof Error ? `${cause.message}\n${cause.stack ?? ""}` : String(cause);
}
