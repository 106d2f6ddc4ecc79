// Which hosts a provider may reach, and which it asks for besides.

import { invalidOption } from "../api/limits.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { judge } from "../services/http/allow-list.ts";
import { readHostRules } from "../services/http/host-rules.ts";

/**
 * The allow-list: of the permissions, or else of the configuration's `allowed_hosts`, or else of a manifest of this machine.
 * Nothing at all grants nothing, other than in QueryMT.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function grantedHosts(permitted: readonly string[] | undefined, configured: unknown, manifest: ResolvedManifest): readonly string[] {
  const listed = readAllowed(configured);
  return permitted ?? listed ?? (manifest.from === "network" ? [] : manifest.allowedHosts);
}

/** Hosts of the configuration and of the server's URL that the allow-list does not cover. */
export function askedHosts(granted: readonly string[], configured: unknown, baseUrl: string | undefined): readonly string[] {
  const rules = readHostRules(granted, "permissions.hosts");
  const covered = (url: URL | null): boolean => url !== null && judge(rules, url).granted;
  const listed = (readAllowed(configured) ?? []).filter((entry) => !granted.includes(entry) && !covered(URL.parse(`https://${entry}`)));
  const url = baseUrl === undefined ? null : URL.parse(baseUrl);
  const host = url === null || covered(url) ? [] : [url.host];
  return [...new Set([...listed, ...host])];
}

function readAllowed(configured: unknown): readonly string[] | undefined {
  if (configured === undefined) return undefined;
  if (!Array.isArray(configured) || !configured.every((entry) => typeof entry === "string"))
    throw invalidOption("config.allowed_hosts", Array.isArray(configured) ? "a list of other things" : typeof configured, "a list of hosts");
  return configured;
}
