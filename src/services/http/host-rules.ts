// Reads the entries of an allow-list: `host`, `*.host`, `*`, an address, each with or without `:port`, or `private:` before a name.

import { isIPv4, isIPv6 } from "node:net";
import { domainToASCII } from "node:url";

import { printable } from "../../api/errors.ts";
import { invalidOption } from "../../api/limits.ts";
import { addressKind, isGrantable, mappedIPv4, parseAddress } from "./addresses.ts";
import { isHostName } from "./target.ts";

/** One entry of an allow-list. */
export interface HostRule {
  /** `*`, a host, an address, or `.host` for the names below it. */
  readonly name: string;
  /** Number of an address. */
  readonly address: bigint | undefined;
  /** Any that is not blocked, if undefined. */
  readonly port: number | undefined;
  /** What may be behind it: public addresses, this machine, private networks too, or the one address. */
  readonly reach: "public" | "loopback" | "private" | "address";
}

const PRIVATE = "private:";
const WANTED = `a host ("api.example.com"), "*.example.com", "*", an IP address, each with or without ":port", or "${PRIVATE}" before a host`;

/** Habits of other allow-lists, and what is wrong with each here. */
const MISTAKES: readonly (readonly [pattern: RegExp, problem: string])[] = [
  [/:\/\//, "has a scheme"],
  [/[/?#\\]/, "has a character of a path or query"],
  [/@/, "has a user name"],
  [/^!/, "is a negation, and only what is listed is allowed"],
  [/[{}(),|]/, "has alternatives, which are entries of their own"],
  [/\s/, "has a space"],
];

/**
 * Reads an allow-list.
 *
 * @param option name of the option in messages
 * @throws MortiseError MORTISE_INVALID_OPTION saying what is wrong with which entry
 */
export function readHostRules(hosts: readonly string[] | undefined, option: string): readonly HostRule[] {
  if (hosts === undefined) return [];
  if (!Array.isArray(hosts)) throw invalidOption(option, hosts === null ? "null" : typeof hosts, "a list of hosts");
  return hosts.map((entry: unknown, index) => {
    if (typeof entry !== "string") throw invalidOption(`${option}[${index}]`, entry === null ? "null" : typeof entry, WANTED);
    const rule = readHostRule(entry);
    if (typeof rule === "string") throw invalidOption(`${option}[${index}]`, `"${printable(entry, 80)}", which ${rule},`, WANTED);
    return rule;
  });
}

/** A rule, or what is wrong with the entry. */
function readHostRule(entry: string): HostRule | string {
  const isPrivate = entry.startsWith(PRIVATE);
  const text = isPrivate ? entry.slice(PRIVATE.length) : entry;
  if (text === "") return "names no host";
  for (const [pattern, problem] of MISTAKES) if (pattern.test(text)) return problem;
  const [host, portText] = splitPort(text);
  const port = portText === undefined ? undefined : readPort(portText);
  if (port === null) return "has a port that is not a number from 1 to 65535";
  if (isIPv4(host) || isIPv6(host)) return addressRule(host, port);
  if (host.includes("[") || host.includes("]")) return "has brackets around what is not an IPv6 address";
  if (host === "*") return isPrivate ? "grants every private host, which have to be named" : { name: "*", address: undefined, port, reach: "public" };
  const below = host.startsWith("*.");
  const name = canonicalName(below ? host.slice(2) : host);
  if (name === undefined) return problemOfName(host);
  if (below) return { name: `.${name}`, address: undefined, port, reach: isPrivate ? "private" : "public" };
  if (name === "localhost") return { name, address: undefined, port, reach: "loopback" };
  return { name, address: undefined, port, reach: isPrivate ? "private" : "public" };
}

function addressRule(host: string, port: number | undefined): HostRule | string {
  if (host.includes("%")) return "has a zone";
  const ipv4 = mappedIPv4(host);
  if (ipv4 !== undefined) return `is an IPv4 address in the notation of IPv6; write ${ipv4}`;
  const kind = addressKind(host);
  if (!isGrantable(kind)) return `is an address of the kind "${kind}", which nothing can grant`;
  return { name: host, address: parseAddress(host), port, reach: "address" };
}

/** Host without brackets, and the text after the colon. */
function splitPort(text: string): readonly [host: string, port: string | undefined] {
  const bracketed = /^\[([\da-f:.]+)\](?::(.*))?$/i.exec(text);
  if (bracketed !== null && isIPv6(bracketed[1] ?? "")) return [bracketed[1] ?? "", bracketed[2]];
  const colon = text.lastIndexOf(":");
  return colon < 0 || isIPv6(text) ? [text, undefined] : [text.slice(0, colon), text.slice(colon + 1)];
}

function readPort(text: string): number | null {
  return /^[1-9]\d{0,4}$/.test(text) && Number(text) <= 65_535 ? Number(text) : null;
}

/** Lower case, punycode, no dot at the end. */
function canonicalName(host: string): string | undefined {
  // A character that only a pattern or another notation has must not be mapped to something harmless.
  if (/[*?[\]%:]/.test(host)) return undefined;
  const ascii = domainToASCII(host);
  const name = ascii.endsWith(".") ? ascii.slice(0, -1) : ascii;
  return isHostName(name) ? name : undefined;
}

function problemOfName(host: string): string {
  const name = host.replace(/^\*\./, "");
  if (name.includes("*")) return "has a star that is neither alone nor the whole first part";
  if (/^[\d.]+$|^0x[\da-f.x]+$/i.test(name)) return "is a number that some programs read as an address";
  return "is not a host name";
}
