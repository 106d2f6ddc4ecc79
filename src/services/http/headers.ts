// Headers of requests and responses.

/** Bytes that a header costs beside its name and value: colon, space and line end. */
const OVERHEAD = 4;
const TOKEN = /^[!#$%&'*+.^_`|~\dA-Za-z-]+$/;
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
const MAX_METHOD_CHARS = 32;

/** Methods that would turn the connection into something else, or repeat the request's secrets. */
const REFUSED_METHODS: ReadonlySet<string> = new Set(["CONNECT", "TRACE", "TRACK"]);
/** Headers that decide where a message ends, or who speaks next on the connection: they belong to the host. */
const REFUSED: ReadonlySet<string> = new Set(["transfer-encoding", "te", "trailer", "upgrade", "expect", "http2-settings"]);
/** What plugins set out of habit, and what the host does anyway or never. */
const IGNORED: ReadonlySet<string> = new Set(["connection", "keep-alive"]);

/** What is wrong with a `content-length` that says something else. */
export const NOT_THE_LENGTH = `the header "content-length" is not the length of the body`;

/** Header names and values, names in lower case. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

/** A method in upper case, or the reason why it is refused. */
export function readMethod(method: string): { readonly method: string } | string {
  if (method.length > MAX_METHOD_CHARS || !TOKEN.test(method)) return "the method is not a token of HTTP";
  const upper = method.toUpperCase();
  return REFUSED_METHODS.has(upper) ? `the method ${upper} is not possible` : { method: upper };
}

/**
 * The headers that are sent for those a guest states, or the reason why they are refused. `host` and `content-length` are
 * the host's own; a guest may state them if they say the same, which for `content-length` is up to who knows the body.
 */
export function readHeaders(headers: Readonly<Record<string, string>>, url: URL): HeaderList | string {
  const list: (readonly [string, string])[] = [];
  const seen = new Set<string>();
  for (const [stated, raw] of Object.entries(headers)) {
    if (!TOKEN.test(stated)) return "a header's name is not a token of HTTP";
    const name = stated.toLowerCase();
    if (seen.has(name)) return `the header "${name}" is there twice`;
    seen.add(name);
    if (!VALUE.test(raw)) return `the value of the header "${name}" has a character that HTTP does not allow`;
    const value = raw.trim();
    const problem = refusal(name, value, url);
    if (problem !== undefined) return problem;
    if (name !== "host" && name !== "content-length" && !IGNORED.has(name)) list.push([name, value]);
  }
  return list;
}

function refusal(name: string, value: string, url: URL): string | undefined {
  if (REFUSED.has(name) || name.startsWith("proxy-")) return `the header "${name}" is the host's own`;
  if (name === "host" && value.toLowerCase() !== url.host && value.toLowerCase() !== url.hostname)
    return `the header "host" names another host than the URL`;
  if (name === "connection" && !/^(?:keep-alive|close)$/i.test(value)) return `the header "connection" is the host's own`;
  return undefined;
}

/** Bytes that headers take on the wire. */
export function headerBytes(headers: Iterable<readonly [name: string, value: string]>): number {
  let bytes = 0;
  for (const [name, value] of headers) bytes += lineBytes(name, value);
  return bytes;
}

/** Bytes that one header takes on the wire. */
export function lineBytes(name: string, value: string): number {
  return name.length + value.length + OVERHEAD;
}

/** Response headers by name in lower case, repeated ones joined; a name like `__proto__` is a name like others. */
export function joinHeaders(headers: Iterable<readonly [name: string, value: string]>): Readonly<Record<string, string>> {
  const joined = new Map<string, string>();
  for (const [name, value] of headers) {
    const key = name.toLowerCase();
    const before = joined.get(key);
    joined.set(key, before === undefined ? value : `${before}, ${value}`);
  }
  // As entries, since a header's name may be `__proto__`.
  return Object.fromEntries(joined);
}
