// Reads text of server-sent events, cut in any way, with the reader of Anthropic's own package.

import { Stream } from "@anthropic-ai/sdk/core/streaming";

import type { CompletionChunk } from "../../../src/gateway/types.ts";
import type { StreamReader } from "../../../src/gateway/wires/index.ts";

/** An event as it was read. */
export interface ReadEvent {
  readonly event?: string;
  readonly data: string;
}

/** The events of a text whose bytes come in pieces. */
export async function readEvents(pieces: readonly Uint8Array<ArrayBuffer>[]): Promise<readonly ReadEvent[]> {
  const body = new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const events: ReadEvent[] = [];
  for await (const { event, data } of Stream.rawEvents(new Response(body))) events.push({ ...(event !== null && { event }), data });
  return events;
}

/** The chunks that a reader finds in them. */
export async function readChunks(text: string, reader: StreamReader): Promise<readonly CompletionChunk[]> {
  const events = await readEvents([Buffer.from(text)]);
  return events.flatMap((event) => reader.push(event));
}
