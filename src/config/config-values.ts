// The values of a plugin's own configuration: what may stand there, and as what plugins get it.

import { resolve } from "node:path";

import type { Place } from "../manifest/place.ts";
import type { ConfigTable, ConfigValue } from "./config.ts";
import { foundWords } from "./check-shape.ts";
import type { Finding } from "./problems.ts";
import { Secret, secretKindOf } from "./secret.ts";

/** A table whose only key this is carries its value as it is, so that a plugin can be given a table like `{ env = "x" }`. */
const LITERAL = "literal";

/** Reads one value; what is wrong goes to `report`. */
export function readValue(value: unknown, place: Place, folder: string, report: (finding: Finding) => void): ConfigValue {
  const kind = secretKindOf(value);
  if (kind !== undefined) return readSecret(value as Record<string, unknown>, kind, place, folder, report);
  if (isLiteral(value)) return readPlain(value[LITERAL], [...place, LITERAL], report, undefined);
  return readPlain(value, place, report, folder);
}

/** A value that is no secret; without a folder, nothing below it is one either. */
function readPlain(value: unknown, place: Place, report: (finding: Finding) => void, folder: string | undefined): ConfigValue {
  const member = (inner: unknown, key: string | number): ConfigValue =>
    folder === undefined ? readPlain(inner, [...place, key], report, folder) : readValue(inner, [...place, key], folder, report);
  switch (typeof value) {
    case "string":
    case "boolean":
      return value;
    case "number":
      if (!Number.isFinite(value)) report({ place, reason: `is ${foundWords(value)}, which JSON cannot carry` });
      else if (Number.isInteger(value) && !Number.isSafeInteger(value))
        report({ place, reason: "is a whole number that JavaScript cannot hold exactly; write it as text" });
      return value;
    case "object":
      if (value === null) return null;
      if (Array.isArray(value)) return Object.freeze((value as unknown[]).map(member));
      // Dates of TOML, as they are written.
      if (value instanceof Date) return value.toISOString();
      return tableOf(Object.entries(value).map(([key, inner]) => [key, member(inner, key)]));
    default:
      report({ place, reason: `is ${foundWords(value)}, which no configuration can hold` });
      return null;
  }
}

function readSecret(
  table: Readonly<Record<string, unknown>>,
  kind: "env" | "file",
  place: Place,
  folder: string,
  report: (finding: Finding) => void,
): Secret {
  const name = table[kind];
  const fits = typeof name === "string" && (kind === "env" ? /^[A-Za-z_][A-Za-z0-9_]{0,255}$/.test(name) : name !== "" && !name.includes("\0"));
  if (!fits)
    report({
      place: [...place, kind],
      reason: `is not ${kind === "env" ? "the name of an environment variable" : "the path of a file"}; a table for the plugin itself is written as { literal = { ${kind} = … } }`,
    });
  return toSecret(kind, String(name), folder);
}

/** A secret by its table; a relative path starts at `folder`. */
export function toSecret(kind: "env" | "file", name: string, folder: string): Secret {
  return new Secret(kind, kind === "file" ? resolve(folder, name) : name);
}

/** Text, or a secret that the schema has let through. */
export function textOrSecret(value: string | { readonly env: string } | { readonly file: string }, folder: string): string | Secret {
  if (typeof value === "string") return value;
  return "env" in value ? toSecret("env", value.env, folder) : toSecret("file", value.file, folder);
}

/** A frozen table without a prototype. */
export function tableOf<T>(entries: Iterable<readonly [string, T]>): Readonly<Record<string, T>> {
  const table = Object.create(null) as Record<string, T>;
  for (const [key, value] of entries) table[key] = value;
  return Object.freeze(table);
}

/** A value as the text that plugins get whose configuration is text by text: JSON, but text is as it is. */
export function configText(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function isLiteral(value: unknown): value is { readonly [LITERAL]: unknown } {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  const keys = Object.keys(value);
  return keys.length === 1 && keys[0] === LITERAL;
}

/** True for keys whose values are most often secrets. */
export function looksSecret(key: string): boolean {
  return /(?:^|[_-])(?:api[_-]?keys?|keys?|tokens?|secrets?|passwords?|passwd|passphrase|credentials?)$/i.test(
    key.replaceAll(/([a-z])([A-Z])/g, "$1_$2"),
  );
}

/** Texts in the clear that look like secrets by their keys, by place. */
export function clearSecrets(config: ConfigTable, place: Place): Place[] {
  return Object.entries(config).flatMap(([key, value]) => {
    const at = [...place, key];
    const isListed = Array.isArray(value) && value.some((each) => typeof each === "string" && each !== "");
    if (typeof value === "string" || isListed) return value !== "" && looksSecret(key) ? [at] : [];
    const isTable = typeof value === "object" && value !== null && !(value instanceof Secret) && !Array.isArray(value);
    return isTable ? clearSecrets(value as ConfigTable, at) : [];
  });
}
