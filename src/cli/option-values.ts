// Reads the values of options; what is wrong with one becomes part of commander's message.

import { InvalidArgumentError } from "commander";

import type { Permissions } from "../api/permissions.ts";

/** A folder that the command line grants. */
export interface FolderGrant {
  readonly host: string;
  readonly guest: string;
  readonly readOnly: boolean;
}

/** A whole number, 1 or more. */
export function parseWholeNumber(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(Number.isSafeInteger(value) && value > 0)) throw new InvalidArgumentError("It must be a whole number, 1 or more.");
  return value;
}

/** Mebibytes that a memory can have. */
export function parseMemory(text: string): number {
  const value = parseWholeNumber(text);
  if (value > 4096) throw new InvalidArgumentError("It must be 4096 or less, the most that 32-bit memories have.");
  return value;
}

/** Adds `key=value` to what earlier options of the kind gave; the last one for a key counts. */
export function parsePair(text: string, earlier: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It must be KEY=VALUE.");
  return Object.fromEntries([...Object.entries(earlier), [text.slice(0, at), text.slice(at + 1)]]);
}

/** Adds a text to what earlier options of the kind gave. */
export function parseRepeated(text: string, earlier: readonly string[] = []): readonly string[] {
  return [...earlier, text];
}

/** Services that are granted for reading, or for reading and writing. */
const STORES: ReadonlySet<string> = new Set(["kv", "cache"]);
const SWITCHES: ReadonlySet<string> = new Set(["crypto", "clock", "metrics"]);

/** Adds a permission: `kv` and `cache` with `=read` or `=read-write`, which they mean alone, and others by their name. */
export function parseGrant(text: string, earlier: Permissions = {}): Permissions {
  const [name = "", access = "read-write", ...rest] = text.split("=");
  if (STORES.has(name) && rest.length === 0 && (access === "read" || access === "read-write")) return { ...earlier, [name]: access };
  if (SWITCHES.has(name) && text === name) return { ...earlier, [name]: true };
  throw new InvalidArgumentError("It must be kv, cache (with =read or =read-write), crypto, clock or metrics.");
}

/** Adds `host:guest` or `host:guest:ro` to the folders that earlier options granted. */
export function parseFolder(text: string, earlier: readonly FolderGrant[] = []): readonly FolderGrant[] {
  const readOnly = text.endsWith(":ro");
  const pair = readOnly ? text.slice(0, -":ro".length) : text;
  // Folders of this machine may have a colon in their names, as drives do.
  const at = pair.lastIndexOf(":");
  const grant = { host: pair.slice(0, Math.max(at, 0)), guest: pair.slice(at + 1), readOnly };
  if (grant.host === "" || grant.guest === "") throw new InvalidArgumentError("It must be HOST:GUEST or HOST:GUEST:ro.");
  if (grant.guest.split("/").includes("..")) throw new InvalidArgumentError("The guest path must not contain '..'.");
  for (const other of earlier) {
    if (other.guest === grant.guest) throw new InvalidArgumentError(`The guest path '${grant.guest}' is given twice.`);
    if (other.host === grant.host) throw new InvalidArgumentError(`The folder '${grant.host}' is given twice.`);
  }
  return [...earlier, grant];
}
