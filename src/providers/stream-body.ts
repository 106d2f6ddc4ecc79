// The body of a response that turns out not to be a stream, but an error.

import type { HttpResponse, HttpStream } from "../api/http.ts";
import { MAX_ERROR_BYTES } from "./http-wire.ts";

/** Reads a short body; what is longer is cut. */
export async function readAll(stream: HttpStream): Promise<HttpResponse> {
  const { status, headers, body } = stream;
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const piece of body) {
      pieces.push(piece);
      length += piece.length;
      if (length > MAX_ERROR_BYTES) break;
    }
  } finally {
    stream.close();
  }
  return { status, headers, body: Uint8Array.from(Buffer.concat(pieces).subarray(0, MAX_ERROR_BYTES)) };
}
