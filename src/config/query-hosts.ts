// The hosts that two allow-lists have in common.

import { addressKind } from "../services/http/addresses.ts";
import { type HostRule, readHostRules } from "../services/http/host-rules.ts";
import { BLOCKED_PORTS } from "../services/http/ports.ts";

/**
 * Entries that allow what both lists allow: the same hosts, ports and kinds of addresses, and nothing else. Entries have
 * the grammar of docs/http.md; a pattern that it does not have is refused, and never widened.
 *
 * @param asked a list that nobody has checked
 * @param askedName name of the list in messages
 * @throws MortiseError MORTISE_INVALID_OPTION saying what is wrong with which entry
 */
export function overlapOfHosts(asked: readonly unknown[], askedName: string, granted: readonly string[], grantedName: string): string[] {
  const wanted = readHostRules(asked as readonly string[], askedName);
  const most = readHostRules(granted, grantedName);
  const entries = wanted.flatMap((rule) => most.flatMap((other) => overlap(rule, other) ?? []));
  return [...new Set(entries.map(entryOf))];
}

function overlap(a: HostRule, b: HostRule): HostRule | undefined {
  const port = overlapOfPorts(a.port, b.port);
  const narrow = narrower(a, b);
  if (port === null || narrow === undefined) return undefined;
  if (narrow.reach === "address") {
    // What stands for any host stands for public addresses only.
    const isNamed = a.reach === b.reach;
    return isNamed || addressKind(narrow.name) === "public" ? { ...narrow, port } : undefined;
  }
  const reach = overlapOfReach(a.reach, b.reach);
  return reach === undefined ? undefined : { ...narrow, port, reach };
}

/** The port of both; null if there is none. */
function overlapOfPorts(a: number | undefined, b: number | undefined): number | undefined | null {
  if (a === b) return a;
  if (a !== undefined && b !== undefined) return null;
  const named = a ?? b;
  // An entry without a port does not allow ports of other protocols.
  return named === undefined || BLOCKED_PORTS.has(named) ? null : named;
}

/** The rule whose hosts the other has as well. */
function narrower(a: HostRule, b: HostRule): HostRule | undefined {
  if (covers(a, b)) return b;
  return covers(b, a) ? a : undefined;
}

function covers(wide: HostRule, narrow: HostRule): boolean {
  if (wide.name === "*") return true;
  if (narrow.name === "*") return false;
  if (wide.reach === "address" || narrow.reach === "address") return wide.address !== undefined && wide.address === narrow.address;
  if (wide.name === narrow.name) return true;
  // ".example.com" stands for the names below it: the dot makes sure that a whole label ends there.
  return wide.name.startsWith(".") && narrow.name.endsWith(wide.name);
}

function overlapOfReach(a: HostRule["reach"], b: HostRule["reach"]): HostRule["reach"] | undefined {
  if (a === b) return a;
  const both = new Set([a, b]);
  if (both.has("loopback")) return both.has("private") ? "loopback" : undefined;
  return "public";
}

/** The entry as a user writes it. */
function entryOf({ name, port, reach }: HostRule): string {
  const host = reach === "address" && name.includes(":") && port !== undefined ? `[${name}]` : name;
  const shown = host.startsWith(".") ? `*${host}` : host;
  return `${reach === "private" ? "private:" : ""}${shown}${port === undefined ? "" : `:${port}`}`;
}
