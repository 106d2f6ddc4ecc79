// A configuration as it may be printed.

import { looksSecret } from "./config-values.ts";
import { secretKindOf } from "./secret.ts";

const HIDDEN = "[hidden]";

/** A value without its secrets: references by their names, and in the clear what its key says or a URL's password is. */
export function redacted(value: unknown, key: string = "", literal: boolean = false): unknown {
  if (typeof value === "string") return value !== "" && looksSecret(key) ? HIDDEN : withoutPassword(value);
  if (typeof value !== "object" || value === null) return value;
  if (value instanceof Date) return value.toISOString();
  const kind = literal ? undefined : secretKindOf(value);
  if (kind !== undefined) return `[secret ${kind}:${String((value as Record<string, unknown>)[kind])}]`;
  if (Array.isArray(value)) return (value as unknown[]).map((each) => redacted(each, key, literal));
  const entries = Object.entries(value);
  const isLiteral = literal || (entries.length === 1 && entries[0]?.[0] === "literal");
  return Object.fromEntries(entries.map(([name, inner]) => [name, redacted(inner, name, isLiteral)]));
}

/** `redis://user:[hidden]@host` for a URL with a password. */
function withoutPassword(text: string): string {
  return text.replaceAll(/([a-z][a-z0-9+.-]{0,30}:\/\/[^\s/?#:@]{0,200}:)[^\s/?#]{1,2000}@/gi, `$1${HIDDEN}@`);
}
