// The record of what each prebuilt guest was made from: guests/prebuilt/manifest.json.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { GUESTS, sourcePaths, type Guest } from "./guests-table.ts";

export const GUESTS_FOLDER: string = join(import.meta.dirname, "..", "guests");
export const PREBUILT_FOLDER: string = join(GUESTS_FOLDER, "prebuilt");
const MANIFEST_FILE = join(PREBUILT_FOLDER, "manifest.json");

export interface ManifestEntry {
  readonly language: string;
  readonly compiler: string;
  readonly flags: readonly string[];
  /** SHA-256 by path relative to the `guests` folder. */
  readonly sources: Readonly<Record<string, string>>;
  readonly sha256: string;
  readonly bytes: number;
}

/** Entries by the file name of the built module. */
export type Manifest = Readonly<Record<string, ManifestEntry>>;

export function sha256(bytes: Uint8Array | string): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** The sources' text by path relative to the language's folder. */
export function readSources(guest: Guest): ReadonlyMap<string, string> {
  const folder = join(GUESTS_FOLDER, guest.language);
  return new Map(sourcePaths(guest).map((path) => [path, readFileSync(join(folder, path), "utf8")]));
}

export function sourceDigests(guest: Guest): Record<string, string> {
  const digests: Record<string, string> = {};
  for (const [path, text] of readSources(guest)) digests[`${guest.language}/${path}`] = sha256(text);
  return digests;
}

export function readPrebuilt(guest: Guest): Uint8Array {
  return readFileSync(join(PREBUILT_FOLDER, `${guest.name}.wasm`));
}

export function readManifest(): Manifest {
  const parsed: unknown = JSON.parse(readFileSync(MANIFEST_FILE, "utf8"));
  // The file is ours and a test compares every field of it, so its shape is not checked here.
  return parsed as Manifest;
}

export function entryFor(guest: Guest, compiler: string, wasm: Uint8Array): ManifestEntry {
  return {
    language: guest.language,
    compiler,
    flags: guest.flags,
    sources: sourceDigests(guest),
    sha256: sha256(wasm),
    bytes: wasm.length,
  };
}

/** Writes the manifest in the table's order, so that equal builds give equal files. */
export function writeManifest(manifest: Manifest): void {
  const ordered: Record<string, ManifestEntry> = {};
  for (const guest of GUESTS) {
    const entry = manifest[`${guest.name}.wasm`];
    if (entry !== undefined) ordered[`${guest.name}.wasm`] = entry;
  }
  writeFileSync(MANIFEST_FILE, `${JSON.stringify(ordered, null, 2)}\n`);
}
