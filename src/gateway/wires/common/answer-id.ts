// Ids of answers and their items begin as their interface has it.

const KNOWN_PREFIXES = ["chatcmpl-", "msg_", "resp_"] as const;

/** The id with this prefix, in place of another interface's. */
export function withPrefix(prefix: string, id: string): string {
  return id.startsWith(prefix) ? id : prefix + withoutPrefix(id);
}

/** The id without the prefix of an interface. */
export function withoutPrefix(id: string): string {
  const prefix = KNOWN_PREFIXES.find((one) => id.startsWith(one));
  return prefix === undefined ? id : id.slice(prefix.length);
}

/** The present time as answers have it. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}
