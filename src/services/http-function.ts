// HTTP for plugins of every interface: http_request, over the HTTP that the operator grants.

import type { HttpCall, HttpResponse } from "../api/http.ts";
import { permissionDenied } from "../api/permissions.ts";
import type { ServiceTable } from "../api/services.ts";
import { waiting } from "./define-service.ts";
import { argumentsOf } from "./service-arguments.ts";

/** Bytes of a request's JSON. */
const MAX_REQUEST_BYTES = 1 << 20;
/** The length of the head. */
const PREFIX_BYTES = 4;
const encoder = new TextEncoder();

/** HTTP as an operator grants it to a plugin. */
export interface ServiceHttp {
  /** Performs the request that a guest states as JSON. @throws MortiseError why it was refused or failed */
  request(json: string, body: Uint8Array | undefined, call: HttpCall): Promise<HttpResponse>;
  /** Whether plugins may see the headers of responses. */
  readonly showsHeaders: boolean;
}

/** The function `http_request`. */
export function httpServices(http: ServiceHttp | undefined): ServiceTable {
  const checks = argumentsOf("http_request");
  return {
    http_request: waiting(["text", "bytes"], "bytes", true, (call, request, body) => {
      if (http === undefined) throw permissionDenied(call.plugin, call.function, "an HTTP request", "hosts", '["HOST"]');
      const json = checks.text(call, "request", request, MAX_REQUEST_BYTES);
      const bytes = checks.bytes(call, "body", body, Number.POSITIVE_INFINITY);
      const { showsHeaders } = http;
      return http.request(json, bytes.length === 0 ? undefined : bytes, call).then((response) => frameResponse(response, showsHeaders));
    }),
  };
}

/** A response as bytes: the length of a JSON head as u32, little-endian, the head `{"status","headers"}`, and the body. */
export function frameResponse({ status, headers, body }: HttpResponse, showsHeaders: boolean): Uint8Array<ArrayBuffer> {
  const head = encoder.encode(JSON.stringify({ status, headers: showsHeaders ? headers : {} }));
  const bytes = new Uint8Array(PREFIX_BYTES + head.length + body.length);
  new DataView(bytes.buffer).setUint32(0, head.length, true);
  bytes.set(head, PREFIX_BYTES);
  bytes.set(body, PREFIX_BYTES + head.length);
  return bytes;
}
