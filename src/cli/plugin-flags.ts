// Options that several commands have: limits, what is granted, and where the plugin runs.

import type { AbiName, Isolation, Limits, Permissions } from "../index.ts";
import type { FolderGrant } from "./option-values.ts";

/** Places that `--isolation` takes. */
export const ISOLATIONS = ["inline", "thread", "process"] as const satisfies readonly Isolation[];

/** Interfaces that `--abi` takes: those of modules, and that of other files. */
export const WASM_ABIS = ["extism", "querymt", "bifrost", "helios"] as const satisfies readonly AbiName[];
export const ABIS = [...WASM_ABIS, "native"] as const satisfies readonly AbiName[];

/** Options of a command as commander gives them. */
export interface PluginFlags {
  readonly timeoutMs?: number;
  readonly memoryMb?: number;
  readonly fuel?: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly manifestGrants?: boolean;
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

/** What the command line grants of hosts and folders. */
export interface GivenGrants {
  readonly hosts: readonly string[] | undefined;
  readonly folders: readonly FolderGrant[] | undefined;
  /** Whether a manifest's own count where none are given. */
  readonly manifestGrants: boolean | undefined;
}

/** Permissions that were given; nothing else is granted, unless the manifest's own are to count. */
export function permissionsOf({ hosts, folders, manifestGrants = false }: GivenGrants): Permissions {
  const others = manifestGrants ? undefined : [];
  const granted = { hosts: hosts ?? others, folders: folders ?? others };
  return {
    ...(granted.hosts === undefined ? {} : { hosts: granted.hosts }),
    ...(granted.folders === undefined ? {} : { paths: Object.fromEntries(granted.folders.map((folder) => [hostPath(folder), grantOf(folder)])) }),
  };
}

/** A folder whose name begins with "ro:" is not to be taken for one that is granted for reading. */
function hostPath({ host }: FolderGrant): string {
  return host.startsWith("ro:") ? `./${host}` : host;
}

function grantOf({ guest, readOnly }: FolderGrant): { readonly guest: string; readonly access: "read-only" | "read-write" } {
  return { guest, access: readOnly ? "read-only" : "read-write" };
}
