// OpenAI's responses: text and tools, without anything that a server would have to keep.

import type { ClientWire } from "../client-wire.ts";
import { openaiError } from "../common/wire-errors.ts";
import { writeResponseAnswer, readResponseAnswer } from "./response-answer.ts";
import { readResponseRequest, writeResponseRequest } from "./response-request.ts";
import { ResponseStreamReader } from "./response-stream-reader.ts";
import { ResponseStreamWriter } from "./response-stream-writer.ts";

/** OpenAI's responses. */
export const RESPONSES_WIRE: ClientWire = {
  api: "responses",
  read: readResponseRequest,
  body: writeResponseRequest,
  response: writeResponseAnswer,
  stream: (request, ids) => new ResponseStreamWriter(request, ids),
  error: openaiError,
  readResponse: readResponseAnswer,
  streamReader: () => new ResponseStreamReader(),
};
