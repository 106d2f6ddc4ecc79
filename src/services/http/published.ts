// What is published of HTTP requests.

import { type HttpEvent, httpRequests } from "../../api/channels.ts";
import { isMortiseError } from "../../api/errors.ts";
import type { HttpCall, HttpRequest } from "../../api/http.ts";
import { readMethod } from "./headers.ts";
import { readTarget } from "./target.ts";

/** How a request ended. */
export interface HttpOutcome {
  readonly status?: number | undefined;
  readonly responseBytes?: number;
  readonly error?: unknown;
}

/** A request, its URL as a guest states it or as it was read already. */
export interface WatchedRequest extends Pick<HttpRequest, "method" | "body"> {
  readonly url: string | URL;
}

/** Begins to watch a request: what it gives is to be called when the request has ended. Undefined if nobody subscribes. */
export function watchRequest(
  { url, method, body }: WatchedRequest,
  { plugin }: Pick<HttpCall, "plugin">,
): ((outcome: HttpOutcome) => void) | undefined {
  if (!httpRequests.hasSubscribers) return undefined;
  const began = performance.now();
  const target = typeof url === "string" ? readTarget(url) : url;
  const readable = readMethod(method);
  const common = {
    plugin,
    host: typeof target === "string" ? "" : target.host,
    method: typeof readable === "string" ? "" : readable.method,
    requestBytes: body?.length ?? 0,
  };
  return ({ status, responseBytes = 0, error }) => {
    const event: HttpEvent = {
      ...common,
      ...(status !== undefined && { status }),
      durationMs: performance.now() - began,
      responseBytes,
      ...(error !== undefined && { error: isMortiseError(error) ? error.code : "MORTISE_INTERNAL" }),
    };
    httpRequests.publish(event);
  };
}
