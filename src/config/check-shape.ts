// Compares a document with the schema, and puts what does not fit into words.

import type * as z from "zod";

import { nearNames } from "../api/near-names.ts";
import { type Place, kindOf } from "../manifest/place.ts";
import { knownKeys } from "./json-schema.ts";
import type { Finding } from "./problems.ts";
import { configSchema } from "./schema.ts";

type Issue = z.core.$ZodIssue;

/** Keys whose values may hold a password in the clear: they are not shown. */
const HIDDEN: ReadonlySet<string> = new Set(["url", "ca", "env", "config", "key"]);

/** Everything in a document that the schema does not allow. */
export function checkShape(value: unknown): Finding[] {
  const { success, error } = configSchema.safeParse(value);
  if (success) return [];
  const placeOf = ({ path }: Issue): string => path.join("\0");
  const unknown = new Set(error.issues.filter(({ code }) => code === "unrecognized_keys").map(placeOf));
  // A table whose only key is unknown seems to be empty: that needs no words.
  return error.issues.filter((issue) => issue.code !== "custom" || !unknown.has(placeOf(issue))).flatMap((issue) => findings(issue, [], value));
}

function findings(issue: Issue, base: Place, root: unknown): Finding[] {
  const place: Place = [...base, ...(issue.path as (string | number)[])];
  switch (issue.code) {
    case "unrecognized_keys":
      return issue.keys.map((key) => ({ place: [...place, key], reason: `is unknown${suggestion(place, key, root)}` }));
    case "invalid_key":
      return [{ place, reason: `must be ${issue.issues[0]?.message ?? issue.message}` }];
    case "invalid_union": {
      const branch = nearestBranch(issue.errors);
      if (branch !== undefined) return branch.flatMap((inner) => findings(inner, place, root));
      return [mismatch(place, issue.message, root)];
    }
    default:
      return [mismatch(place, issue.message, root)];
  }
}

/** Of the alternatives that the value is of the kind of, the one with the fewest faults. */
function nearestBranch(branches: readonly (readonly Issue[])[]): readonly Issue[] | undefined {
  const isKind = ({ path, code }: Issue): boolean => path.length > 0 || code === "unrecognized_keys" || code === "too_small";
  const unknown = (issues: readonly Issue[]): number => issues.filter(({ code }) => code === "unrecognized_keys").length;
  return branches
    .map((issues) =>
      issues.flatMap((issue) => (issue.code === "invalid_union" && issue.path.length === 0 ? (nearestBranch(issue.errors) ?? [issue]) : [issue])),
    )
    .filter((issues) => issues.every(isKind))
    .toSorted((a, b) => unknown(a) - unknown(b) || a.length - b.length)[0];
}

function mismatch(place: Place, wanted: string, root: unknown): Finding {
  const value = valueAt(root, place);
  if (value === undefined) return { place, reason: `is missing; it must be ${wanted}` };
  const hidden = place.some((part) => typeof part === "string" && HIDDEN.has(part));
  const found =
    hidden && (typeof value === "string" || typeof value === "number") ? `is not ${wanted}` : `is ${foundWords(value)} but must be ${wanted}`;
  return { place, reason: found };
}

/** What a value is, in the words of a configuration. */
export function foundWords(value: unknown): string {
  const words = kindOf(value);
  return words === "an object" ? "a table" : words;
}

/** The value at a place; only own keys count. */
export function valueAt(root: unknown, place: Place): unknown {
  let value = root;
  for (const key of place) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
    value = (value as Record<string | number, unknown>)[key];
  }
  return value;
}

/** The nearest key of the table, or the same key of a table within or above it. */
function suggestion(place: Place, key: string, root: unknown): string {
  const { own, below } = knownKeys(place, root);
  // Most often it is the unit that is missing.
  const withUnit = own.filter((name) => name.startsWith(`${key}_`));
  const moved = below.filter((path) => path.endsWith(`.${key}`) || path.includes(`.${key}_`));
  const above = place.length === 0 ? [] : knownKeys(place.slice(0, -1), root).own.filter((name) => name === key);
  const names = withUnit.length > 0 ? withUnit : nearNames(key, own);
  const words = names.length > 0 ? names : moved;
  if (words.length > 0) return `; did you mean ${words.join(" or ")}?`;
  return above.length > 0 ? `; ${key} stands beside ${String(place.at(-1))}, not in it` : "";
}
