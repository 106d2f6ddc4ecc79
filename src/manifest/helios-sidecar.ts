// Manifests of HeliosProxy that stand beside a module, or inside of it.

import { basename, dirname, extname, join } from "node:path";

import { MortiseError, printable } from "../api/errors.ts";
import { MAX_TEXT_BYTES } from "./bounded-bytes.ts";
import type { Deadline } from "./deadline.ts";
import { fileBytes } from "./file-bytes.ts";
import { readSignature } from "./helios-artefact.ts";
import { type HeliosForm, type HeliosManifest, checkHelios } from "./helios-manifest.ts";
import { heliosSection } from "./helios-section.ts";
import { decodeText, parseManifestText } from "./manifest-text.ts";
import { type Origin, manifestFault } from "./place.ts";
import { parseYaml } from "./yaml-reader.ts";

/** HeliosProxy's order; the last two it does not know. */
const EXTENSIONS = [".yaml", ".json", ".yml", ".toml"] as const;
/** What its own plugins come with. */
const SHARED = "plugin.toml";
const LIMITS = { moduleBytes: MAX_TEXT_BYTES, otherBytes: MAX_TEXT_BYTES, spentBytes: 0 };
const FORM: HeliosForm = { what: "a plugin's manifest", required: ["name"], lenient: false };
const EMBEDDED: HeliosForm = { ...FORM, required: [] };

type Format = "json" | "toml" | "yaml";

/**
 * Looks for a manifest beside a module: `<stem>.yaml`, `.json`, `.yml`, `.toml`, then `plugin.toml` if the name in it is
 * the module's; and for the signature `<stem>.sig`. A JSON or TOML file that is a manifest of Extism's is none of these.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID, MORTISE_SOURCE_UNREADABLE, or why the deadline ended it
 */
export async function readSidecar(path: string, deadline: Deadline): Promise<HeliosManifest | undefined> {
  const stem = path.slice(0, path.length - extname(path).length);
  const manifest = await findSidecar(stem, deadline);
  if (manifest === undefined) return undefined;
  const text = await optionalFile(`${stem}.sig`, deadline);
  const signature = text === undefined ? undefined : readSignature(text);
  return signature === undefined ? manifest : { ...manifest, signature };
}

async function findSidecar(stem: string, deadline: Deadline): Promise<HeliosManifest | undefined> {
  const name = basename(stem);
  for (const extension of EXTENSIONS) {
    const found = await readFile(`${stem}${extension}`, deadline);
    if (found === undefined || isExtismManifest(found.value)) continue;
    return checkHelios(found.origin, found.value, FORM, name).manifest;
  }
  if (name === "plugin") return undefined;
  const shared = await readFile(join(dirname(stem), SHARED), deadline);
  if (shared === undefined || !isNamed(shared.value, name)) return undefined;
  return checkHelios(shared.origin, shared.value, FORM, name).manifest;
}

/**
 * The manifest in a module's custom section, which is JSON, or YAML.
 *
 * @param source the module in messages
 * @throws MortiseError MORTISE_MANIFEST_INVALID
 */
export async function readEmbedded(module: Uint8Array, source: string): Promise<HeliosManifest | undefined> {
  const bytes = heliosSection(module);
  if (bytes === undefined) return undefined;
  const name = `the custom section "helios_manifest" of ${source}`;
  if (bytes.length > MAX_TEXT_BYTES) throw manifestFault(name, `it has ${bytes.length} bytes, but may have ${MAX_TEXT_BYTES}`);
  const text = decodeText(bytes, name);
  const { value, origin } = await parseText(text, /^\s*\{/.test(text) ? "json" : "yaml", name);
  return checkHelios(origin, value, EMBEDDED, "plugin").manifest;
}

async function readFile(path: string, deadline: Deadline): Promise<{ value: unknown; origin: Origin } | undefined> {
  const bytes = await optionalFile(path, deadline);
  if (bytes === undefined) return undefined;
  const source = `"${printable(path)}"`;
  return parseText(decodeText(bytes, source), formatOf(path), source);
}

function formatOf(path: string): Format {
  const extension = extname(path);
  if (extension === ".json") return "json";
  return extension === ".toml" ? "toml" : "yaml";
}

async function parseText(text: string, format: Format, source: string): Promise<{ value: unknown; origin: Origin }> {
  if (format !== "yaml") return parseManifestText(text, format, source);
  const { value, locate } = await parseYaml(text, (reason, position) => {
    throw manifestFault(source, reason, position);
  });
  return { value, origin: { source, locate } };
}

async function optionalFile(path: string, deadline: Deadline): Promise<Uint8Array | undefined> {
  try {
    return await fileBytes(path, LIMITS, deadline);
  } catch (error) {
    if (error instanceof MortiseError && error.code === "MORTISE_SOURCE_NOT_FOUND") return undefined;
    throw error;
  }
}

/** Manifests of Extism's stand beside modules, too. */
function isExtismManifest(value: unknown): boolean {
  return typeof value === "object" && value !== null && "wasm" in value;
}

/** One plugin.toml must not speak for every module of its folder. Compilers write `_` where the name has `-`. */
function isNamed(value: unknown, stem: string): boolean {
  const name = typeof value === "object" && value !== null && "name" in value ? value.name : undefined;
  return typeof name === "string" && name.replaceAll("-", "_") === stem.replaceAll("-", "_");
}
