// Who a client is, by its key. The gateway knows hashes of keys only.

import { hash, timingSafeEqual } from "node:crypto";

import { MortiseError } from "mortise";

/** A client that may use the gateway. */
export interface ClientKey {
  /** Name of the client in logs, limits and for plugins. */
  readonly name: string;
  /** SHA-256 of its key, in hexadecimal. */
  readonly sha256: string;
}

/** Headers in which a key may come: that of OpenAI's SDK, and that of Anthropic's. */
const BEARER = "authorization";
const API_KEY = "x-api-key";
/** Longest key that is looked at, in UTF-16 units. */
const MAX_KEY_CHARS = 1024;

/** A client, and the header that has its key. */
export interface KnownClient {
  readonly name: string;
  readonly header: string;
}

/** A client's name, and the hash of its key. */
interface Hashed {
  readonly name: string;
  readonly digest: Buffer;
}

/** Tells clients by their keys. */
export class ClientKeys {
  /** By the beginning of the hash, which is no secret worth having. */
  readonly #clients = new Map<number, Hashed[]>();

  /** Options have been checked. */
  constructor(keys: readonly ClientKey[]) {
    for (const { name, sha256 } of keys) {
      const digest = Buffer.from(sha256, "hex");
      const begin = digest.readUInt16BE();
      this.#clients.set(begin, [...(this.#clients.get(begin) ?? []), { name, digest }]);
    }
  }

  /** @throws MortiseError MORTISE_GATEWAY_KEY */
  identify(headers: Readonly<Record<string, string>>): KnownClient {
    const { header, key } = keyOf(headers);
    const digest = hash("sha256", key, "buffer");
    const found = this.#clients.get(digest.readUInt16BE())?.find((client) => timingSafeEqual(client.digest, digest));
    if (found === undefined) throw new MortiseError("MORTISE_GATEWAY_KEY", { reason: "nobody has this key" });
    return { name: found.name, header };
  }
}

function keyOf(headers: Readonly<Record<string, string>>): { readonly header: string; readonly key: string } {
  const { [BEARER]: bearer, [API_KEY]: key } = headers;
  const found = bearer === undefined ? { header: API_KEY, key } : { header: BEARER, key: /^Bearer +(\S+) *$/i.exec(bearer)?.[1] };
  if (found.key === undefined || found.key === "")
    throw new MortiseError("MORTISE_GATEWAY_KEY", { reason: 'there is none; send it as "authorization: Bearer …" or as "x-api-key"' });
  if (found.key.length > MAX_KEY_CHARS) throw new MortiseError("MORTISE_GATEWAY_KEY", { reason: "nobody has this key" });
  return { header: found.header, key: found.key };
}
