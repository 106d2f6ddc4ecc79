// A stream's parser in the plugin's memory.

import { JsonBytes } from "./byte-arrays.ts";
import { readStreamItem } from "./chat-shapes.ts";
import type { ProviderGuest } from "./provider-guest.ts";
import type { StreamChunk } from "./types.ts";

/** What a parser is started with. */
export interface ParserOperation {
  readonly cfg: string;
  /** Ends waiting for the instance, and no call in it: ending one would end the parsers of all streams. */
  readonly signal?: AbortSignal;
}

/** A parser in the plugin's memory. It is lost with its instance, and its number must not be used in another. */
export class Parser {
  readonly #guest: ProviderGuest;
  readonly #operation: ParserOperation;
  readonly #id: number;
  readonly #instance: number;
  readonly #prefix: string;
  readonly #json = new JsonBytes();

  private constructor(guest: ProviderGuest, operation: ParserOperation, id: number, instance: number) {
    this.#guest = guest;
    this.#operation = operation;
    this.#id = id;
    this.#instance = instance;
    this.#prefix = `{"parser_id":${id},"chunk":`;
  }

  static async start(guest: ProviderGuest, operation: ParserOperation): Promise<Parser> {
    const fn = "chat_stream_parser_start";
    const { value, instance } = await guest.located(fn, operation.cfg, { waitSignal: operation.signal });
    return new Parser(guest, operation, guest.shape(fn).count(value, "the number of a parser"), instance);
  }

  async parse(lines: Uint8Array): Promise<StreamChunk[]> {
    // It has been read when the call has ended, and there is one call at a time.
    const json = this.#json.restart().text(this.#prefix).array(lines).text("}");
    return this.#items("chat_stream_parser_parse", json.take());
  }

  finish(): Promise<StreamChunk[]> {
    return this.#items("chat_stream_parser_finish", String(this.#id));
  }

  /** Lets the parser go, if it is still there. Never throws: whatever happened, the stream is over. */
  async close(): Promise<void> {
    await this.#guest.call("chat_stream_parser_close", String(this.#id), { instance: this.#instance }).catch(() => {});
  }

  async #items(fn: string, input: string | Uint8Array): Promise<StreamChunk[]> {
    const shape = this.#guest.shape(fn);
    const items = await this.#guest.json(fn, input, { waitSignal: this.#operation.signal, instance: this.#instance });
    this.#operation.signal?.throwIfAborted();
    return shape.list(items, "the items of a stream").map((item) => readStreamItem(item, shape));
  }
}
