// Small modules, files and digests for the tests of manifests.

import { createHash } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";

import type { ManifestSource, ReadManifestOptions, ResolvedManifest } from "../../src/manifest/manifest.ts";
import { readManifest } from "../../src/manifest/read-manifest.ts";

/** A valid module of `size` bytes, 15 or more, whose content depends on `filler`. */
export function moduleOf(size: number, filler: number = 0): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(size).fill(filler);
  const left = size - 14;
  // One custom section takes all of it: its length in five bytes, then an empty name.
  const length = [0, 7, 14, 21, 28].map((shift) => ((left >>> shift) & 0x7f) | (shift < 28 ? 0x80 : 0));
  bytes.set([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 0, ...length, 0]);
  return bytes;
}

/** The smallest module. */
export const MODULE: Uint8Array<ArrayBuffer> = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
export const BASE64: string = base64(MODULE);

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("base64");
}

export function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** A folder that is gone after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "mortise-manifest-"));
  after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Reads with a limit of 1 MiB; passes what the types forbid. */
export function read(source: unknown, options: Partial<ReadManifestOptions> = {}): Promise<ResolvedManifest> {
  return readManifest(source as ManifestSource, { maxBytes: 1 << 20, ...options });
}

/** A manifest with one embedded module and more. */
export function withModule(more: Record<string, unknown> = {}): Record<string, unknown> {
  return { wasm: [{ data: BASE64 }], ...more };
}
