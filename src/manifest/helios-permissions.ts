// What the permissions of a HeliosProxy plugin are here. There a plugin grants them to itself; here it asks.

import type { Permissions } from "../api/permissions.ts";

/** A permission that a plugin asks for. */
export interface PermissionRequest {
  /** HeliosProxy's names for it. */
  readonly names: readonly string[];
  /** The permission that an operator may grant; undefined if it is one of the plugin's own, which means nothing here. */
  readonly permission: keyof Permissions | undefined;
  /** How it is granted in mortise.toml, with capitals where the operator has to decide; undefined if it cannot be. */
  readonly grant: string | undefined;
}

/** Other names for a permission; the last two are of host functions, which first-party plugins write. */
const ALIASES: ReadonlyMap<string, string> = new Map([
  ["query", "query_execute"],
  ["http", "http_fetch"],
  ["cryptography", "crypto"],
  ["config", "config_read"],
  ["fs_read", "filesystem_read"],
  ["fs_write", "filesystem_write"],
  ["metric_inc", "metrics"],
  ["metric_gauge", "metrics"],
]);

/** Each with its permission here, and of two grants of one permission the stronger later. */
const GRANTS: ReadonlyMap<string, readonly [permission: keyof Permissions, grant: string]> = new Map([
  ["kv_read", ["kv", 'kv = "read"']],
  ["kv_write", ["kv", 'kv = "read-write"']],
  ["cache_read", ["cache", 'cache = "read"']],
  ["cache_write", ["cache", 'cache = "read-write"']],
  ["metrics", ["metrics", "metrics = true"]],
  ["crypto", ["crypto", "crypto = true"]],
  ["query_execute", ["databases", 'databases = { NAME = "read-write" }']],
  ["http_fetch", ["hosts", 'hosts = ["HOST"]']],
  ["network", ["hosts", 'hosts = ["HOST"]']],
  ["filesystem_read", ["paths", 'paths = { "ro:FOLDER" = "/GUEST" }']],
  ["filesystem_write", ["paths", 'paths = { "FOLDER" = "/GUEST" }']],
]);
/** Needs no permission: a plugin reads its own configuration. */
const FREE = "config_read";

/** A permission's name without aliases. */
export function canonicalPermission(name: string): string {
  const lower = name.toLowerCase();
  return ALIASES.get(lower) ?? lower;
}

/** What permissions ask for, each permission of Mortise once, in the order of {@link GRANTS}, and unknown ones last. */
export function requestsOf(permissions: readonly string[]): PermissionRequest[] {
  const requests = new Map<string, PermissionRequest>();
  const asked = new Set(permissions);
  for (const [name, [permission, grant]] of GRANTS) {
    if (!asked.delete(name)) continue;
    requests.set(permission, { names: [...(requests.get(permission)?.names ?? []), name], permission, grant });
  }
  asked.delete(FREE);
  return [...requests.values(), ...[...asked].map((name) => ({ names: [name], permission: undefined, grant: undefined }))];
}
