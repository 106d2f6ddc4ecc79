// A plugin that speaks to a language model: it builds requests and reads answers, and the host sends them where it may.

import { once } from "node:events";
import { type ServerResponse, createServer } from "node:http";
import type { AddressInfo } from "node:net";

import { type ChatRequest, isMortiseError, loadProvider } from "mortise";

// A stand-in for the model's server, with the wire that many of them have.
const server = createServer(async (message, response) => {
  let text = "";
  for await (const piece of message.setEncoding("utf8")) text += String(piece);
  const { stream, messages } = JSON.parse(text) as { stream?: boolean; messages: { content: { text: string }[] }[] };
  const question = messages.at(-1)?.content[0]?.text ?? "";
  if (question.includes("hurry")) busy(response);
  else if (stream === true) tell(response, ["Once ", "upon ", "a ", "time."]);
  else response.end(JSON.stringify({ choices: [{ message: { content: `"${question}" it was.` }, finish_reason: "stop" }] }));
});
await once(server.listen(0, "127.0.0.1"), "listening");
const { port } = server.address() as AddressInfo;

function tell(response: ServerResponse, words: readonly string[]): void {
  for (const content of words) response.write(`data: ${JSON.stringify({ choices: [{ delta: { content } }] })}\n\n`);
  response.end(`data: ${JSON.stringify({ choices: [{ delta: {}, finish_reason: "stop" }] })}\n\ndata: [DONE]\n\n`);
}

function busy(response: ServerResponse): void {
  response.writeHead(429, { "retry-after": "20" }).end(JSON.stringify({ error: { message: "Too many questions" } }));
}

await using provider = await loadProvider(new URL("../guests/kits/prebuilt/provider3-rust.wasm", import.meta.url), {
  name: "models",
  config: { model: "small", base_url: `http://127.0.0.1:${port}/v1`, temprature: 0.5 },
  apiKey: "a key for the stand-in",
  permissions: { hosts: [`127.0.0.1:${port}`] },
});
const { generation, reportedName, droppedKeys, streaming } = provider.report;
console.log(`generation ${generation}, ${reportedName}; keys without effect: ${droppedKeys.join(", ")}; streams: ${streaming.supported}`);

const ask = (text: string): ChatRequest => ({ messages: [{ role: "User", content: [{ type: "text", text }] }] });

console.log((await provider.chat(ask("What was it?"))).text);

for await (const chunk of provider.chatStream(ask("Tell me a story"))) {
  if ("text" in chunk) process.stdout.write(`${chunk.text}|`);
  else console.log(chunk);
}

for (const request of [() => provider.chat(ask("hurry")), () => provider.complete({ prompt: "Once" })]) {
  try {
    await request();
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    const { payload, retryable, retryAfterSecs } = error.details;
    console.log(error.code, (payload as { type: string }).type, { retryable, retryAfterSecs });
  }
}
server.close().closeAllConnections();
