// Streams of generation 3: the host reads the response and cuts it at line ends, a parser in the plugin makes chunks of it.

import type { HttpResponse, HttpStream } from "../api/http.ts";
import { MortiseError } from "../api/errors.ts";
import type { GuardedHttp } from "../services/http/guarded-http.ts";
import { buildRequest } from "./build-request.ts";
import { isSuccess } from "./http-wire.ts";
import { LineCutter, linesOf } from "./line-cutter.ts";
import type { Operation } from "./operation.ts";
import { translated } from "./provider-errors.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import type { Rehearsals } from "./rehearsal.ts";
import { writeChatRequest } from "./request-json.ts";
import { readAll } from "./stream-body.ts";
import { Parser } from "./stream-parser.ts";
import type { ChatRequest, StreamChunk } from "./types.ts";

/** What streams work with. */
export interface StreamParts {
  readonly guest: ProviderGuest;
  /** The plugin whose one instance keeps the parsers. */
  readonly parsers: () => Promise<ProviderGuest>;
  readonly http: GuardedHttp;
  readonly maxLineBytes: number;
  readonly rehearsals: Rehearsals;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  /** The error for a response without success. */
  readonly classify: (operation: Operation, response: HttpResponse) => Promise<Error>;
}

const FN = "chat_stream_request";

export async function* streamChat(parts: StreamParts, operation: Operation, request: ChatRequest): AsyncGenerator<StreamChunk, void> {
  const { guest } = parts;
  const built = await buildRequest(guest, operation, FN, writeChatRequest(operation.cfg, request));
  const giver = { plugin: guest.name, function: FN };
  let stream: HttpStream;
  try {
    stream = await parts.http.open(built, operation.httpCall(FN));
  } catch (error) {
    throw translated(giver, error);
  }
  const { maxLineBytes, rehearsals } = parts;
  try {
    if (!isSuccess(stream.status)) throw await parts.classify(operation, await readAll(stream));
    const parser = await Parser.start(await parts.parsers(), operation);
    const cutter = new LineCutter();
    const recording = rehearsals.record();
    // Stays as it is for one stream.
    const { feedsChunks } = rehearsals;
    // All in one function: each generator within another would make every chunk wait for some more turns.
    try {
      for await (const piece of stream.body) {
        const lines = cutter.push(piece);
        if (cutter.keptBytes > maxLineBytes) throw tooLong(guest, maxLineBytes);
        if (lines === undefined) continue;
        recording?.add(lines);
        for (const fed of feedsChunks ? [lines] : linesOf(lines)) for (const chunk of await parser.parse(fed)) yield chunk;
      }
      const last = cutter.flush();
      if (last !== undefined) {
        recording?.add(last);
        for (const chunk of await parser.parse(last)) yield chunk;
      }
      for (const chunk of await parser.finish()) yield chunk;
      recording?.done(operation.cfg);
    } finally {
      await parser.close();
    }
  } catch (error) {
    throw translated(giver, error);
  } finally {
    stream.close();
  }
}

function tooLong(guest: ProviderGuest, limit: number): MortiseError {
  const what = "a line of the stream";
  return new MortiseError("MORTISE_HTTP_LIMIT", { plugin: guest.name, function: FN, what, limit, unit: "bytes", option: "maxLineBytes" });
}
