// Door to HeliosProxy's plugins: an artefact or a bare module becomes the module's bytes and a checked manifest.

import { printable } from "../api/errors.ts";
import { checkModuleBytes } from "./content-kind.ts";
import { type Deadline, startDeadline } from "./deadline.ts";
import { fileBytes } from "./file-bytes.ts";
import { type HeliosPlugin, isGzip, readHeliosArtefact } from "./helios-artefact.ts";
import type { HeliosManifest } from "./helios-manifest.ts";
import { readEmbedded, readSidecar } from "./helios-sidecar.ts";
import { snapshot } from "./module-bytes.ts";

export type { HeliosPlugin } from "./helios-artefact.ts";
export type { HeliosManifest } from "./helios-manifest.ts";

/** Options of {@link readHelios}. */
export interface ReadHeliosOptions {
  /** Bytes that the module may have. @default 128 MiB */
  readonly maxBytes?: number;
  /** Ends the reading. */
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that all of the reading may take. @default 30,000 */
  readonly timeoutMs?: number;
}

/**
 * Reads a plugin for HeliosProxy, whatever the file is called: a tar.gz with a manifest, or a module whose manifest stands
 * beside it or inside of it. A module without any has no manifest; its hooks are what it exports.
 *
 * @param source path, or the bytes of either
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of a fault, MORTISE_NOT_WASM, MORTISE_MODULE_LIMIT,
 *   MORTISE_DIGEST_MISMATCH, MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE, MORTISE_SOURCE_TIMEOUT or
 *   MORTISE_SOURCE_ABORTED
 */
export async function readHelios(source: string | Uint8Array, options: ReadHeliosOptions = {}): Promise<HeliosPlugin> {
  const { maxBytes = 128 << 20, signal, timeoutMs = 30_000 } = options;
  using deadline = startDeadline(timeoutMs, signal);
  const limits = { moduleBytes: maxBytes, otherBytes: maxBytes, spentBytes: 0 };
  const isPath = typeof source === "string";
  const name = isPath ? `"${printable(source)}"` : "the module";
  const bytes = isPath ? await fileBytes(source, limits, deadline) : snapshot(source, name, limits);
  if (isGzip(bytes)) return deadline.race(name, readHeliosArtefact(bytes, isPath ? name : "the artefact", maxBytes));
  checkModuleBytes(bytes, name, []);
  return { wasm: bytes, manifest: await findManifest(bytes, isPath ? source : undefined, name, deadline) };
}

/**
 * The manifest of a module that was read already: beside its file, if it came from one, else inside of it.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of a fault, MORTISE_SOURCE_UNREADABLE, or why it was ended
 */
export async function readHeliosManifest(
  wasm: Uint8Array,
  path: string | undefined,
  { signal, timeoutMs = 30_000 }: Omit<ReadHeliosOptions, "maxBytes"> = {},
): Promise<HeliosManifest | undefined> {
  using deadline = startDeadline(timeoutMs, signal);
  return findManifest(wasm, path, path === undefined ? "the module" : `"${printable(path)}"`, deadline);
}

async function findManifest(wasm: Uint8Array, path: string | undefined, name: string, deadline: Deadline): Promise<HeliosManifest | undefined> {
  const beside = path === undefined ? undefined : await readSidecar(path, deadline);
  return beside ?? readEmbedded(wasm, name);
}
