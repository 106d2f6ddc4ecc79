// A gateway to language models inside of a program: a provider, and two plugins around every request.

import { type Gateway, createGateway } from "mortise/gateway";

const module = (name: string): URL => new URL(`../guests/prebuilt/${name}.wasm`, import.meta.url);

// A provider that repeats what it hears; others are in docs/providers.md.
await using gateway = await createGateway({ providers: { echo: { source: module("provider_echo.c"), models: ["parrot"] } } });

// Takes personal data out before the model sees it, and puts it back into the answer.
await gateway.host.plugins.load(module("gateway_pii.rs"), {
  name: "pii",
  order: 50,
  config: { restore: true },
  permissions: { attributes: { read: ["pii.*"], write: ["pii.*"] } },
});
await gateway.host.plugins.load(module("gateway_guard.c"), { name: "guard", order: 20, config: { deny: ["project nightjar"] } });

async function ask(own: Gateway, content: string, stream = false): Promise<Response> {
  const body = JSON.stringify({ model: "parrot", stream, messages: [{ role: "user", content }] });
  return own.inject(new Request("http://gateway/v1/chat/completions", { method: "POST", headers: { "content-type": "application/json" }, body }));
}

// Without a socket; `await gateway.start()` listens for clients of OpenAI's and Anthropic's interfaces.
const whole = (await (await ask(gateway, "Write to ada@example.com")).json()) as { choices: { message: object }[]; usage: object };
console.log(whole.choices[0]?.message, whole.usage);

const refused = await ask(gateway, "What is Project Nightjar?");
console.log(refused.status, await refused.json());

for await (const piece of (await ask(gateway, "Write to ada@example.com", true)).body ?? [])
  for (const [, text] of new TextDecoder().decode(piece).matchAll(/"content":"([^"]*)"/g)) console.log(`piece: ${text}`);
