// What every shipped provider makes of servers and configurations that mean no good, or are broken.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { CALLS, SAID, called, joined } from "./answers.ts";
import { KEY, type Sent, collect, endOf, json, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";
import { FINISHES, type Said, VENDORS } from "./vendors.ts";

for (const vendor of VENDORS) {
  const { kit, path } = vendor;
  describe(`The provider ${kit}, if others mean no good`, () => {
    it("makes a message of errors that are not in its wire's shape", async () => {
      const cases: readonly (readonly [body: string | Uint8Array, message: string])[] = [
        ["", "HTTP 502"],
        ["<html><h1>Bad gateway</h1>", "HTTP 502"],
        ["upstream\r\nfailed", "HTTP 502: upstream  failed"],
        ["[]", "HTTP 502: []"],
        ["{}", "HTTP 502: {}"],
        [Buffer.from([0xff, 0x61]), "HTTP 502: �a"],
        ["x".repeat(10_000), `HTTP 502: ${"x".repeat(500)}`],
      ];
      for (const [body, message] of cases) {
        await using server = await vendorServer(json(body, 502));
        await using provider = await loadShipped(kit, server, path);
        assert.equal((await endOf(provider.chat(say("x")))).payload["message"], message);
      }
    });

    it("survives whatever comes instead of an answer", async () => {
      const answer = vendor.answer(SAID);
      const bodies: readonly (string | Uint8Array)[] = [
        "",
        "null",
        "[]",
        "{}",
        "<html>not JSON",
        `{"choices":[],"content":{},"candidates":7}`,
        `{"choices":[{}],"candidates":"x"}`,
        JSON.stringify(answer).slice(0, -20),
        Buffer.from(
          JSON.stringify(answer)
            .replace("Hello", "\u0000")
            .replace(/\\u0000/, "\xff"),
          "latin1",
        ),
        "[".repeat(100_000),
        `{"error":null,"choices":[{"message":{"tool_calls":[{}]}}],"content":[{"type":"tool_use"}],"candidates":[{"content":{"parts":[{"functionCall":{}}]}}]}`,
      ];
      await using server = await vendorServer((response, sent) =>
        json(bodies[Number(sent.body["temperature"] ?? (sent.body["generationConfig"] as { temperature: number }).temperature) * 100] ?? "")(
          response,
          sent,
        ),
      );
      await using provider = await loadShipped(kit, server, path);
      for (const index of bodies.keys()) {
        const { code, payload, retryable } = await endOf(provider.chat(say("x", { config: { temperature: index / 100 } })));
        assert.deepEqual([code, payload["type"], retryable], ["MORTISE_PROVIDER_ERROR", "response_format_error", false], `body ${index}`);
        assert.ok(String(payload["raw_response"]).length <= 500);
      }
    });

    it("takes an image of 4 MB, and says what is too large for its memory", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      const image = { type: "image", mime_type: "image/png", data: new Uint8Array(4_000_000).fill(137) } as const;
      const request = { messages: [{ role: "User", content: [image] }] } as const;
      await using provider = await loadShipped(kit, server, path);
      assert.equal((await provider.chat(request)).text, SAID.text?.join(""));
      assert.ok(JSON.stringify(server.sent[0]?.body).includes(Buffer.from(image.data).toString("base64")));
      await using small = await loadShipped(kit, server, path, { limits: { memoryBytes: 64 << 20 } });
      for (const asked of [small.chat(request), collect(small.chatStream(request))]) assert.equal((await endOf(asked)).code, "MORTISE_INPUT_LIMIT");
    });

    it("survives whatever comes in streams, and never says what was not there", async () => {
      const bad: readonly string[] = [
        "data: {bad\n\n",
        "data: \u0001\n\n",
        'data: {"a":\n\n',
        `data: ${"[".repeat(5000)}\n\n`,
        'data: {"choices"',
        "data: \xff\xfe{}\n\n",
      ];
      for (const text of bad) {
        await using server = await vendorServer(stream(text));
        await using provider = await loadShipped(kit, server, path);
        const { payload } = await endOf(collect(provider.chatStream(say("x"))));
        assert.equal(payload["type"], "response_format_error", text.slice(0, 30));
      }
      const odd = [
        "data: null\n\n",
        "data: 7\n\n",
        "data: {}\n\n",
        "data:\n\n",
        "event: x\n\n",
        "",
        `data: {"choices":7,"candidates":{},"type":[]}\n\n`,
      ];
      for (const text of odd) {
        await using server = await vendorServer(stream(text));
        await using provider = await loadShipped(kit, server, path);
        const { payload, retryable } = await endOf(collect(provider.chatStream(say("x"))));
        assert.deepEqual([payload["type"], payload["kind"], retryable], ["transport", "connection_closed", true], text);
      }
    });

    it("does not take a stream that was cut for a whole one, wherever it was cut", async () => {
      for (const said of [SAID, CALLS]) {
        const text = vendor.events(said);
        const events = text.split(/(?<=\r?\n\r?\n)/u);
        const reason = events.findIndex((event) => /"(?:finish_reason|stop_reason|finishReason)":"/u.test(event));
        assert.ok(reason > 0);
        let count = 0;
        await using server = await vendorServer((response, sent) => stream(events.slice(0, count).join(""))(response, sent));
        await using provider = await loadShipped(kit, server, path);
        for (; count <= events.length; count++) {
          const asked = collect(provider.chatStream(say("x")));
          if (count > reason) assert.deepEqual(joined(await asked).done, [FINISHES[said.finish]], `${count} events`);
          else assert.equal((await endOf(asked)).payload["kind"], "connection_closed", `${count} events`);
        }
      }
    });

    it("counts what servers count, even if it makes no sense", async () => {
      await using server = await vendorServer(json({ ...vendor.answer(SAID), ...vendor.brokenUsage }));
      await using provider = await loadShipped(kit, server, path);
      const { usage } = await provider.chat(say("x"));
      assert.deepEqual(usage, { input_tokens: 0, output_tokens: 4_294_967_295, reasoning_tokens: 0, cache_read: 0, cache_write: 0 });
    });

    it("gives names with line ends as data, and never as part of anything else", async () => {
      const name = "f\r\nx-injected: 1\u0000";
      const said: Said = { calls: [{ id: "c\r\n1", name, arguments: {} }], finish: "tools" };
      const isStream = ({ path: url, body }: Sent): boolean => url.includes("stream") || body["stream"] === true;
      await using server = await vendorServer((response, sent) =>
        (isStream(sent) ? stream(vendor.events(said)) : json(vendor.answer(said)))(response, sent),
      );
      await using provider = await loadShipped(kit, server, path);
      assert.deepEqual((await provider.chat(say("x"))).tool_calls, called(said));
      assert.deepEqual(joined(await collect(provider.chatStream(say("x")))).calls, called(said));
    });

    it("refuses a key, a header and a model with line ends before anything is sent", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      const secret = "sk-first\r\nx-injected: 1";
      for (const config of [
        { api_key: secret },
        { headers: { "x-a": "b\r\nc: d" } },
        { headers: { "x\r\na": "b" } },
        { api_key_header: "x:y" },
        { base_url: "file:///etc" },
      ]) {
        const { code, payload, message } = await endOf(loadShipped(kit, server, path, { config }));
        assert.deepEqual([code, payload["type"]], ["MORTISE_PROVIDER_ERROR", "invalid_request"]);
        assert.ok(!message.includes("sk-first"), message);
      }
      if (kit === "provider-google") {
        await using provider = await loadShipped(kit, server, path);
        for (const model of ["a\r\nb", "../secret", "a//b"])
          assert.equal((await endOf(provider.chat(say("x", { config: { model } })))).payload["type"], "invalid_request");
      }
      assert.equal(server.sent.length, 0);
    });

    it("never tells the key, even if the server does", async () => {
      const lines: string[] = [];
      const logger = Object.fromEntries(
        ["trace", "debug", "info", "warn", "error"].map((level) => [level, (line: string) => lines.push(line)]),
      ) as never;
      const told = `Incorrect API key provided: ${KEY}.`;
      const replies = [
        json(vendor.error(401, told), 401),
        json(told, 500),
        json(`<${told}`),
        json(vendor.error(500, told)),
        stream(`data: {${told}\n\n`),
        stream(vendor.errorEvent.replace("Overloaded", told)),
      ];
      for (const reply of replies) {
        await using server = await vendorServer(reply);
        await using provider = await loadShipped(kit, server, path, { logger, logLevel: "trace" });
        for (const request of [() => provider.chat(say("x")), () => collect(provider.chatStream(say("x")))]) {
          const end = await endOf(request()).catch(() => undefined);
          assert.ok(!JSON.stringify(end ?? "").includes(KEY), JSON.stringify(end));
        }
      }
      assert.ok(!lines.join("\n").includes(KEY));
    });

    it("keeps nothing of events that are over: much more than its memory goes through one instance", async () => {
      let count = 0;
      const long = `data: {"a":"${"x".repeat(200_000)}"}\n\n`;
      await using server = await vendorServer((response, sent) => {
        count++;
        return (count % 2 === 0 ? json(vendor.answer(SAID)) : stream(long.repeat(5) + vendor.events(SAID)))(response, sent);
      });
      await using provider = await loadShipped(kit, server, path, { limits: { memoryBytes: 32 << 20 } });
      for (let round = 0; round < 10; round++) {
        await collect(provider.chatStream(say("x")));
        assert.equal((await provider.chat(say("x"))).text, "Hello, größer 😀");
      }
    });
  });
}
