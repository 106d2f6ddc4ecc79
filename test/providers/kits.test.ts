// Real providers, built with two kits in both generations, speak with a server.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ProviderKitName } from "../../scripts/kits-table.ts";
import type { Tool } from "../../src/providers/index.ts";
import { collect, endOf, loadKit, say, textOf } from "./loading.ts";
import { LAST_EVENTS, USAGE, type Upstream, event, upstream } from "./upstream.ts";

const COUNTS = { input_tokens: USAGE.prompt_tokens, output_tokens: USAGE.completion_tokens, reasoning_tokens: 0, cache_read: 0, cache_write: 0 };
const KITS: readonly (readonly [kit: ProviderKitName, generation: number, name: string])[] = [
  ["provider3-rust", 3, "openai-like"],
  ["provider2-rust", 2, "openai-like-2"],
  ["provider3-go", 3, "openai-like-go"],
  ["provider2-go", 2, "openai-like-go-2"],
];
const RUST: readonly ProviderKitName[] = ["provider3-rust", "provider2-rust"];

/** The body of the first request that a server got. */
function bodyOf({ asked: [first] }: Upstream): Record<string, unknown> {
  assert.ok(first !== undefined);
  return first.body;
}

for (const [kit, generation, name] of KITS) {
  describe(`The provider ${kit}`, () => {
    it("says what it is", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      const { report } = provider;
      assert.deepEqual([report.generation, report.name, report.reportedName, report.baseUrl], [generation, kit, name, `${server.url}/v1`]);
      assert.equal(report.streaming.supported, true);
      assert.ok(report.exports.found.includes("from_config"));
      assert.deepEqual(report.hosts, { granted: [server.host], notGranted: [] });
    });

    it("lists models", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      assert.deepEqual(await provider.listModels(), ["small", "large"]);
      assert.deepEqual([server.asked[0]?.path, server.asked[0]?.headers.authorization], ["/v1/models", "Bearer secret-key"]);
    });

    it("continues a conversation, with system text, tools and what was called", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server, { config: { system: ["Be brief.", "Be kind."] } });
      const tool: Tool = { type: "function", function: { name: "weather", description: "of a town", parameters: { type: "object" } } };
      const answer = await provider.chat({
        messages: [
          { role: "User", content: [{ type: "text", text: "How is the weather?" }] },
          { role: "Assistant", content: [{ type: "tool_use", id: "c1", name: "weather", arguments: { town: "Köln" } }] },
          { role: "User", content: [{ type: "tool_result", id: "c1", is_error: false, content: [{ type: "text", text: "rain" }] }] },
          { role: "User", content: [{ type: "text", text: "größer 😀" }] },
        ],
        tools: [tool],
      });
      assert.deepEqual(answer, { text: "you said: größer 😀", tool_calls: null, thinking: null, usage: COUNTS, finish_reason: "Stop" });
      const { messages, tools, model } = bodyOf(server) as { messages: Record<string, unknown>[]; tools: unknown; model: string };
      assert.equal(model, "small");
      assert.deepEqual(tools, [tool]);
      assert.deepEqual(
        messages.map(({ role }) => role),
        ["system", "system", "user", "assistant", "tool", "user"],
      );
      assert.deepEqual(messages[0], { role: "system", content: "Be brief." });
      assert.deepEqual(messages[3]?.["tool_calls"], [{ id: "c1", type: "function", function: { name: "weather", arguments: '{"town":"Köln"}' } }]);
      assert.deepEqual([messages[4]?.["tool_call_id"], messages[4]?.["content"]], ["c1", "rain"]);
    });

    it("streams", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      const chunks = await collect(provider.chatStream(say("one größer two 😀 three")));
      assert.deepEqual(chunks, [
        { text: "one " },
        { text: "größer " },
        { text: "two " },
        { text: "😀 " },
        { text: "three" },
        { usage: COUNTS },
        { done: { finish_reason: "Stop" } },
      ]);
      assert.equal(server.asked[0]?.body["stream"], true);
    });

    it("streams what is cut at every byte", async () => {
      await using server = await upstream(async ({ body }, response) => {
        if (body["stream"] !== true) return false;
        for (const byte of Buffer.from(`${event({ content: "größer " })}: a comment\r\n\r\n${event({ content: "😀" })}${LAST_EVENTS}`)) {
          response.write(Buffer.of(byte));
          await new Promise((resolve) => setImmediate(resolve));
        }
        response.end();
        return true;
      });
      await using provider = await loadKit(kit, server);
      const chunks = await collect(provider.chatStream(say("go")));
      assert.deepEqual(chunks, [{ text: "größer " }, { text: "😀" }, { usage: COUNTS }, { done: { finish_reason: "Stop" } }]);
    });

    it("streams what ends without a newline", async () => {
      await using server = await upstream(({ body }, response) => {
        if (body["stream"] !== true) return false;
        response.end(event({ content: "the end" }).trimEnd());
        return true;
      });
      await using provider = await loadKit(kit, server);
      assert.deepEqual(await collect(provider.chatStream(say("go"))), [{ text: "the end" }, { done: { finish_reason: "Unknown" } }]);
    });

    it("serves streams and requests at the same time without mixing them", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      const texts = Array.from({ length: 6 }, (_unused, index) => `${`number ${index} `.repeat(20 + index)}end`);
      const streams = texts.map(async (text) => textOf(await collect(provider.chatStream(say(text)))));
      const answers = texts.map(async (text) => (await provider.chat(say(text))).text);
      assert.deepEqual(await Promise.all(streams), texts);
      assert.deepEqual(
        await Promise.all(answers),
        texts.map((text) => `you said: ${text}`),
      );
    });

    it("lets a reader go that has heard enough, closes the connection, and goes on", async () => {
      await using server = await upstream(({ body }, response) => {
        if (body["messages"] === undefined || body["stream"] !== true) return false;
        response.write(event({ content: "on and on " }));
        return true;
      });
      await using provider = await loadKit(kit, server);
      for await (const chunk of provider.chatStream(say("endless"))) {
        assert.deepEqual(chunk, { text: "on and on " });
        break;
      }
      await server.server.allClosed();
      assert.equal((await provider.chat(say("still there?"))).text, "you said: still there?");
    });

    it("tells what a malformed answer looked like", async () => {
      await using server = await upstream((_asked, response) => (response.end("<html>not JSON"), true));
      await using provider = await loadKit(kit, server);
      const { code, payload, retryable } = await endOf(provider.chat(say("x")));
      assert.deepEqual([code, retryable], ["MORTISE_PROVIDER_ERROR", false]);
      assert.partialDeepStrictEqual(payload, { type: "response_format_error", raw_response: "<html>not JSON" });
    });

    it("ends a stream with the error of a malformed event, after what came before it", async () => {
      await using server = await upstream((_asked, response) => (response.end(`${event({ content: "good" })}data: {bad\n\n${LAST_EVENTS}`), true));
      await using provider = await loadKit(kit, server);
      const stream = provider.chatStream(say("x"));
      assert.deepEqual(await stream.next(), { done: false, value: { text: "good" } });
      assert.partialDeepStrictEqual(await endOf(stream.next()), { code: "MORTISE_PROVIDER_ERROR", payload: { type: "response_format_error" } });
      assert.deepEqual(await stream.next(), { done: true, value: undefined });
    });

    it("fails with a transport error when the server drops a stream", async () => {
      await using server = await upstream(({ body }, response) => {
        if (body["stream"] !== true) return false;
        response.write(event({ content: "half" }), () => response.destroy());
        return true;
      });
      await using provider = await loadKit(kit, server);
      const stream = provider.chatStream(say("x"));
      assert.deepEqual(await stream.next(), { done: false, value: { text: "half" } });
      assert.partialDeepStrictEqual(await endOf(stream.next()), {
        code: "MORTISE_PROVIDER_ERROR",
        payload: { type: "transport", kind: "connection_reset" },
        retryable: true,
      });
      assert.equal((await provider.chat(say("again"))).text, "you said: again");
    });

    it("fails at the deadline of a request that a server trickles", async () => {
      await using server = await upstream((_asked, response) => (response.write(" "), true));
      await using provider = await loadKit(kit, server);
      // Where the plugin waits, it is told that the request was cancelled, and its call ends.
      assert.equal((await endOf(provider.chat(say("x"), { timeoutMs: 60 }))).code, "MORTISE_TIMEOUT");
      await server.server.allClosed();
    });

    it("ends with MORTISE_ABORTED when the caller aborts a stream", async () => {
      await using server = await upstream(({ body }, response) => {
        if (body["stream"] !== true) return false;
        response.write(event({ content: "on" }));
        return true;
      });
      await using provider = await loadKit(kit, server);
      const abort = new AbortController();
      const stream = provider.chatStream(say("x"), { signal: abort.signal });
      await stream.next();
      const next = endOf(stream.next());
      abort.abort(new Error("enough"));
      assert.equal((await next).code, "MORTISE_ABORTED");
      await server.server.allClosed();
      assert.equal((await provider.chat(say("again"))).text, "you said: again");
    });

    it("refuses a configuration with the error of the plugin, and leaves out what the schema lacks", async () => {
      await using server = await upstream();
      const { code, payload } = await endOf(loadKit(kit, server, { config: { model: 5 } }));
      assert.equal(code, "MORTISE_PROVIDER_ERROR");
      assert.partialDeepStrictEqual(payload, { type: "invalid_request" });
      await using provider = await loadKit(kit, server, { config: { modle: "small", timeout_seconds: 5 } });
      assert.deepEqual(provider.report.droppedKeys, ["modle", "timeout_seconds"]);
    });

    it("fails what is under way with MORTISE_CLOSED when it is closed", async () => {
      await using server = await upstream(() => true);
      const provider = await loadKit(kit, server);
      const answer = endOf(provider.chat(say("x")));
      const stream = endOf(provider.chatStream(say("x")).next());
      while (server.asked.length < 2) await new Promise((resolve) => setImmediate(resolve));
      await provider.close();
      assert.deepEqual([(await answer).code, (await stream).code], ["MORTISE_CLOSED", "MORTISE_CLOSED"]);
      assert.equal((await endOf(provider.chat(say("x")))).code, "MORTISE_CLOSED");
      await server.server.allClosed();
    });
  });
}

for (const kit of RUST) {
  describe(`The provider ${kit}, which can more`, () => {
    it("streams tool calls and thinking", async () => {
      const calls = (index: number, id: string | undefined, text: string): unknown => ({
        tool_calls: [{ index, ...(id === undefined ? {} : { id }), function: { ...(id === undefined ? {} : { name: "f" }), arguments: text } }],
      });
      await using server = await upstream((_asked, response) => {
        response.write(event({ reasoning_content: "hm" }) + event(calls(0, "c1", "")) + event(calls(0, undefined, '{"a"')));
        response.end(event(calls(0, undefined, ":1}")) + event({}, "tool_calls") + "data: [DONE]\n\n");
        return true;
      });
      await using provider = await loadKit(kit, server);
      assert.deepEqual(await collect(provider.chatStream(say("x"))), [
        { thinking: "hm" },
        { tool_use_start: { index: 0, id: "c1", name: "f" } },
        { tool_use_input_delta: { index: 0, partial_json: '{"a"' } },
        { tool_use_input_delta: { index: 0, partial_json: ":1}" } },
        { tool_use_complete: { index: 0, tool_call: { id: "c1", type: "function", function: { name: "f", arguments: '{"a":1}' } } } },
        { done: { finish_reason: "ToolCalls" } },
      ]);
    });

    it("sends an image that it got as numbers", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      const data = Uint8Array.from({ length: 256 }, (_unused, index) => index);
      await provider.chat({ messages: [{ role: "User", content: [{ type: "image", mime_type: "image/png", data }] }] });
      const url = `data:image/png;base64,${Buffer.from(data).toString("base64")}`;
      assert.deepEqual((bodyOf(server)["messages"] as { content: unknown }[])[0]?.content, [{ type: "image_url", image_url: { url } }]);
    });

    it("classifies errors of the server, for answers and streams", async () => {
      await using server = await upstream((_asked, response) => {
        response.writeHead(429, { "retry-after": "7", "x-request-id": "r-1" });
        response.end(JSON.stringify({ error: { message: "Slow down", code: "rate_limit_exceeded", type: "requests" } }));
        return true;
      });
      await using provider = await loadKit(kit, server);
      for (const request of [provider.chat(say("x")), provider.chatStream(say("x")).next()]) {
        const { code, payload, retryable } = await endOf(request);
        assert.deepEqual([code, retryable], ["MORTISE_PROVIDER_ERROR", true]);
        assert.partialDeepStrictEqual(payload, { type: "provider_error", message: "Slow down", kind: "rate_limited", retry_after_secs: 7 });
      }
    });

    it("embeds", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      assert.deepEqual(await provider.embed(["a", "longer"]), [
        [1, 0.5],
        [6, 0.5],
      ]);
    });

    it("needs a key for each request, and asks for it", async () => {
      await using server = await upstream();
      const keys = ["first", "second"];
      await using provider = await loadKit(kit, server, { apiKey: async () => keys.shift() });
      await provider.listModels();
      await provider.listModels();
      assert.deepEqual(
        server.asked.map(({ headers }) => headers.authorization),
        ["Bearer first", "Bearer second"],
      );
      assert.partialDeepStrictEqual(await endOf(provider.listModels()), { payload: { type: "auth_error", message: "Missing API key" } });
    });

    it("takes a configuration for one request", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server);
      await provider.chat(say("x", { config: { model: "large", temperature: 0.5, colour: "red" } }));
      await provider.chat(say("x"));
      assert.deepEqual(
        server.asked.map(({ body }) => [body["model"], body["temperature"]]),
        [
          ["large", 0.5],
          ["small", undefined],
        ],
      );
      assert.deepEqual(provider.report.droppedKeys, ["colour"]);
    });

    it("does not stream when its configuration says so", async () => {
      await using server = await upstream();
      await using provider = await loadKit(kit, server, { config: { stream: false } });
      assert.deepEqual(provider.report.streaming.because, "supports_streaming said no");
      assert.equal(textOf(await collect(provider.chatStream(say("whole")))), "you said: whole");
    });
  });
}

describe("The provider provider2-rust, which speaks", () => {
  it("speaks, and says that it cannot transcribe", async () => {
    await using server = await upstream();
    await using provider = await loadKit("provider2-rust", server);
    const { audio, mime_type } = await provider.speech({ text: "hello", voice_config: { type: "preset", name: "echo" } });
    assert.deepEqual([new TextDecoder().decode(audio), mime_type, server.asked[0]?.body["voice"]], ["spoken hello", "audio/wav", "echo"]);
    assert.partialDeepStrictEqual(await endOf(provider.transcribe({ audio })), {
      code: "MORTISE_PROVIDER_ERROR",
      payload: { type: "not_implemented" },
      retryable: false,
    });
  });
});

for (const isolation of ["thread", "process"] as const) {
  describe(`Providers with isolation "${isolation}"`, () => {
    for (const kit of RUST)
      it(`answer and stream: ${kit}`, async () => {
        await using server = await upstream();
        await using provider = await loadKit(kit, server, { isolation });
        assert.equal((await provider.chat(say("far away"))).text, "you said: far away");
        assert.equal(textOf(await collect(provider.chatStream(say("one two three")))), "one two three");
        assert.partialDeepStrictEqual(await endOf(provider.transcribe({ audio: new Uint8Array(0) })), { payload: { type: "not_implemented" } });
      });
  });
}
