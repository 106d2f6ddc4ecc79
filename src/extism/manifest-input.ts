// Gets what createPlugin was given into a form that the manifest reader takes.

import { types } from "node:util";

import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { Manifest, ManifestSource } from "../manifest/manifest.ts";
import { explain } from "./failures.ts";
import type { ManifestLike } from "./manifest-types.ts";

/** Keys that count; the package takes no notice of others, and neither does this. */
const MANIFEST_KEYS = [
  ["wasm"],
  ["memory"],
  ["allowedHosts", "allowed_hosts"],
  ["allowedPaths", "allowed_paths"],
  ["config"],
  ["timeoutMs", "timeout_ms"],
] as const;
const MODULE_KEYS = ["path", "url", "headers", "method", "data", "response", "module", "name", "hash"] as const;
const ORIGINS = ["path", "url", "data", "response", "module"] as const;

/**
 * Prepares a source: JSON is parsed, and of a manifest the known keys are taken.
 *
 * @throws TypeError with code MORTISE_MANIFEST_INVALID for a manifest without modules, and with MORTISE_INVALID_OPTION for a
 *   compiled module and what is no source
 */
export function prepareSource(source: ManifestLike): ManifestSource {
  const value: unknown = typeof source === "string" && /^\s*\{/.test(source) ? parsed(source) : source;
  if (types.isProxy(value) || typeof value !== "object" || value === null || types.isAnyArrayBuffer(value) || ArrayBuffer.isView(value))
    return value as ManifestSource;
  const tag = Object.prototype.toString.call(value);
  if (tag === "[object WebAssembly.Module]") throw compiled("manifest");
  if (tag === "[object URL]" || tag === "[object Response]") return value;
  return manifestOf(value as Record<string, unknown>);
}

/** Text that does not parse is left to the reader, which says where it breaks. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

function manifestOf(value: Record<string, unknown>): Manifest {
  const { wasm } = value;
  if (wasm === undefined) throw invalid('Expected "wasm" key in manifest');
  if (!Array.isArray(wasm)) throw invalid('Expected "manifest.wasm" to be array');
  const manifest: Record<string, unknown> = { wasm: wasm.map(moduleOf) };
  for (const [key, snake] of MANIFEST_KEYS.slice(1)) {
    const found = value[key] ?? (snake === undefined ? undefined : value[snake]);
    // 0 means any time, as it does among the options.
    if (found !== undefined && !(key === "timeoutMs" && found === 0)) manifest[key as string] = found;
  }
  return manifest as unknown as Manifest;
}

function moduleOf(item: unknown, index: number): unknown {
  const fields = (typeof item === "object" && item !== null ? item : {}) as Record<string, unknown>;
  if (ORIGINS.every((key) => fields[key] === undefined))
    throw invalid(`Expected every item in "manifest.wasm" to include either a "data", "url", or "path" key; got bad item at index ${index}`);
  if (fields["module"] !== undefined) {
    if (fields["hash"] !== undefined) throw invalid("Item specified a hash but WebAssembly.Module source data is unavailable for hashing");
    throw compiled(`manifest.wasm[${index}].module`);
  }
  return Object.fromEntries(MODULE_KEYS.flatMap((key) => (fields[key] === undefined ? [] : [[key, fields[key]]])));
}

function invalid(text: string): unknown {
  return explain(new MortiseError("MORTISE_MANIFEST_INVALID", { source: "the manifest", at: "", reason: text }), { kind: TypeError, text });
}

function compiled(option: string): unknown {
  const wanted = "the bytes that it was compiled from, for example { wasm: [{ data: bytes }] }";
  return explain(invalidOption(option, "a compiled WebAssembly.Module, which limits cannot be built into any more,", wanted));
}
