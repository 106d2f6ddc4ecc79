// What a plugin may reach, and what would grant it.

import { MortiseError, printable } from "./errors.ts";

/**
 * How a plugin sees a folder of the host. Text is the guest path alone. Names in the folder can then be read and written,
 * up to a quota.
 */
export type PathGrant =
  | string
  | {
      /** Path by which the plugin knows the folder. */
      readonly guest: string;
      /** @default "read-write", or "read-only" if the host path begins with "ro:" */
      readonly access?: "read-only" | "read-write";
      /** Bytes that the plugin may add; a file or folder counts 4,096 besides its content. @default 64 MiB */
      readonly maxBytes?: number;
    };

/** What a plugin may reach; absent is denied. */
export interface Permissions {
  /** Hosts that HTTP requests may go to; docs/http.md has the grammar. */
  readonly hosts?: readonly string[];
  /** Folders that WASI programs may use, by path of this machine; `ro:` in front of it allows reading only. */
  readonly paths?: Readonly<Record<string, PathGrant>>;
  /** Keys and values that are kept, in a namespace of the plugin's own. */
  readonly kv?: "read" | "read-write";
  /** Keys and values that may be dropped at any time, in a namespace of the plugin's own. */
  readonly cache?: "read" | "read-write";
  /** Counters, gauges and histograms. */
  readonly metrics?: boolean;
  /** The time of day. */
  readonly clock?: boolean;
  /** Random bytes, hashes and keyed hashes. */
  readonly crypto?: boolean;
  /** Databases by the names that the operator gives them. */
  readonly databases?: Readonly<Record<string, "read" | "read-write">>;
  /** Functions of other plugins that it may call: `plugin:function`, or `plugin:*` for all of them. */
  readonly call?: readonly string[];
  /** Attributes of requests, by name or with `*` at the end, that hooks show to the plugin, and that it may change. */
  readonly attributes?: { readonly read?: readonly string[]; readonly write?: readonly string[] };
}

/**
 * The error for what a plugin may not do.
 *
 * @param what what it wanted, such as `reading key "a"`
 * @param permission name of the permission in {@link Permissions}
 * @param grant the value that would allow it, as it is written in mortise.toml
 */
export function permissionDenied(plugin: string, fn: string, what: string, permission: keyof Permissions, grant: string): MortiseError {
  const line = `${permission} = ${grant}`;
  const hint = `; to grant it, write ${line} under [plugins.permissions] of plugin "${printable(plugin)}"`;
  return new MortiseError("MORTISE_PERMISSION", { plugin, function: fn, what, permission, grant: line, hint });
}
