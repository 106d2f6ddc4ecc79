// Plugins for HeliosProxy as they are shipped: what their manifests say of them, and what that changes.

import { extname } from "node:path";
import { fileURLToPath } from "node:url";

import type { ExportTable } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import type { ResolvedLimits } from "../api/limits.ts";
import type { Declared } from "../host/plugin.ts";
import type { PluginOptions } from "../host/options.ts";
import { type HeliosManifest, type HeliosPlugin, readHelios, readHeliosManifest } from "../manifest/helios-source.ts";
import type { ManifestSource, ResolvedManifest } from "../manifest/manifest.ts";
import { HELIOS_HOOKS } from "../wasm/detect.ts";

/** True for a source that is an archive of HeliosProxy's. */
export function isArtefact(source: ManifestSource): source is string | Uint8Array {
  if (typeof source === "string") return [".gz", ".tgz"].includes(extname(source).toLowerCase()) && !/^\w+:\/\//.test(source);
  return source instanceof Uint8Array && source[0] === 0x1f && source[1] === 0x8b;
}

/** An archive as a manifest of its one module. */
export async function readArtefact(
  source: string | Uint8Array,
  { moduleBytes }: ResolvedLimits,
  { signal }: PluginOptions,
): Promise<{ readonly manifest: ResolvedManifest; readonly helios: HeliosPlugin }> {
  const helios = await readHelios(source, { maxBytes: moduleBytes, signal });
  const where = typeof source === "string" ? `"${source}"` : "the artefact";
  return {
    helios,
    manifest: {
      name: helios.manifest?.name ?? "plugin",
      from: "module",
      origin: { source: where },
      modules: [{ name: "main", bytes: helios.wasm, source: where }],
      memory: { maxPages: undefined, maxHttpResponseBytes: undefined, maxVarBytes: undefined },
      allowedHosts: [],
      allowedPaths: [],
      config: {},
      timeoutMs: undefined,
    },
  };
}

/** What stands beside the file that a module came from, or inside of the module. */
export async function readBeside(source: ManifestSource, wasm: Uint8Array, { signal }: PluginOptions = {}): Promise<HeliosManifest | undefined> {
  return readHeliosManifest(wasm, pathOf(source), { signal });
}

/** The path of a file of this machine; undefined for any other source. */
function pathOf(source: ManifestSource): string | undefined {
  const url = source instanceof URL ? source : typeof source === "string" && /^\w+:\/\//.test(source) ? URL.parse(source) : undefined;
  if (url === undefined) return typeof source === "string" ? source : undefined;
  return url?.protocol === "file:" ? fileURLToPath(url) : undefined;
}

/** What a manifest says, as far as it concerns anybody here. */
export function declaredBy(declared: Declared, manifest: HeliosManifest | undefined): Declared {
  if (manifest === undefined) return declared;
  const { version, description, hooks, requested } = manifest;
  const requests = requested.map(({ grant, names }) => grant ?? names.join(", "));
  return { ...declared, version, description, requests, ...(hooks.length === 0 ? {} : { hooks }) };
}

/** The lower of two limits of memory: a manifest cannot raise the operator's. */
export function capMemory(limits: ResolvedLimits, manifest: HeliosManifest | undefined): ResolvedLimits {
  return manifest === undefined ? limits : { ...limits, memoryBytes: Math.min(limits.memoryBytes, manifest.maxMemoryBytes) };
}

/**
 * Exports without the hooks that a manifest leaves out, which HeliosProxy would not call either.
 *
 * @throws MortiseError MORTISE_ABI_MISMATCH for a hook that it names and the module does not export
 */
export function onlyDeclared(exports: ExportTable, plugin: string, manifest: HeliosManifest | undefined): ExportTable {
  if (manifest === undefined || manifest.hooks.length === 0) return exports;
  const missing = manifest.hooks.filter((name) => !exports.callable.has(name));
  if (missing.length > 0) {
    const named = missing.map((name) => `"${name}", which its manifest names as a hook`);
    throw new MortiseError("MORTISE_ABI_MISMATCH", { plugin, abi: "helios", missing: named.join(", ") });
  }
  const left = new Map(exports.callable);
  const others = new Map(exports.others);
  for (const name of HELIOS_HOOKS) {
    if (manifest.hooks.includes(name) || !left.delete(name)) continue;
    others.set(name, "a hook that its manifest does not name");
  }
  return { callable: left, others };
}
