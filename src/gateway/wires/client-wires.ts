// The interfaces of chat that clients speak. Embeddings, which have no streams, are in embeddings.ts.

import { CHAT_WIRE } from "./chat/chat-wire.ts";
import type { ClientWire } from "./client-wire.ts";
import { MESSAGES_WIRE } from "./messages/messages-wire.ts";
import { RESPONSES_WIRE } from "./responses/responses-wire.ts";

/** By the name of the interface. */
export const CLIENT_WIRES: Readonly<Record<"chat" | "responses" | "messages", ClientWire>> = {
  chat: CHAT_WIRE,
  responses: RESPONSES_WIRE,
  messages: MESSAGES_WIRE,
};
