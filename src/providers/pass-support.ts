// Finds out which interfaces of model servers a plugin has heads for.

import { isMortiseError, printable } from "../api/errors.ts";
import { isNotImplemented, payloadOf } from "./provider-errors.ts";
import { PASS_APIS, PASS_FUNCTION, type PassApi, readHead } from "./pass-heads.ts";
import type { ProviderGuest } from "./provider-guest.ts";

/** What requests can pass through in. */
export interface PassReport {
  readonly apis: readonly PassApi[];
  /** What told it. */
  readonly because: string;
}

/** Asks a plugin for a head of each interface. Never throws: a plugin that fails here serves everything else. */
export async function readPassSupport(guest: ProviderGuest, cfg: string, limitMs: number): Promise<PassReport> {
  if (!guest.has(PASS_FUNCTION)) return { apis: [], because: `the plugin has no ${PASS_FUNCTION}` };
  const apis: PassApi[] = [];
  const signal = new AbortController().signal;
  for (const api of PASS_APIS) {
    try {
      if ((await readHead(guest, { cfg, api, stream: false }, { signal, timeoutMs: limitMs })) !== undefined) apis.push(api);
    } catch (error) {
      if (isNotImplemented(error)) continue;
      // Without a key, some have no head yet.
      if (payloadOf(error)?.type === "auth_error") apis.push(api);
      else return { apis: [], because: `${PASS_FUNCTION} failed: ${printable(isMortiseError(error) ? error.message : String(error))}` };
    }
  }
  return { apis, because: apis.length === 0 ? `${PASS_FUNCTION} gave no head` : `${PASS_FUNCTION} gave heads` };
}
