// What no plugin of a configuration may pass, and how a permission is found to be within another.

import { isAbsolute, relative, resolve, sep } from "node:path";

import type { Limits } from "../api/limits.ts";
import { DEFAULT_LIMITS } from "../api/limits.ts";
import type { PathGrant, Permissions } from "../api/permissions.ts";
import type { Place } from "../manifest/place.ts";
import { LIMIT_KEYS } from "./number-keys.ts";
import type { Finding } from "./problems.ts";
import { overlapOfHosts } from "./query-hosts.ts";

/** Limits and permissions that bound those of every plugin; an absent permission bounds nothing. */
export interface Ceilings {
  readonly limits: Limits;
  readonly permissions: Permissions;
}

/** Limits of a plugin that pass the ceilings. */
export function limitsBeyond(limits: Limits, ceilings: Limits, place: Place): Finding[] {
  return names(ceilings).flatMap((name) => {
    const { key, scale } = LIMIT_KEYS[name];
    const ceiling = ceilings[name] as number;
    const value = limits[name];
    if (value === undefined || value <= ceiling) return [];
    const shown = value === Number.POSITIVE_INFINITY ? "unlimited" : value / scale;
    return [{ place: [...place, key], reason: `is ${shown}, but ceilings.limits.${key} allows ${ceiling / scale}` }];
  });
}

/** Limits with the ceilings put where nothing is said and the default would pass them. */
export function cappedLimits(limits: Limits, ceilings: Limits): Limits {
  const added: Record<string, number> = {};
  for (const name of names(ceilings)) {
    if (limits[name] !== undefined) continue;
    // What a manifest says holds where a configuration says nothing: so a ceiling always says something.
    const standard = name === "initTimeoutMs" ? (limits.timeoutMs ?? DEFAULT_LIMITS.initTimeoutMs) : DEFAULT_LIMITS[name];
    added[name] = Math.min(ceilings[name] as number, standard);
  }
  return { ...limits, ...added };
}

function names(limits: Limits): (keyof Limits)[] {
  return (Object.keys(limits) as (keyof Limits)[]).filter((name) => limits[name] !== undefined);
}

/** Permissions of a plugin that pass the ceilings. */
export function permissionsBeyond(asked: Permissions, ceilings: Permissions, place: Place): Finding[] {
  const beyond = (key: keyof Permissions, ...more: (string | number)[]): Finding => ({
    place: [...place, key, ...more],
    reason: `is more than ceilings.permissions.${key} allows`,
  });
  const findings: Finding[] = [];
  for (const [index, host] of (asked.hosts ?? []).entries())
    if (ceilings.hosts !== undefined && !isHostWithin(host, ceilings.hosts)) findings.push(beyond("hosts", index));
  for (const [path, grant] of Object.entries(asked.paths ?? {}))
    if (ceilings.paths !== undefined && !isPathWithin(path, grant, ceilings.paths)) findings.push(beyond("paths", path));
  for (const key of ["kv", "cache"] as const) if (ceilings[key] !== undefined && rank(asked[key]) > rank(ceilings[key])) findings.push(beyond(key));
  for (const key of ["metrics", "clock", "crypto"] as const) if (ceilings[key] === false && asked[key] === true) findings.push(beyond(key));
  for (const [name, access] of Object.entries(asked.databases ?? {}))
    if (ceilings.databases !== undefined && rank(access) > rank(own(ceilings.databases, name))) findings.push(beyond("databases", name));
  for (const [index, call] of (asked.call ?? []).entries())
    if (ceilings.call !== undefined && !ceilings.call.some((allowed) => isCallWithin(call, allowed))) findings.push(beyond("call", index));
  for (const key of ["read", "write"] as const)
    for (const [index, pattern] of (asked.attributes?.[key] ?? []).entries())
      if (ceilings.attributes !== undefined && !(ceilings.attributes[key] ?? []).some((allowed) => isPatternWithin(pattern, allowed)))
        findings.push(beyond("attributes", key, index));
  return findings;
}

const rank = (access: "read" | "read-write" | undefined): number => [undefined, "read", "read-write"].indexOf(access);

function own<T>(table: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(table, key) ? table[key] : undefined;
}

/** True if everything that an entry of an allow-list grants is granted by one of the ceiling's. */
export function isHostWithin(host: string, ceiling: readonly string[]): boolean {
  const [whole] = overlapOfHosts([host], "hosts", [host], "hosts");
  return whole !== undefined && overlapOfHosts([host], "hosts", ceiling, "ceilings.permissions.hosts").includes(whole);
}

function isPathWithin(path: string, grant: PathGrant, ceilings: Readonly<Record<string, PathGrant>>): boolean {
  const asked = folderOf(path, grant);
  return Object.entries(ceilings).some(([above, allowed]) => {
    const ceiling = folderOf(above, allowed);
    if (asked.writes && !ceiling.writes) return false;
    const way = relative(ceiling.path, asked.path);
    return way !== ".." && !way.startsWith(`..${sep}`) && !isAbsolute(way);
  });
}

function folderOf(path: string, grant: PathGrant): { readonly path: string; readonly writes: boolean } {
  const readOnly = path.startsWith("ro:");
  const access = typeof grant === "string" ? undefined : grant.access;
  return { path: resolve(readOnly ? path.slice("ro:".length) : path), writes: !(readOnly || access === "read-only") };
}

/** `plugin:*` holds all functions of a plugin. */
function isCallWithin(asked: string, allowed: string): boolean {
  return asked === allowed || (allowed.endsWith(":*") && asked.slice(0, asked.lastIndexOf(":")) === allowed.slice(0, -":*".length));
}

/** `a*` holds what begins with `a`, other patterns included. */
function isPatternWithin(asked: string, allowed: string): boolean {
  return allowed.endsWith("*") ? asked.startsWith(allowed.slice(0, -1)) : asked === allowed;
}
