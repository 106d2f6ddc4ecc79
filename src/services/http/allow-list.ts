// The allow-list: which hosts guests may reach, and which kinds of addresses behind them.

import { type AddressKind, addressKind, isGrantable, parseAddress } from "./addresses.ts";
import type { HostRule } from "./host-rules.ts";
import { BLOCKED_PORTS } from "./ports.ts";
import { hostOf, portOf } from "./target.ts";

/** What an allow-list says of a target. */
export type Verdict =
  | {
      readonly granted: true;
      /** Kinds of addresses that the host's name may resolve to. */
      readonly kinds: ReadonlySet<AddressKind>;
    }
  | { readonly granted: false; readonly reason: string };

const KINDS: Readonly<Record<HostRule["reach"], readonly AddressKind[]>> = {
  public: ["public"],
  loopback: ["loopback"],
  private: ["public", "loopback", "private", "shared"],
  address: [],
};

const refused = (reason: string): Verdict => ({ granted: false, reason });

/** Looks a target up in an allow-list. The target is one of {@link readTarget}: its host is canonical. */
export function judge(rules: readonly HostRule[], url: URL): Verdict {
  const host = hostOf(url);
  const port = portOf(url);
  const address = parseAddress(host);
  const kind = address === undefined ? undefined : addressKind(host);
  if (kind !== undefined && !isGrantable(kind)) return refused(`nothing grants addresses of the kind "${kind}"`);
  const named = rules.filter((rule) => coversHost(rule, host, address));
  if (named.length === 0) return refused(`no entry covers it; ${remedy(url.hostname)}`);
  const fitting = named.filter((rule) => (rule.port === undefined ? !BLOCKED_PORTS.has(port) : rule.port === port));
  if (fitting.length === 0) {
    const why = named.some((rule) => rule.port === undefined) ? `port ${port} belongs to another protocol` : `port ${port} is not listed`;
    return refused(`${why}; ${remedy(`${url.hostname}:${port}`)}`);
  }
  if (kind !== undefined) {
    const granted = kind === "public" || fitting.some((rule) => rule.reach === "address");
    return granted ? { granted, kinds: new Set([kind]) } : refused(`it is a ${kind} address; ${remedy(url.hostname)}`);
  }
  const kinds = new Set(fitting.flatMap((rule) => KINDS[rule.reach]));
  // These names mean this machine whatever a name server says, RFC 6761.
  if (isLocalName(host) && !kinds.has("loopback")) return refused(`it is this machine; ${remedy(url.hostname)}`);
  return { granted: true, kinds };
}

function coversHost(rule: HostRule, host: string, address: bigint | undefined): boolean {
  if (rule.name === "*") return true;
  if (rule.reach === "address") return address !== undefined && rule.address === address;
  if (address !== undefined) return false;
  // "*.example.com" is kept as ".example.com": the dot makes sure that a whole label ends there.
  return rule.name.startsWith(".") ? host.length > rule.name.length && host.endsWith(rule.name) : rule.name === host;
}

function isLocalName(host: string): boolean {
  return host === "localhost" || host.endsWith(".localhost");
}

/** Names the entry that would grant a host. */
function remedy(host: string): string {
  const needed = host.includes(".localhost") ? `private:${host}` : host;
  return `the entry "${needed}" in hosts would grant it`;
}
