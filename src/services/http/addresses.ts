// What kind of network an IP address belongs to.

import { isIPv4, isIPv6 } from "node:net";

/** Kinds of addresses; only `public` needs no permission beyond the host's name. */
export type AddressKind = "public" | "loopback" | "private" | "shared" | "link-local" | "metadata" | "unspecified" | "multicast" | "reserved";

/**
 * Ranges by kind, the first match counts. Sources: the IANA special-purpose registries for IPv4 and IPv6, RFC 6890, and
 * what clouds document as the addresses of their metadata services, some of which lie in public or private ranges.
 */
const RANGES: readonly (readonly [kind: AddressKind, ...ranges: string[]])[] = [
  ["metadata", "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32"],
  ["metadata", "fd00:ec2::254/128", "fd00:ec2::23/128", "fd20:ce::254/128"],
  ["unspecified", "0.0.0.0/8", "::/128"],
  ["loopback", "127.0.0.0/8", "::1/128"],
  ["private", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"],
  ["shared", "100.64.0.0/10"],
  ["link-local", "169.254.0.0/16", "fe80::/10"],
  ["multicast", "224.0.0.0/4", "ff00::/8"],
  ["reserved", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "240.0.0.0/4"],
  ["public", "0.0.0.0/0"],
  // Teredo and other assignments for protocols, documentation, 6to4
  ["reserved", "2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"],
  ["public", "2000::/3"],
];

/** IPv4 addresses are numbered as the IPv6 addresses that map them, ::ffff:0:0/96. */
const MAPPED = 0xffffn << 32n;
/** NAT64, RFC 6052: a translator connects to the IPv4 address in the last 32 bits. */
const NAT64 = 0x64_ff9bn << 96n;
const LOW_32 = 0xffff_ffffn;

interface Range {
  readonly kind: AddressKind;
  readonly network: bigint;
  readonly hostBits: bigint;
}

const TABLE: readonly Range[] = RANGES.flatMap(([kind, ...ranges]) => ranges.map((range) => toRange(kind, range)));

function toRange(kind: AddressKind, range: string): Range {
  const [network = "", prefix = ""] = range.split("/");
  const hostBits = BigInt((isIPv4(network) ? 32 : 128) - Number(prefix));
  return { kind, network: (parseAddress(network) ?? 0n) >> hostBits, hostBits };
}

/**
 * An address as a number of 128 bits, IPv4 as the IPv6 address that maps it; undefined for anything else, addresses with
 * a zone among them.
 */
export function parseAddress(text: string): bigint | undefined {
  if (isIPv4(text)) return MAPPED | parseIPv4(text);
  if (!isIPv6(text) || text.includes("%")) return undefined;
  const lastColon = text.lastIndexOf(":");
  const tail = text.slice(lastColon + 1);
  if (isIPv4(tail)) {
    const value = parseIPv4(tail);
    return parseGroups(`${text.slice(0, lastColon + 1)}${(value >> 16n).toString(16)}:${(value & 0xffffn).toString(16)}`);
  }
  return parseGroups(text);
}

function parseIPv4(text: string): bigint {
  return text.split(".").reduce((value, part) => (value << 8n) | BigInt(part), 0n);
}

function parseGroups(text: string): bigint {
  const [head = "", tail] = text.split("::");
  const before = groupsOf(head);
  const after = groupsOf(tail ?? "");
  const zeros = tail === undefined ? 0 : 8 - before.length - after.length;
  return [...before, ...Array<bigint>(zeros).fill(0n), ...after].reduce((value, group) => (value << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  return text === "" ? [] : text.split(":").map((group) => BigInt(`0x${group}`));
}

/** The IPv4 address that an IPv6 one maps, `::ffff:a.b.c.d` in any spelling. */
export function mappedIPv4(text: string): string | undefined {
  const value = isIPv6(text) ? parseAddress(text) : undefined;
  if (value === undefined || value >> 32n !== 0xffffn) return undefined;
  return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 0xffn).join(".");
}

/** The kind of an address; what is not an address is `reserved`. */
export function addressKind(text: string): AddressKind {
  const parsed = parseAddress(text);
  if (parsed === undefined) return "reserved";
  const value = parsed >> 32n === NAT64 >> 32n ? MAPPED | (parsed & LOW_32) : parsed;
  return TABLE.find(({ network, hostBits }) => value >> hostBits === network)?.kind ?? "reserved";
}

/** True if an entry that is an address of this kind is accepted. */
export function isGrantable(kind: AddressKind): boolean {
  return kind !== "unspecified" && kind !== "multicast";
}
