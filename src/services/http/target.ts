// Reads the URL of a request or a redirect, and refuses spellings that programs read in different ways.

import { isIP } from "node:net";

import { mappedIPv4 } from "./addresses.ts";

/** Characters of a URL. */
const MAX_URL_CHARS = 8192;
// The URL standard drops tabs and newlines and turns backslashes into slashes; what was checked elsewhere may not.
// oxlint-disable-next-line no-control-regex -- control characters are what this is about
const AMBIGUOUS = /[\u0000-\u0020\u007f\\\s]/u;
const SCHEME = /^https?:\/\/[^/]/i;
const LABEL = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * A URL whose host is in its one canonical form: lower case, punycode, dotted or bracketed address, no dot at the end.
 * Otherwise the reason why the text is refused.
 *
 * @param base URL that a redirect came from; without it the text must be absolute
 */
export function readTarget(text: string, base?: URL): URL | string {
  if (text.length > MAX_URL_CHARS) return `the URL has more than ${MAX_URL_CHARS} characters`;
  if (AMBIGUOUS.test(text)) return "the URL has a space, a control character or a backslash";
  if (base === undefined && !SCHEME.test(text)) return "the URL does not begin with http:// or https://";
  const url = URL.parse(text, base?.href);
  if (url === null) return "the URL is malformed";
  if (url.protocol !== "http:" && url.protocol !== "https:") return "only http and https are possible";
  if (url.username !== "" || url.password !== "") return "the URL has a user name or password; use an authorization header";
  if (url.port === "0") return "port 0 cannot be connected to";
  if (url.hostname.endsWith(".")) url.hostname = url.hostname.slice(0, -1);
  url.hostname = mappedIPv4(hostOf(url)) ?? url.hostname;
  if (!isHostName(hostOf(url)) && isIP(hostOf(url)) === 0) return "its host is not a name that can be looked up";
  url.hash = "";
  return url;
}

/** Host without port and brackets. */
export function hostOf(url: URL): string {
  return url.hostname.startsWith("[") ? url.hostname.slice(1, -1) : url.hostname;
}

/** The port that is connected to. */
export function portOf(url: URL): number {
  if (url.port !== "") return Number(url.port);
  return url.protocol === "https:" ? 443 : 80;
}

/** True for a name in lower case that DNS can hold; false for addresses in any spelling. */
export function isHostName(host: string): boolean {
  const labels = host.split(".");
  // The URL standard reads a host as an IPv4 address if its last label is a number.
  return host.length <= 253 && labels.every((label) => LABEL.test(label)) && !/^(?:\d+|0x[\da-f]*)$/.test(labels.at(-1) ?? "");
}
