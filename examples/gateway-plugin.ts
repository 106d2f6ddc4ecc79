// A gateway with a plugin of one's own: docs/writing-a-guard.md shows its source, and how it is made.

import { createGateway } from "mortise/gateway";

const module = (name: string): URL => new URL(`../guests/prebuilt/${name}.wasm`, import.meta.url);

await using gateway = await createGateway({ providers: { echo: { source: module("provider_echo.c") } } });
await gateway.host.plugins.load(module("code_names.ts"), {
  name: "names",
  config: { names: ["nightjar"], trusted: "ann" },
  permissions: { attributes: { read: ["client", "names.*"], write: ["names.*"] } },
});

async function ask(path: string, content: string): Promise<void> {
  const body = JSON.stringify({ model: "parrot", max_tokens: 50, messages: [{ role: "user", content }] });
  const headers = { "content-type": "application/json" };
  const answer = await gateway.inject(new Request(`http://gateway${path}`, { method: "POST", headers, body }));
  const { error, choices } = (await answer.json()) as { error?: unknown; choices?: { message: { content: string } }[] };
  console.log(answer.status, choices?.[0]?.message.content ?? error);
}

// What plugins see is the same, whatever a client speaks; what the client gets is in its own words.
await ask("/v1/chat/completions", "How do nightingales sing?");
await ask("/v1/chat/completions", "How does the Nightjar sing?");
await ask("/v1/messages", "How does the Nightjar sing?");
