// Options that several commands have: limits, what is granted, and where the plugin runs.

import type { Isolation, Limits, Permissions } from "../index.ts";
import type { FolderGrant } from "./option-values.ts";

/** Places that `--isolation` takes. */
export const ISOLATIONS = ["inline", "thread", "process"] as const satisfies readonly Isolation[];

/** Options of a command as commander gives them. */
export interface PluginFlags {
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
  readonly fuel?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly isolation: Isolation;
  readonly stats?: boolean;
  readonly json?: boolean;
}

/** Limits that were given. */
export function limitsOf({ timeoutMs, memoryMb, fuel }: PluginFlags): Limits {
  return {
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(memoryMb === undefined ? {} : { memoryBytes: memoryMb * 1024 * 1024 }),
    ...(fuel === undefined ? {} : { fuel }),
  };
}

/** Permissions that were given; what a manifest says holds for those that were not. */
export function permissionsOf(folders: readonly FolderGrant[] | undefined, hosts: readonly string[] | undefined): Permissions {
  return {
    ...(hosts === undefined ? {} : { hosts }),
    ...(folders === undefined ? {} : { paths: Object.fromEntries(folders.map((folder) => [hostPath(folder), grantOf(folder)])) }),
  };
}

/** A folder whose name begins with "ro:" is not to be taken for one that is granted for reading. */
function hostPath({ host }: FolderGrant): string {
  return host.startsWith("ro:") ? `./${host}` : host;
}

function grantOf({ guest, readOnly }: FolderGrant): { readonly guest: string; readonly access: "read-only" | "read-write" } {
  return { guest, access: readOnly ? "read-only" : "read-write" };
}
