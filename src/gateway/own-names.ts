// Names under which a gateway answers: a page in a browser may have had a name of its own point to this machine.

import { MortiseError } from "mortise";

/** Names of this machine in the header `host`. */
const LOCAL_NAMES: readonly string[] = ["127.0.0.1", "localhost", "[::1]"];
/** Addresses that lead to this machine, as the system writes them. */
const LOOPBACK = /^(?:::ffff:)?127\.|^::1$/;

/** Names by which a gateway may be addressed. */
export interface OwnNames {
  /** Those of the option: they hold in any case. */
  readonly stated: ReadonlySet<string> | undefined;
  /** Those of this machine, for a gateway that only this machine reaches: they hold as long as clients have no keys. */
  readonly local: ReadonlySet<string> | undefined;
}

/**
 * The names of a gateway.
 *
 * @param address where it listens, as the system says
 */
export function ownNames(host: string, address: string, names: readonly string[] | undefined): OwnNames {
  const isLocal = LOOPBACK.test(address);
  return {
    stated: names && new Set(names.map(plain)),
    local: isLocal ? new Set([...LOCAL_NAMES, plain(host), plain(address), `[${plain(host)}]`, `[${plain(address)}]`]) : undefined,
  };
}

/** @throws MortiseError MORTISE_GATEWAY_NAME */
export function checkName({ stated, local }: OwnNames, hasKeys: boolean, host: string | undefined): void {
  const names = stated ?? (hasKeys ? undefined : local);
  if (names === undefined || host === undefined || names.has(plain(host.replace(/:\d+$/, "")))) return;
  throw new MortiseError("MORTISE_GATEWAY_NAME", { host });
}

/** A dot at the end says that the name is whole, which it is. */
function plain(name: string): string {
  return name.toLowerCase().replace(/\.$/, "");
}
