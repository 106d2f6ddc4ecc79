// Checks a manifest as a whole before anything of it is read.

import { resolve } from "node:path";

import { type CheckedModule, checkModule } from "./check-module.ts";
import { type Field, elementsOf, readFields, textOf, textsOf, wholeNumberOf } from "./fields.ts";
import type { AllowedPath, ResolvedManifest } from "./manifest.ts";
import { nameModules } from "./module-names.ts";
import { type Origin, faultAt, quoted } from "./place.ts";

/** Modules that a manifest may have. */
const MAX_MODULES = 64;

const MANIFEST_KEYS = {
  wasm: undefined,
  memory: undefined,
  allowedHosts: "allowed_hosts",
  allowedPaths: "allowed_paths",
  config: undefined,
  timeoutMs: "timeout_ms",
} as const;
const MEMORY_KEYS = { maxPages: "max_pages", maxHttpResponseBytes: "max_http_response_bytes", maxVarBytes: "max_var_bytes" } as const;

/** A manifest whose keys and values are right; its modules still have to be read. */
export interface CheckedManifest {
  /** Each with its final name. */
  readonly modules: readonly (CheckedModule & { readonly name: string })[];
  readonly settings: Pick<ResolvedManifest, "memory" | "allowedHosts" | "allowedPaths" | "config" | "timeoutMs">;
}

/** A manifest before it is checked. */
export interface ManifestDocument {
  readonly value: unknown;
  readonly origin: Origin;
  /** Folder that relative paths start from; undefined if the manifest came over the network and may name no paths. */
  readonly folder: string | undefined;
}

/**
 * Checks a manifest.
 *
 * @param keys what the keys of allowedPaths are
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of the fault
 */
export function checkManifest({ value, origin, folder }: ManifestDocument, keys: "host" | "guest"): CheckedManifest {
  const fields = readFields(origin, { value, place: [] }, "a manifest", MANIFEST_KEYS);
  const listed = elementsOf(origin, fields.wasm);
  if (listed.length === 0) throw faultAt(origin, ["wasm"], "names no module; it must be an array of one module or more");
  if (listed.length > MAX_MODULES) throw faultAt(origin, ["wasm"], `has ${listed.length} modules but may have ${MAX_MODULES}`);
  const modules = nameModules(
    origin,
    listed.map((field) => checkModule(origin, field, folder)),
  );
  const memory = fields.memory === undefined ? {} : readFields(origin, fields.memory, "memory", MEMORY_KEYS);
  return {
    modules,
    settings: {
      memory: {
        maxPages: wholeNumberOf(origin, memory.maxPages, 0),
        maxHttpResponseBytes: wholeNumberOf(origin, memory.maxHttpResponseBytes, 0),
        maxVarBytes: wholeNumberOf(origin, memory.maxVarBytes, 0),
      },
      allowedHosts: elementsOf(origin, fields.allowedHosts).map((field) => textOf(origin, field)),
      allowedPaths: checkPaths(origin, fields.allowedPaths, folder, keys),
      config: checkConfig(origin, fields.config),
      timeoutMs: wholeNumberOf(origin, fields.timeoutMs, 1),
    },
  };
}

function checkConfig(origin: Origin, field: Field | undefined): Record<string, string> {
  const config = Object.create(null) as Record<string, string>;
  for (const [key, { value }] of textsOf(origin, field)) config[key] = value;
  return Object.freeze(config);
}

function checkPaths(origin: Origin, field: Field | undefined, folder: string | undefined, keys: "host" | "guest"): AllowedPath[] {
  const guests = new Set<string>();
  return textsOf(origin, field).map(([key, { value, place }]) => {
    if (folder === undefined) throw faultAt(origin, place, "names a path of this machine, which a manifest from the network may not");
    const [host, guestPath] = keys === "host" ? [key, value] : [value, key];
    const readOnly = host.startsWith("ro:");
    const hostPath = readOnly ? host.slice("ro:".length) : host;
    if (hostPath === "" || hostPath.includes("\0")) throw faultAt(origin, place, "has no path of this machine");
    if (guestPath === "" || guestPath.includes("\0")) throw faultAt(origin, place, "has no path of the guest");
    if (guests.has(guestPath)) throw faultAt(origin, place, `gives the guest's path ${quoted(guestPath)} a second meaning`);
    guests.add(guestPath);
    return { hostPath: resolve(folder, hostPath), guestPath, readOnly };
  });
}
