// Folders of the host that a plugin is granted: `permissions.paths`.

import { MortiseError } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { PathGrant } from "../api/permissions.ts";
import { systemCode } from "./errno.ts";
import { type Mount, openMount } from "./mount.ts";
import { type HandleKind, handlesHere } from "./mount-handles.ts";
import { MAX_PATH_BYTES } from "./path-walk.ts";

export type { PathGrant };

/** A folder that is granted from the start. */
export interface GrantedFolder {
  readonly guest: string;
  readonly name: Uint8Array;
  readonly mount: Mount;
}

/** What is left of a folder's quota. */
export interface Allowance {
  readonly bytes: number;
  /** Names that may be created. */
  readonly entries: number;
}

const READ_ONLY_PREFIX = "ro:";
/** {@link PathGrant}'s `maxBytes`. */
export const DEFAULT_BYTES: number = 64 << 20;
const KNOWN: ReadonlySet<string> = new Set(["guest", "access", "maxBytes"]);

/**
 * Opens granted folders.
 *
 * @param taken guest paths that something else has
 * @param handles how folders are held; for tests. @default what works here
 * @param allowances what is left of each folder's quota, in the order of `paths`. @default all
 * @throws MortiseError MORTISE_INVALID_OPTION, or MORTISE_BAD_MOUNT for a folder that cannot be granted
 */
export function openFolders(
  paths: unknown,
  taken: readonly string[],
  handles?: HandleKind | string,
  allowances: readonly Allowance[] = [],
): readonly GrantedFolder[] {
  if (typeof paths !== "object" || paths === null || Array.isArray(paths)) throw invalidOption("permissions.paths", typeof paths, "an object");
  const folders: GrantedFolder[] = [];
  try {
    for (const [host, grant] of Object.entries(paths)) {
      const folder = openFolder(host, grant, handles, allowances[folders.length]);
      folders.push(folder);
      if (taken.includes(folder.guest) || folders.some((other) => other !== folder && other.guest === folder.guest)) {
        throw invalidOption(optionName(host), `"${folder.guest}"`, "a guest path that nothing else has");
      }
    }
    return folders;
  } catch (error) {
    closeFolders(folders);
    throw error;
  }
}

/** Closes granted folders; nothing can be looked up in them any more. */
export function closeFolders(folders: readonly GrantedFolder[]): void {
  for (const { mount } of folders) {
    if (mount.closed) continue;
    mount.closed = true;
    mount.root.close();
  }
}

function openFolder(host: string, grant: unknown, wanted: HandleKind | string | undefined, allowance: Allowance | undefined): GrantedFolder {
  const prefixed = host.startsWith(READ_ONLY_PREFIX);
  const path = prefixed ? host.slice(READ_ONLY_PREFIX.length) : host;
  const { guest, readOnly, maxBytes } = readGrant(optionName(host), grant, prefixed);
  if (path === "" || path.includes("\0")) throw invalidOption("permissions.paths", `"${host}"`, "the path of a folder");
  const handles = wanted ?? handlesHere(path);
  if (typeof handles === "string") throw new MortiseError("MORTISE_BAD_MOUNT", { path, reason: handles });
  try {
    const mount = openMount(path, handles, readOnly, Math.min(maxBytes, allowance?.bytes ?? maxBytes), allowance?.entries);
    return { guest, name: new TextEncoder().encode(guest), mount };
  } catch (error) {
    throw new MortiseError("MORTISE_BAD_MOUNT", { path, reason: reasonOf(error) }, error);
  }
}

function reasonOf(error: unknown): string {
  if (systemCode(error) === "ENOENT") return "it does not exist";
  return error instanceof Error ? error.message : String(error);
}

function readGrant(
  option: string,
  grant: unknown,
  prefixed: boolean,
): { readonly guest: string; readonly readOnly: boolean; readonly maxBytes: number } {
  if (typeof grant !== "string" && (typeof grant !== "object" || grant === null))
    throw invalidOption(option, typeof grant, "a guest path or an object");
  const fields: { readonly guest?: unknown; readonly access?: unknown; readonly maxBytes?: unknown } =
    typeof grant === "string" ? { guest: grant } : grant;
  for (const key of Object.keys(fields)) if (!KNOWN.has(key)) throw invalidOption(`${option}.${key}`, "unknown", "one of guest, access, maxBytes");
  const { guest, access = prefixed ? "read-only" : "read-write", maxBytes = DEFAULT_BYTES } = fields;
  if (typeof guest !== "string" || !isGuestPath(guest)) throw invalidOption(option, JSON.stringify(guest) ?? "nothing", "a guest path without ..");
  if (access !== "read-only" && access !== "read-write") throw invalidOption(`${option}.access`, String(access), '"read-only" or "read-write"');
  if (prefixed && access === "read-write") throw invalidOption(`${option}.access`, access, '"read-only", as the prefix ro: says');
  if (typeof maxBytes !== "number" || !(maxBytes >= 0) || (!Number.isSafeInteger(maxBytes) && maxBytes !== Number.POSITIVE_INFINITY)) {
    throw invalidOption(`${option}.maxBytes`, String(maxBytes), "a whole number, not negative");
  }
  return { guest, readOnly: access === "read-only", maxBytes };
}

/** The path is text that guests compare with; it is not looked up anywhere. */
function isGuestPath(path: string): boolean {
  return path !== "" && !path.includes("\0") && Buffer.byteLength(path) <= MAX_PATH_BYTES && !path.split("/").includes("..");
}

function optionName(host: string): string {
  return `permissions.paths["${host}"]`;
}
