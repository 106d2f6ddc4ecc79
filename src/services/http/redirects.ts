// What follows from a redirect: the next request, by the rules of the fetch standard.

import type { HeaderList } from "./headers.ts";
import { readTarget } from "./target.ts";
import type { Head } from "./transport.ts";

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Headers whose name says that they hold a secret; the fetch standard names only `authorization`, plugins know others. */
const SECRET = /auth|cookie|token|secret|key|credential|session|password|signature/;
/** Headers that describe a body, which is gone when a request becomes a GET. */
const OF_BODY = /^content-/;

/** Where a response sends the client, if it does. */
export function redirectOf(status: number, headers: Readonly<Record<string, string>>): string | undefined {
  const location = REDIRECTS.has(status) ? headers["location"] : undefined;
  // Header bytes arrive as Latin-1; servers write UTF-8.
  return location === undefined ? undefined : Buffer.from(location, "latin1").toString("utf8");
}

/** A request whose target has yet to be looked up in the allow-list. */
export interface Redirected {
  readonly head: Omit<Head, "kinds">;
  readonly body: Uint8Array | undefined;
}

/** The request that a redirect asks for, or the reason why it is refused. */
export function redirected({ head, body }: Redirected, status: number, location: string): Redirected | string {
  const url = readTarget(location, head.url);
  if (typeof url === "string") return url;
  if (head.url.protocol === "https:" && url.protocol === "http:") return "it would go on without encryption";
  const kept = url.origin === head.url.origin ? head.headers : head.headers.filter(([name]) => !SECRET.test(name));
  return becomesGet(head.method, status)
    ? { head: { url, method: "GET", headers: withoutBody(kept) }, body: undefined }
    : { head: { url, method: head.method, headers: kept }, body };
}

function becomesGet(method: string, status: number): boolean {
  if (status === 303) return method !== "GET" && method !== "HEAD";
  return (status === 301 || status === 302) && method === "POST";
}

function withoutBody(headers: HeaderList): HeaderList {
  return headers.filter(([name]) => !OF_BODY.test(name));
}
