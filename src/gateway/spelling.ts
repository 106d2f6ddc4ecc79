// Refuses names in another case: some servers take `Messages` for `messages`, and plugins would look at the other one.

import { type JsonObject, MortiseError, printable } from "mortise";

import { isObject } from "./wires/common/fields.ts";

/** What a name of the interfaces is made of. */
const PLAIN = /^[\da-z_]*$/;
/** Names that say what a model is told, who is asked, and what comes of it. */
const NAMES: ReadonlySet<string> = new Set(
  (
    "messages input instructions system prompt suffix model models stream fallbacks tools functions tool_choice function_call response_format " +
    "max_tokens max_completion_tokens max_output_tokens n stop stop_sequences temperature text thinking reasoning metadata mcp_servers " +
    "role content name type refusal tool_calls function arguments output image_url input_audio file source data url tool_call_id tool_use_id " +
    "call_id id summary title context reasoning_content reasoning_details encrypted_content cache_control"
  ).split(" "),
);
/** Where lists of objects stand that have such names. What tools are given has names of its own. */
const LISTS = ["messages", "input", "system", "content", "output", "tool_calls", "summary"] as const;

/**
 * Looks at a body and its messages with their parts; depth is bounded already.
 *
 * @throws MortiseError MORTISE_GATEWAY_REQUEST
 */
export function checkSpelling(object: JsonObject): void {
  for (const name in object) if (!PLAIN.test(name)) checkName(name);
  for (const list of LISTS) {
    const items = object[list];
    if (Array.isArray(items)) for (const item of items as readonly unknown[]) if (isObject(item)) checkSpelling(item);
  }
  const { function: called } = object;
  if (isObject(called)) for (const name in called) if (!PLAIN.test(name)) checkName(name);
}

/** Upper case first, since it has letters in common that lower case tells apart, such as the long s. */
function checkName(name: string): void {
  const meant = name.toUpperCase().toLowerCase();
  if (!NAMES.has(meant)) return;
  const reason = `has the key "${printable(name)}", which some servers take for "${meant}"`;
  throw new MortiseError("MORTISE_GATEWAY_REQUEST", { what: "the body", reason });
}
