// Text of server-sent events. JSON has no line breaks of its own, so that each event has one line of data.

import type { JsonObject } from "mortise";

/** An event without a name. */
export function dataEvent(data: JsonObject): string {
  return `data: ${JSON.stringify(data)}\n\n`;
}

/** An event that is named after the type in its data. */
export function typedEvent(data: JsonObject & { readonly type: string }): string {
  return `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
}
