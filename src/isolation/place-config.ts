// How much memory a place may use, and what a process may read and write.

import { resolve } from "node:path";

import type { PluginBlueprint, ResolvedRemotePool } from "./blueprint.ts";
import type { PlaceConfig, PlaceKind } from "./place.ts";

/** Bytes of writable memory that Node takes before it does anything: most of it is reserved for compiled code. */
const RUNTIME_BYTES = 704 << 20;
/** What loading takes for each byte of a module: sections, the rewritten module, what the engine keeps. */
const BYTES_PER_MODULE_BYTE = 6;
/** Sizes are rounded up to this, so that plugins of like limits can take each other's spare places. */
const STEP_BYTES = 128 << 20;
/** Stands for no limit. */
const MAX_BYTES = 2 ** 36;

/** The set-up of a plugin's places. */
export function placeConfig(kind: PlaceKind, { state, modules, paths = {} }: PluginBlueprint, pool: ResolvedRemotePool): PlaceConfig {
  const { limits } = state;
  const loading = BYTES_PER_MODULE_BYTE * modules.reduce((sum, { bytes }) => sum + bytes.length, 0);
  const heapBytes = roundUp(Math.max(pool.heapBytes, loading));
  if (kind === "thread") return { heapBytes, dataBytes: 0, packetBytes: 0, readPaths: [], writePaths: [] };
  // The guest's memories, and what crosses, each in a few copies.
  const guest = 2 * limits.memoryBytes + 4 * (limits.outputBytes + limits.varBytes);
  const grants = Object.entries(paths);
  const hostPath = (path: string): string => resolve(path.replace(/^ro:/, ""));
  const readOnly = ([path, grant]: (typeof grants)[number]): boolean =>
    path.startsWith("ro:") || (typeof grant === "object" && grant.access === "read-only");
  return {
    heapBytes,
    dataBytes: roundUp(RUNTIME_BYTES + heapBytes + loading + guest),
    // An output, or a block that a host function reads, and variables.
    packetBytes: roundUp(Math.max(limits.outputBytes, limits.memoryBytes) + 2 * limits.varBytes),
    readPaths: grants.map(([path]) => hostPath(path)),
    writePaths: grants.filter((grant) => !readOnly(grant)).map(([path]) => hostPath(path)),
  };
}

function roundUp(bytes: number): number {
  return Math.ceil(Math.min(bytes, MAX_BYTES) / STEP_BYTES) * STEP_BYTES;
}
