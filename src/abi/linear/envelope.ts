// Functions over several buffers get the parts of one JSON object, so that their callers need not know how many there are.

import { MortiseError } from "../../api/errors.ts";

const encoder = new TextEncoder();
const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * The values of a JSON object by key, each as JSON; `null` for a key that is not there.
 *
 * @throws MortiseError MORTISE_INVALID_INPUT
 */
export function splitEnvelope(
  input: string | Uint8Array | undefined,
  keys: readonly string[],
  who: { readonly plugin: string; readonly function: string },
): Uint8Array[] {
  let envelope: unknown;
  try {
    envelope = JSON.parse(typeof input === "string" ? input : strict.decode(input ?? new Uint8Array(0)));
  } catch {
    envelope = undefined;
  }
  if (typeof envelope !== "object" || envelope === null || Array.isArray(envelope)) {
    throw new MortiseError("MORTISE_INVALID_INPUT", { plugin: who.plugin, function: who.function, found: `no JSON object with ${keys.join(", ")}` });
  }
  const values = envelope as Readonly<Record<string, unknown>>;
  return keys.map((key) => encoder.encode(JSON.stringify(values[key] ?? null)));
}
