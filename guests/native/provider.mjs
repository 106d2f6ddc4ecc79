// A provider in native code: it says backwards what it is told. It has the functions of QueryMT's generation 2, and stands
// where a server's own protocol would be spoken.

const decoder = new TextDecoder();
const read = (input) => JSON.parse(decoder.decode(input));
const backwards = (text) => Array.from(text).reverse().join("");
let prefix = "";

export const name = () => "backwards";
export const init_logging = () => {};
export const config_schema = () =>
  JSON.stringify({ type: "object", properties: { model: { type: "string" }, prefix: { type: "string" }, stream: { type: "boolean" } } });

export function from_config(input) {
  prefix = read(input).prefix ?? "";
  return JSON.stringify(read(input));
}

export const supports_streaming = () => "true";

export const list_models = () => JSON.stringify(["backwards-1"]);

function said(input) {
  const { messages } = read(input);
  const last = messages.at(-1);
  const text = last.content.map((part) => part.text ?? "").join("");
  return prefix + backwards(text);
}

const usage = (text) => ({ input_tokens: text.length, output_tokens: text.length });

export function chat(input) {
  const text = said(input);
  if (text.includes("!liaf")) throw new Error("the text cannot be said");
  return JSON.stringify({ text, thinking: null, tool_calls: null, usage: usage(text), finish_reason: "Stop" });
}

/** Each piece is handed over as it comes, waits as long as nobody takes those before it, and says whether anybody still reads. */
export async function chat_stream(input, { services }) {
  const give = (chunk) => services.qmt_yield_chunk(JSON.stringify({ chunk }));
  const text = said(input);
  for (const word of text.split(/(?<= )/)) {
    if ((await give({ text: word })) === 0) return;
  }
  await give({ usage: usage(text) });
  await give({ done: { finish_reason: "Stop" } });
}
