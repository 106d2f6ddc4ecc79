// Random bytes, hashes and keyed hashes: random, hash, hmac.

import { createHmac, hash, randomBytes } from "node:crypto";

import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { permissionDenied } from "../api/permissions.ts";
import type { ServiceCall, ServiceTable, ServiceValue } from "../api/services.ts";
import { immediate } from "./define-service.ts";
import { type ArgumentChecks, argumentsOf } from "./service-arguments.ts";

/** Algorithms that plugins may use unless the operator lists others. */
export const HASHES: readonly string[] = ["sha256", "sha384", "sha512"];
/** All that can be listed; the last two are broken, and only there for what exists already. */
const KNOWN: readonly string[] = [...HASHES, "sha1", "md5"];
/** Random bytes for one call. */
const MAX_RANDOM_BYTES = 64 << 10;
/** Bytes that are hashed at once: about a millisecond of the thread. */
export const MAX_HASHED_BYTES = 1 << 20;
const MAX_KEY_BYTES = 64 << 10;

/** What the cryptographic services work with. */
export interface CryptoScope {
  readonly granted: boolean;
  readonly algorithms: readonly string[];
  /** A source of random bytes, for tests. */
  readonly random: ((length: number) => Uint8Array) | undefined;
}

/** Refuses algorithms that are not known. @throws MortiseError MORTISE_INVALID_OPTION */
export function resolveHashes(algorithms: readonly string[] = HASHES): readonly string[] {
  for (const algorithm of algorithms)
    if (!KNOWN.includes(algorithm)) throw invalidOption("hashAlgorithms", printable(algorithm), `among ${KNOWN.join(", ")}`);
  return algorithms;
}

/** The functions `random`, `hash` and `hmac`. */
export function cryptoServices({ granted, algorithms, random = randomBytes }: CryptoScope): ServiceTable {
  const allow = (call: ServiceCall, service: string): void => {
    if (!granted) throw permissionDenied(call.plugin, call.function, service, "crypto", "true");
  };
  const algorithmOf = (call: ServiceCall, checks: ArgumentChecks, value: ServiceValue): string => {
    const stated = checks.text(call, "algorithm", value, 64);
    const name = stated.toLowerCase().replace(/^sha-/, "sha");
    if (algorithms.includes(name)) return name;
    throw checks.wrong(call, "algorithm", `is "${stated}", but must be one of ${algorithms.join(", ")}`);
  };
  const randomChecks = argumentsOf("random");
  const hashChecks = argumentsOf("hash");
  const hmacChecks = argumentsOf("hmac");
  return {
    random: immediate(["i32"], "bytes", (call, length) => {
      allow(call, "random");
      return random(randomChecks.whole(call, "length", length, [0, MAX_RANDOM_BYTES]));
    }),
    hash: immediate(["text", "bytes"], "bytes", (call, algorithm, data) => {
      allow(call, "hash");
      const name = algorithmOf(call, hashChecks, algorithm);
      return hash(name, hashChecks.bytes(call, "data", data, MAX_HASHED_BYTES), "buffer");
    }),
    hmac: immediate(["text", "bytes", "bytes"], "bytes", (call, algorithm, key, data) => {
      allow(call, "hmac");
      const name = algorithmOf(call, hmacChecks, algorithm);
      const secret = hmacChecks.bytes(call, "key", key, MAX_KEY_BYTES);
      return createHmac(name, secret)
        .update(hmacChecks.bytes(call, "data", data, MAX_HASHED_BYTES))
        .digest();
    }),
  };
}
