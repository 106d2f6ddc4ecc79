// Writes an answer: at the pace that is asked for, no faster than the client reads, and with what goes wrong on the way.

import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { setImmediate as turn } from "node:timers/promises";

import type { Behaviour } from "./behaviour.ts";
import type { Body, Piece } from "./body.ts";

/** Waits, unless the signal is aborted: then it throws. */
export type Sleep = (ms: number, signal: AbortSignal) => Promise<unknown>;

/** What an answer is made of. */
export interface Outgoing {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Body;
}

/** Sends an answer; what throws is that the client is gone. */
export async function send(
  response: ServerResponse,
  { status, headers, body }: Outgoing,
  { behaviour, sleep, signal }: { readonly behaviour: Behaviour; readonly sleep: Sleep; readonly signal: AbortSignal },
): Promise<void> {
  const { fault, chunkDelayMs = fault === "trickle" ? 10 : 0 } = behaviour;
  if (fault === "drop_before_head") return void response.socket?.destroy();
  if (fault === "drop_mid_head") return cutOff(response, "HTTP/1.1 200 OK\r\ncontent-ty");
  if (fault === "never") return;
  response.writeHead(status, { "content-type": body.type, ...headers });
  const [only] = body.pieces;
  if (body.ending === undefined && chunkDelayMs === 0 && body.pieces.length === 1 && only instanceof Uint8Array) {
    response.end(only);
    return;
  }
  // Else the head would wait for the first piece.
  response.flushHeaders();
  for (const [index, piece] of body.pieces.entries()) {
    if (index > 0) await (chunkDelayMs > 0 ? sleep(chunkDelayMs, signal) : turn(undefined, { signal }));
    for (const bytes of writes(piece)) if (!response.write(bytes)) await once(response, "drain", { signal });
  }
  if (body.ending === undefined) response.end();
  else if (body.ending === "drop") response.write("", () => response.socket?.destroy());
}

function* writes(piece: Piece): Generator<Uint8Array> {
  if (piece instanceof Uint8Array) return yield piece;
  for (let left = piece.bytes; left > 0; left -= piece.repeat.length) yield piece.repeat.subarray(0, left);
}

function cutOff(response: ServerResponse, text: string): void {
  const { socket } = response;
  socket?.write(text, () => socket.destroy());
}
