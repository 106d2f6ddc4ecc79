// A plugin's own configuration on its way into mortise.toml: secrets become references, and what TOML cannot say is left out.

import { isMortiseError } from "../../api/errors.ts";
import type { Place } from "../../manifest/place.ts";
import { readHostRules } from "../../services/http/host-rules.ts";
import { looksSecret } from "../config-values.ts";
import type { ImportedTable, Notes } from "./draft.ts";

/** What begins tokens and keys of well-known services. */
const TOKEN =
  /^(?:sk-|pk-|rk_|ghp_|gho_|ghs_|github_pat_|glpat-|xox[abpr]-|AKIA|ASIA|AIza|hf_|Bearer |Basic |eyJ[\w-]+\.)|-----BEGIN [A-Z ]*PRIVATE KEY-----/;
/** Other keys than those that a configuration warns of. */
const SECRET_KEY = /authorization|passphrase|private[_-]?key|access[_-]?key|signing/i;

/** Values of a table that TOML can say, each secret in the clear as `{ env = NAME }`. */
export function carryValues(notes: Notes, table: ImportedTable, place: Place, prefix: string): Record<string, unknown> {
  const carried: Record<string, unknown> = {};
  for (const [key, value] of Object.entries(table)) {
    if (key === "__proto__" || !key.isWellFormed()) {
      notes.add(place, "a key that nothing can be called", "no configuration has it", "call it something else, if the plugin takes that");
      continue;
    }
    const kept = carryValue(notes, value, [...place, key], [prefix, key], key);
    if (kept !== undefined) carried[key] = kept;
  }
  return carried;
}

function carryValue(notes: Notes, value: unknown, place: Place, names: readonly string[], key: string): unknown {
  if (typeof value === "string") return carryText(notes, value, place, names, key);
  if (value === null || value === undefined) {
    notes.add(place, "a null", "TOML has none", "nothing, if the plugin takes an absent key for null");
    return undefined;
  }
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value))
    return (value as unknown[]).flatMap((element, index) => {
      const kept = carryValue(notes, element, [...place, index], [...names, String(index)], key);
      return kept === undefined ? [] : [kept];
    });
  if (typeof value === "object") {
    const carried = carryValues(notes, value as ImportedTable, place, names.join("_"));
    // What looks like the reference to a secret is meant for the plugin.
    const [first, ...others] = Object.keys(carried);
    return others.length === 0 && (first === "env" || first === "file" || first === "literal") ? { literal: carried } : carried;
  }
  if (typeof value === "number" && (!Number.isFinite(value) || (Number.isInteger(value) && !Number.isSafeInteger(value)))) {
    notes.add(
      place,
      "a number that JSON cannot carry exactly",
      "plugins get their configuration as JSON",
      "write it as text, if the plugin takes that",
    );
    return undefined;
  }
  if (typeof value === "number" || typeof value === "boolean") return value;
  notes.add(place, `a value of the kind ${typeof value}`, "plugins get their configuration as JSON", "write it as text, if the plugin takes that");
  return undefined;
}

function carryText(notes: Notes, value: string, place: Place, names: readonly string[], key: string): unknown {
  if (!value.isWellFormed()) {
    notes.add(place, "a text with half of a surrogate pair", "no UTF-8 can express it", "correct it");
    return undefined;
  }
  const named = /^(?:\$\{([A-Za-z_][A-Za-z0-9_]*)\}|env\.([A-Za-z_][A-Za-z0-9_]*))$/.exec(value);
  const variable = named?.[1] ?? named?.[2];
  if (variable !== undefined) {
    notes.add(
      place,
      `a reference to the variable ${variable}`,
      "such text is not replaced there, or not everywhere; here it is",
      `set ${variable} for the process`,
    );
    return { env: variable };
  }
  if (value === "" || !(looksSecret(key) || SECRET_KEY.test(key) || TOKEN.test(value) || hasCredentials(value))) return value;
  const env = variableName(names);
  notes.add(
    place,
    "a secret in the clear",
    "secrets stand in variables or files, which the plugin alone gets",
    `set the variable ${env}, and revoke the secret if others could read the file`,
  );
  return { env };
}

/** `["my-plugin", "api_key"]` as MY_PLUGIN_API_KEY. */
export function variableName(names: readonly string[]): string {
  const name = names
    .join("_")
    .replaceAll(/[^A-Za-z0-9]+/g, "_")
    .replaceAll(/^_+|_+$/g, "")
    .toUpperCase()
    .slice(0, 100);
  return /^[A-Z_]/.test(name) ? name : `PLUGIN_${name}`;
}

/** True for a URL with a password or the like in it. */
export function hasCredentials(text: string): boolean {
  const url = URL.parse(text);
  return url !== null && (url.username !== "" || url.password !== "");
}

/** Why an entry cannot stand in permissions.hosts; undefined if it can. */
export function hostFault(entry: string): string | undefined {
  try {
    readHostRules([entry], "hosts");
    return undefined;
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return String(error.details["found"]).replace(/^.*", which (.*),$/, "it $1");
  }
}
