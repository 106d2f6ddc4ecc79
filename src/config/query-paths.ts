// Folders that a function asks for, out of those that the operator grants.

import { realpathSync } from "node:fs";
import { isAbsolute, relative, resolve, sep } from "node:path";

import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { PathGrant, Permissions } from "../api/permissions.ts";
import { kindOf } from "../manifest/place.ts";

const READ_ONLY = "ro:";
/** Bytes that a plugin may add to a folder for which nothing is said, as PathGrant has it. */
const DEFAULT_BYTES = 64 << 20;
/** Folders that may be asked for. */
const MAX_PATHS = 64;

/** A folder of the operator's, by its real path. */
interface Granted {
  readonly path: string;
  readonly readOnly: boolean;
  readonly maxBytes: number;
}

/** A folder of the function's, and the grant that it lies in. */
interface Asked {
  readonly path: string;
  readonly guest: string;
  readonly readOnly: boolean;
  readonly within: Granted;
}

/**
 * Grants folders: each has to be one of the operator's or to lie in one, links followed, and may only be read where the
 * operator's may only be read. Folders that lie in one of the operator's share what may be added to it, in equal parts.
 * Links are followed now, and not again when the folder is opened: whoever can replace folders of the host between the two
 * could lead elsewhere. Plugins cannot; their links lead downwards only.
 *
 * @param given guest paths by path of this machine, with `ro:` in front for reading only; nothing for none
 * @throws MortiseError MORTISE_INVALID_OPTION; what does not exist and what is not granted look the same
 */
export function grantPaths(given: unknown, most: Permissions["paths"] = {}): Readonly<Record<string, PathGrant>> {
  const grants: Record<string, PathGrant> = Object.create(null) as Record<string, PathGrant>;
  if (given === undefined || given === null) return grants;
  if (typeof given !== "object" || Array.isArray(given) || given instanceof Map)
    throw invalidOption("options.allowed_paths", kindOf(given), "an object");
  const entries = Object.entries(given);
  if (entries.length > MAX_PATHS) throw invalidOption("options.allowed_paths", `${entries.length} folders`, `${MAX_PATHS} folders at most`);
  if (entries.length === 0) return grants;
  const granted = Object.entries(most).flatMap(([host, grant]) => realGrant(host, grant) ?? []);
  const asked = entries.map(([host, guest]) => askedPath(host, guest, granted));
  for (const { path, guest, readOnly, within } of asked) {
    const writers = asked.filter((other) => other.within === within && !other.readOnly).length;
    let key = path;
    // A folder that is asked for twice gets a second spelling, since keys cannot repeat.
    while (Object.hasOwn(grants, key)) key += `${sep}.`;
    grants[key] = readOnly ? { guest, access: "read-only" } : { guest, access: "read-write", maxBytes: Math.floor(within.maxBytes / writers) };
  }
  return grants;
}

function askedPath(host: string, guest: unknown, granted: readonly Granted[]): Asked {
  const option = `options.allowed_paths["${printable(host, 80)}"]`;
  if (typeof guest !== "string") throw invalidOption(option, kindOf(guest), "the guest's path");
  const readOnly = host.startsWith(READ_ONLY);
  const path = realPath(readOnly ? host.slice(READ_ONLY.length) : host);
  // The deepest, which is what the operator says of this folder in particular.
  const [within] = granted.filter((grant) => path !== undefined && isWithin(grant.path, path)).toSorted((a, b) => b.path.length - a.path.length);
  if (path === undefined || within === undefined) throw invalidOption(option, "no folder that is granted", "one of the operator's, or below one");
  if (within.readOnly && !readOnly) throw invalidOption(option, "a folder to write to", `"${READ_ONLY}" and a path, since it may only be read`);
  return { path, guest, readOnly, within };
}

function realGrant(host: string, grant: PathGrant): Granted | undefined {
  const prefixed = host.startsWith(READ_ONLY);
  const path = realPath(prefixed ? host.slice(READ_ONLY.length) : host);
  const { access, maxBytes = DEFAULT_BYTES } = typeof grant === "string" ? {} : grant;
  return path === undefined ? undefined : { path, readOnly: prefixed || access === "read-only", maxBytes };
}

function realPath(path: string): string | undefined {
  if (path === "" || path.includes("\0")) return undefined;
  try {
    return realpathSync.native(resolve(path));
  } catch {
    return undefined;
  }
}

function isWithin(folder: string, path: string): boolean {
  const way = relative(folder, path);
  return way === "" || (way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way));
}
