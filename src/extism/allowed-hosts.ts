// Splits allowedHosts into what the core's allow-list says as well, and globs over names.

import { type MortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";

/** An allow-list in two parts. */
export interface AllowedHosts {
  /** Entries for the core's allow-list. */
  readonly entries: readonly string[];
  /** Patterns over whole host names in lower case. */
  readonly globs: readonly string[];
}

const MAX_ALTERNATIVES = 100;
/** A bracketed IPv6 address is not a character class. */
const ADDRESS = /^\[[\da-f:.]+\](?::\d+)?$/i;
/** What shells have besides; it would match nothing. */
const UNKNOWN = /[()]|\[[^\]]*\[/;
const PLAIN = /^(?:\*\.|\*(?=:|$))?[^*?[\](){}]*$/;

/**
 * Reads allowedHosts. `{a,b}` stands for one entry with each; `*`, `*.name`, names and addresses go to the core as they
 * are; whatever else has `*`, `?` or `[…]` is a glob.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION for an entry that is no text, or with a negation or another
 *   kind of pattern: only what is listed is allowed
 */
export function readAllowedHosts(list: readonly string[] | null | undefined): AllowedHosts {
  if (list === null || list === undefined) return { entries: [], globs: [] };
  if (!Array.isArray(list)) throw invalidOption("allowedHosts", typeof list, "a list of hosts");
  const expanded = list.flatMap((entry: unknown, index) => {
    if (typeof entry !== "string") throw unusable(index, entry === null ? "null" : typeof entry, "text");
    if (/!|\[\^/.test(entry)) throw unusable(index, `"${printable(entry, 80)}", a negation,`, "a host that is allowed");
    if (UNKNOWN.test(entry)) throw unusable(index, `"${printable(entry, 80)}"`, "a pattern of no more than *, ?, [ab] and {a,b}");
    return expandBraces(entry, index);
  });
  const isPlain = (entry: string): boolean => ADDRESS.test(entry) || PLAIN.test(entry);
  return { entries: expanded.filter(isPlain), globs: expanded.filter((entry) => !isPlain(entry)).map((entry) => entry.toLowerCase()) };
}

function unusable(index: number, found: string, wanted: string): MortiseError {
  return invalidOption(`allowedHosts[${index}]`, found, wanted);
}

/** `api.{a,b}.com` as `api.a.com` and `api.b.com`. */
function expandBraces(entry: string, index: number): string[] {
  let expanded = [entry];
  for (;;) {
    const next = expanded.flatMap((text) => {
      const braces = /\{([^{}]*)\}/.exec(text);
      if (braces === null) return [text];
      const [all, inside = ""] = braces;
      return inside.split(",").map((part) => text.slice(0, braces.index) + part + text.slice(braces.index + all.length));
    });
    const alternatives = [...new Set(next)];
    if (alternatives.length > MAX_ALTERNATIVES) throw unusable(index, "more than 100 hosts", `${MAX_ALTERNATIVES} at most`);
    if (alternatives.every((text, at) => text === expanded[at])) return alternatives;
    expanded = alternatives;
  }
}
