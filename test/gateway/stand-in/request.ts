// What the stand-in understands of a request.

/** JSON, as far as it is looked at. */
export type Json = Readonly<Record<string, unknown>>;

/** What an answer depends on. */
export interface Asked {
  readonly model: string;
  readonly stream: boolean;
  /** Text of the last message of the user, or of the last result of a tool. */
  readonly last: string;
  /** Words of everything that was sent as text. */
  readonly words: number;
  /** Words that the answer may have. */
  readonly most: number;
  /** A tool to be called, if the request wants that. */
  readonly call: { readonly name: string; readonly arguments: string } | undefined;
  readonly body: Json;
}

export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Objects of a list. */
export function objects(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value.filter(isJson) : [];
}

export function countWords(text: string): number {
  return text.match(/\S+/gu)?.length ?? 0;
}

/** The text of a message's content: parts are joined with spaces, and what is no text is named by its type. */
export function textOf(content: unknown): string {
  if (typeof content === "string") return content;
  return objects(content)
    .map((part) => (typeof part["text"] === "string" ? part["text"] : "content" in part ? textOf(part["content"]) : `[${String(part["type"])}]`))
    .join(" ");
}

/**
 * Which tool to call: text of the form `tool:NAME {json}` calls it with that; `tool_choice` that demands one calls it, or the
 * first, with `{"text": last}`. Never in answer to a tool's result.
 */
function callOf(body: Json, last: string, afterTool: boolean): Asked["call"] {
  const names = objects(body["tools"]).map((tool) => String((isJson(tool["function"]) ? tool["function"] : tool)["name"]));
  if (afterTool || names.length === 0) return undefined;
  const asked = /^tool:(\S+) (\{.*\})$/su.exec(last);
  if (asked !== null && names.includes(asked[1] ?? "")) return { name: asked[1] ?? "", arguments: asked[2] ?? "" };
  const choice = body["tool_choice"];
  const args = JSON.stringify({ text: last });
  if (choice === "required" || (isJson(choice) && choice["type"] === "any")) return { name: names[0] ?? "", arguments: args };
  const named = isJson(choice) ? (isJson(choice["function"]) ? choice["function"] : choice)["name"] : undefined;
  return typeof named === "string" ? { name: named, arguments: args } : undefined;
}

/** Reads a request of any of the interfaces: `messages`, or `input` for responses. */
export function readAsked(body: Json): Asked {
  const given = body["messages"] ?? body["input"];
  const messages = typeof given === "string" ? [{ role: "user", content: given }] : objects(given);
  const speaking = messages.filter(({ role, type }) => role === "user" || role === "tool" || type === "function_call_output");
  const message: Json = speaking.at(-1) ?? {};
  const last = textOf(message["content"] ?? message["output"]);
  const results = objects(message["content"]).some(({ type }) => type === "tool_result");
  const afterTool = message["role"] === "tool" || message["type"] === "function_call_output" || results;
  const system = `${textOf(body["system"])} ${textOf(body["instructions"])}`;
  const words = messages.reduce((sum, { content, output }: Json) => sum + countWords(textOf(content ?? output)), countWords(system));
  const most = [body["max_completion_tokens"], body["max_tokens"], body["max_output_tokens"]].find((value) => typeof value === "number");
  return {
    model: typeof body["model"] === "string" ? body["model"] : "",
    stream: body["stream"] === true,
    last,
    words,
    most: most ?? Number.POSITIVE_INFINITY,
    call: callOf(body, last, afterTool),
    body,
  };
}
