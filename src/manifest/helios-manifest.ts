// What a HeliosProxy plugin says of itself, in manifest.json of an artefact, beside the module, or inside of it.

import { didYouMean } from "../api/near-names.ts";
import { type Field, type Fields, type KeyTable, elementsOf, readFields, textOf, wholeNumberOf } from "./fields.ts";
import { HELIOS_HOOKS, heliosHook } from "./helios-hooks.ts";
import { type PermissionRequest, canonicalPermission, requestsOf } from "./helios-permissions.ts";
import { type Origin, type Place, faultAt, kindOf, quoted } from "./place.ts";

/** A manifest that was checked. Nothing in it grants anything. */
export interface HeliosManifest {
  readonly name: string;
  readonly version: string;
  readonly description: string;
  readonly author: string;
  readonly license: string;
  /** Names of exports, each once; empty if the manifest lists none, and then the exports themselves tell. */
  readonly hooks: readonly string[];
  /** Permissions by HeliosProxy's names, aliases replaced, each once. */
  readonly permissions: readonly string[];
  /** The same as permissions of Mortise, for an operator to grant. */
  readonly requested: readonly PermissionRequest[];
  readonly minMemoryBytes: number;
  readonly maxMemoryBytes: number;
  /** Ed25519 signature over the module's bytes; not verified here. */
  readonly signature?: Uint8Array;
}

/** What differs between the places where a manifest may stand. */
export interface HeliosForm {
  /** In messages. */
  readonly what: string;
  /** Keys that must be there. */
  readonly required: readonly (keyof typeof HELIOS_KEYS)[];
  /** True where keys that nobody knows are from a later version, and not a slip. */
  readonly lenient: boolean;
}

const MIB = 1 << 20;
const MIN_MEMORY_BYTES = MIB;
const MAX_MEMORY_BYTES = 64 * MIB;
/** Most that a manifest may ask for. */
const MEMORY_CEILING = 256 * MIB;
const MAX_NAME_CHARS = 128;
const MAX_TEXT_CHARS = 4096;
/** Entries of one list. */
const MAX_ENTRIES = 64;

/** Keys of every form; what an artefact has besides is in the second half. */
export const HELIOS_KEYS = {
  name: undefined,
  version: undefined,
  description: undefined,
  author: undefined,
  license: undefined,
  hooks: undefined,
  permissions: undefined,
  resources: undefined,
  minMemory: "min_memory",
  maxMemory: "max_memory",
  // Known there, and without any effect.
  priority: undefined,
  configSchema: "config_schema",
  // of artefacts
  schemaVersion: "schema_version",
  wasmSha256: "wasm_sha256",
  signatureSha256: "signature_sha256",
  signatureAlgorithm: "signature_algorithm",
  packedAt: "packed_at",
} as const satisfies KeyTable<string>;

type HeliosFields = Fields<keyof typeof HELIOS_KEYS>;

const RESOURCE_KEYS = { minMemory: "min_memory", maxMemory: "max_memory" } as const;

/**
 * Checks a manifest.
 *
 * @param fallbackName name of a plugin whose manifest has none
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of the fault
 */
export function checkHelios(
  origin: Origin,
  value: unknown,
  form: HeliosForm,
  fallbackName: string,
): { manifest: HeliosManifest; fields: HeliosFields } {
  const fields = readFields(origin, { value: form.lenient ? knownKeysOf(value) : value, place: [] }, form.what, HELIOS_KEYS);
  for (const key of form.required) if (fields[key] === undefined) throw faultAt(origin, [HELIOS_KEYS[key] ?? key], `is missing from ${form.what}`);
  const permissions = unique(listOf(origin, fields.permissions).map(({ value: name, place }) => canonicalPermission(checkWord(origin, name, place))));
  const manifest = {
    name: fields.name === undefined ? fallbackName : checkName(origin, fields.name),
    version: checkVersion(origin, fields.version),
    description: checkText(origin, fields.description),
    author: checkText(origin, fields.author),
    license: checkText(origin, fields.license),
    hooks: unique(listOf(origin, fields.hooks).map((field) => checkHook(origin, field))),
    permissions,
    requested: requestsOf(permissions),
    ...checkMemory(origin, fields),
  };
  return { manifest, fields };
}

/** Leaves out what a later version may have added. */
function knownKeysOf(value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const known = new Set<string>(Object.entries(HELIOS_KEYS).flatMap(([key, other]) => [key, other ?? key]));
  return Object.fromEntries(Object.entries(value).filter(([key]) => known.has(key)));
}

function checkName(origin: Origin, field: Field): string {
  const name = textOf(origin, field);
  if (name.length > MAX_NAME_CHARS) throw faultAt(origin, field.place, `has ${name.length} characters but may have ${MAX_NAME_CHARS}`);
  if (!/^[A-Za-z0-9_-]+$/.test(name)) throw faultAt(origin, field.place, `is ${quoted(name)} but may have letters, digits, "-" and "_" only`);
  return name;
}

/** Numbers with dots, and what semantic versions put behind them. */
function checkVersion(origin: Origin, field: Field | undefined): string {
  if (field === undefined) return "0.0.0";
  const version = textOf(origin, field);
  if (version.length <= MAX_NAME_CHARS && /^\d+(?:\.\d+)*(?:[-+][0-9A-Za-z.+-]+)?$/.test(version)) return version;
  throw faultAt(origin, field.place, `is ${quoted(version)} but must be a version such as "1.2.0"`);
}

function checkText(origin: Origin, field: Field | undefined): string {
  if (field === undefined || field.value === "") return "";
  const text = textOf(origin, field);
  if (text.length > MAX_TEXT_CHARS) throw faultAt(origin, field.place, `has ${text.length} characters but may have ${MAX_TEXT_CHARS}`);
  return text;
}

function listOf(origin: Origin, field: Field | undefined): Field[] {
  const elements = elementsOf(origin, field);
  if (elements.length > MAX_ENTRIES) throw faultAt(origin, field?.place ?? [], `has ${elements.length} entries but may have ${MAX_ENTRIES}`);
  return elements;
}

function checkHook(origin: Origin, field: Field): string {
  const word = checkWord(origin, field.value, field.place);
  const hook = heliosHook(word);
  if (hook !== undefined) return hook;
  throw faultAt(origin, field.place, `is ${quoted(word)}, which is no hook of HeliosProxy${didYouMean(word, HELIOS_HOOKS.keys())}`);
}

function checkWord(origin: Origin, value: unknown, place: Place): string {
  const word = textOf(origin, { value, place });
  if (word.length > MAX_NAME_CHARS) throw faultAt(origin, place, `has ${word.length} characters but may have ${MAX_NAME_CHARS}`);
  return word;
}

/** At the top, as plugin.toml has it, or in a table of its own. */
function checkMemory(origin: Origin, fields: HeliosFields): { readonly minMemoryBytes: number; readonly maxMemoryBytes: number } {
  const resources = fields.resources === undefined ? {} : readFields(origin, fields.resources, "resources", RESOURCE_KEYS);
  for (const key of ["minMemory", "maxMemory"] as const) {
    const [above, below] = [fields[key], resources[key]];
    if (above !== undefined && below !== undefined) throw faultAt(origin, below.place, `is given twice; ${String(above.place[0])} says it, too`);
  }
  const min = fields.minMemory ?? resources.minMemory;
  const max = fields.maxMemory ?? resources.maxMemory;
  const maxMemoryBytes = max === undefined ? MAX_MEMORY_BYTES : checkSize(origin, max);
  const minMemoryBytes = min === undefined ? Math.min(MIN_MEMORY_BYTES, maxMemoryBytes) : checkSize(origin, min);
  if (maxMemoryBytes > MEMORY_CEILING)
    throw faultAt(origin, max?.place ?? [], `asks for ${maxMemoryBytes} bytes, but a plugin may ask for ${MEMORY_CEILING}`);
  if (minMemoryBytes > maxMemoryBytes)
    throw faultAt(origin, min?.place ?? [], `asks for ${minMemoryBytes} bytes, which is more than the ${maxMemoryBytes} of max_memory`);
  return { minMemoryBytes, maxMemoryBytes };
}

const UNITS: ReadonlyMap<string, number> = new Map([
  ["", 1],
  ["B", 1],
  ["KB", 1 << 10],
  ["MB", 1 << 20],
  ["GB", 1 << 30],
]);

/** Bytes, as a number or as text with a unit; units count by 1,024. */
function checkSize(origin: Origin, field: Field): number {
  if (typeof field.value === "number") return wholeNumberOf(origin, field, 1) ?? 0;
  const parts = typeof field.value === "string" ? /^\s*(\d{1,12})\s*([A-Za-z]{0,2})\s*$/.exec(field.value) : null;
  const unit = UNITS.get(parts?.[2]?.toUpperCase() ?? "?");
  const bytes = unit === undefined ? 0 : Number(parts?.[1]) * unit;
  if (bytes >= 1) return bytes;
  throw faultAt(origin, field.place, `is ${kindOf(field.value)} but must be a size such as 1048576, "512KB", "64MB" or "1GB"`);
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
