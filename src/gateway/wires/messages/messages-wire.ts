// Anthropic's messages.

import type { ClientWire } from "../client-wire.ts";
import { anthropicError } from "../common/wire-errors.ts";
import { readMessageRequest, writeMessageRequest } from "./message-request.ts";
import { readMessageResponse, writeMessageResponse } from "./message-response.ts";
import { MessageStreamReader } from "./message-stream-reader.ts";
import { MessageStreamWriter } from "./message-stream-writer.ts";

/** Anthropic's messages. */
export const MESSAGES_WIRE: ClientWire = {
  api: "messages",
  read: readMessageRequest,
  body: writeMessageRequest,
  response: writeMessageResponse,
  stream: (request, ids) => new MessageStreamWriter(request, ids),
  error: anthropicError,
  readResponse: readMessageResponse,
  streamReader: () => new MessageStreamReader(),
};
