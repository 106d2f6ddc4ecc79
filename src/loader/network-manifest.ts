// What a manifest may set that a server sent: less than one of this machine.

import { DEFAULT_LIMITS } from "../api/limits.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { faultAt, quoted } from "../manifest/place.ts";
import { addressKind } from "../services/http/addresses.ts";
import type { HostRule } from "../services/http/host-rules.ts";
import { resolveHttpLimits } from "../services/http/options.ts";

const PAGE = 65_536;

/** The manifest, with limits that are no higher than the defaults if a server sent it. */
export function capNetworkLimits(manifest: ResolvedManifest): ResolvedManifest {
  if (manifest.from !== "network") return manifest;
  const { memory, timeoutMs } = manifest;
  return {
    ...manifest,
    memory: {
      maxPages: atMost(memory.maxPages, DEFAULT_LIMITS.memoryBytes / PAGE),
      maxHttpResponseBytes: atMost(memory.maxHttpResponseBytes, resolveHttpLimits({}, []).maxResponseBytes),
      maxVarBytes: atMost(memory.maxVarBytes, DEFAULT_LIMITS.varBytes),
    },
    timeoutMs: atMost(timeoutMs, DEFAULT_LIMITS.timeoutMs),
  };
}

function atMost(value: number | undefined, limit: number): number | undefined {
  return value === undefined ? undefined : Math.min(value, limit);
}

/**
 * Refuses hosts that reach into this machine or its networks, if a server sent the manifest.
 *
 * @param rules those of the manifest's hosts, in their order
 * @throws MortiseError MORTISE_MANIFEST_INVALID with the place of the host
 */
export function refuseNetworkHosts({ from, origin, allowedHosts }: ResolvedManifest, rules: readonly HostRule[]): void {
  if (from !== "network") return;
  const index = rules.findIndex((rule) => !isPublic(rule));
  if (index === -1) return;
  const host = quoted(allowedHosts[index] ?? "");
  throw faultAt(
    origin,
    ["allowed_hosts", index],
    `grants ${host}, which is not public, and a manifest from the network may not; grant it in permissions.hosts`,
  );
}

function isPublic({ name, reach }: HostRule): boolean {
  return reach === "public" || (reach === "address" && addressKind(name) === "public");
}
