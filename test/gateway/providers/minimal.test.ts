// The provider that docs/writing-a-provider.md has in full: the page and the source are the same, and it works.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { collect, endOf, json, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";

const KIT = "provider-minimal";
const ROOT = join(import.meta.dirname, "../../..");
const page = readFileSync(join(ROOT, "docs/writing-a-provider.md"), "utf8");

describe("The page about writing a provider", () => {
  for (const [language, file] of [
    ["rust", "src/lib.rs"],
    ["toml", "Cargo.toml"],
  ] as const)
    it(`has ${file} as it is`, () => {
      const source = readFileSync(join(ROOT, "guests/kits", KIT, file), "utf8");
      assert.ok(page.includes(`\`\`\`${language}\n${source}\`\`\``));
    });
});

describe("The minimal provider", () => {
  it("answers", async () => {
    await using server = await vendorServer(json({ text: "hello", tokens: [3, 1] }));
    await using provider = await loadShipped(KIT, server);
    const usage = { input_tokens: 3, output_tokens: 1, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
    assert.deepEqual(await provider.chat(say("hi")), { text: "hello", tool_calls: null, thinking: null, usage, finish_reason: "Stop" });
    const [sent] = server.sent;
    assert.deepEqual([sent?.method, sent?.path], ["POST", "/v1/talk"]);
    assert.deepEqual(sent?.body, { model: "small", said: [{ who: "User", text: "hi" }], stream: false });
  });

  it("streams, however the stream is cut", async () => {
    const text = `data: {"text":"one "}\n\n: comment\n\ndata: {"text":"größer"}\n\n`;
    for (const size of [1, 5, 1000]) {
      await using server = await vendorServer(stream(text, size));
      await using provider = await loadShipped(KIT, server);
      assert.deepEqual(await collect(provider.chatStream(say("hi"))), [{ text: "one " }, { text: "größer" }, { done: { finish_reason: "Stop" } }]);
    }
  });

  it("lists models, and says what it does not have", async () => {
    await using server = await vendorServer(json({ models: ["small", "large"] }));
    await using provider = await loadShipped(KIT, server, "/v1", { config: { temperature: 1 } });
    assert.deepEqual(await provider.listModels(), ["small", "large"]);
    assert.deepEqual(provider.report.droppedKeys, ["temperature"]);
    assert.partialDeepStrictEqual(await endOf(provider.embed(["x"])), { payload: { type: "not_implemented" } });
  });

  it("fails readably: without a key, for a broken answer, and for a status", async () => {
    await using server = await vendorServer((response, sent) =>
      (sent.body["model"] === "broken" ? json("{") : json({ error: { message: "busy" } }, 503))(response, sent),
    );
    await using provider = await loadShipped(KIT, server);
    assert.partialDeepStrictEqual(await endOf(provider.chat(say("x"))), { payload: { type: "provider_error", message: "busy" }, retryable: true });
    assert.partialDeepStrictEqual(await endOf(provider.chat(say("x", { config: { model: "broken" } }))), {
      payload: { type: "response_format_error" },
      retryable: false,
    });
    await using keyless = await loadShipped(KIT, server, "/v1", { apiKey: () => undefined });
    assert.partialDeepStrictEqual(await endOf(keyless.chat(say("x"))), { payload: { type: "auth_error" } });
  });
});
