// What every shipped provider does, whatever the wire behind it: one suite, run with each.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { ChatMessage, Tool } from "mortise";
import { CALLS, SAID, called, joined } from "./answers.ts";
import { KEY, collect, endOf, json, loadGuest, loadShipped, say, stream, vendorServer } from "./vendor-server.ts";
import { COUNTS, FINISHES, type Said, VENDORS } from "./vendors.ts";

const WEATHER: Tool = {
  type: "function",
  function: {
    name: "weather",
    description: "of a town",
    parameters: { type: "object", properties: { town: { type: "string" } }, required: ["town"] },
  },
};

for (const vendor of VENDORS) {
  const { kit, path } = vendor;
  describe(`The provider ${kit}`, () => {
    it("says what it is", async () => {
      await using server = await vendorServer(json({}));
      await using provider = await loadShipped(kit, server, path);
      const { report } = provider;
      assert.deepEqual([report.generation, report.reportedName, report.apiKeyName], [3, vendor.name, vendor.keyName]);
      assert.deepEqual(report.streaming.because, "supports_streaming said yes");
      assert.deepEqual(report.droppedKeys, []);
      await using without = await loadShipped(kit, server, path, { config: { base_url: undefined } });
      assert.equal(without.report.baseUrl, vendor.defaultUrl);
    });

    it("answers, with usage and the reason for the end", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path);
      assert.deepEqual(await provider.chat(say("hi")), {
        text: "Hello, größer 😀",
        tool_calls: null,
        thinking: null,
        usage: COUNTS,
        finish_reason: "Stop",
      });
      const [sent] = server.sent;
      assert.deepEqual([sent?.method, sent?.path, sent?.headers["content-type"]], ["POST", vendor.chatPath(false), "application/json"]);
      assert.equal(sent?.headers[vendor.keyHeader], vendor.keyValue(KEY));
    });

    for (const [finish, reason] of Object.entries(FINISHES))
      it(`tells the end "${finish}" as ${reason}, of answers and of streams`, async () => {
        const said: Said = {
          text: ["x"],
          finish: finish as Said["finish"],
          ...(finish === "tools" && { calls: [{ id: "c", name: "f", arguments: {} }] }),
        };
        await using whole = await vendorServer(json(vendor.answer(said)));
        await using first = await loadShipped(kit, whole, path);
        assert.equal((await first.chat(say("hi"))).finish_reason, reason);
        await using parts = await vendorServer(stream(vendor.events(said)));
        await using second = await loadShipped(kit, parts, path);
        assert.deepEqual(joined(await collect(second.chatStream(say("hi")))).done, [reason]);
      });

    it("answers with calls of tools and thoughts", async () => {
      await using server = await vendorServer(json(vendor.answer(CALLS)));
      await using provider = await loadShipped(kit, server, path);
      const answer = await provider.chat(say("hi", { tools: [WEATHER] }));
      assert.deepEqual([answer.text, answer.thinking, answer.finish_reason], [null, "hm, ü", "ToolCalls"]);
      assert.deepEqual(answer.tool_calls, called(CALLS));
    });

    for (const size of [Number.MAX_SAFE_INTEGER, 1, 7])
      for (const said of [SAID, CALLS])
        for (const feeding of ["lines", "chunks"] as const)
          it(`streams ${said === SAID ? "text" : "calls of tools"} in pieces of ${size > 100 ? "any size" : size}, fed by ${feeding}`, async () => {
            await using server = await vendorServer(stream(vendor.events(said), size));
            await using provider = await loadShipped(kit, server, path, { feeding });
            const chunks = await collect(provider.chatStream(say("hi")));
            const { text, thinking, usage, done, calls, deltas } = joined(chunks);
            assert.deepEqual([text, thinking], [(said.text ?? []).join(""), said.thinking ?? ""]);
            assert.deepEqual([usage, done], [[COUNTS], [FINISHES[said.finish]]]);
            assert.deepEqual(calls, called(said));
            assert.deepEqual(
              deltas,
              (said.calls ?? []).map((call) => JSON.stringify(call.arguments)),
            );
            assert.ok("done" in (chunks.at(-1) ?? {}));
            assert.equal(server.sent[0]?.path, vendor.chatPath(true));
          });

    it("gives pieces to the parser cut at every byte, without lines, and gets the same", async () => {
      // What the host does with lines, without its cutter: the parser's own functions.
      await using plugin = await loadGuest(kit);
      const bytes = Buffer.from(vendor.events(CALLS));
      const parse = async (cuts: readonly number[]): Promise<string> => {
        const id = (await plugin.call("chat_stream_parser_start", "{}")).json() as number;
        const items: unknown[] = [];
        let from = 0;
        for (const to of [...cuts, bytes.length]) {
          const input = JSON.stringify({ parser_id: id, chunk: [...bytes.subarray(from, to)] });
          items.push(...((await plugin.call("chat_stream_parser_parse", input)).json() as unknown[]));
          from = to;
        }
        items.push(...((await plugin.call("chat_stream_parser_finish", String(id))).json() as unknown[]));
        return JSON.stringify(items);
      };
      const whole = await parse([]);
      assert.match(whole, /"tool_use_complete"/);
      for (let at = 1; at < bytes.length; at++) assert.equal(await parse([at]), whole, `cut at ${at}`);
      assert.equal(await parse(Array.from({ length: bytes.length - 1 }, (_unused, index) => index + 1)), whole, "cut everywhere");
    });

    it("reads CR, LF and both as ends of lines, comments, and data without a space", async () => {
      const text = vendor.events(SAID).replaceAll("\r\n", "\n");
      const forms = [
        text.replaceAll("\n", "\r\n"),
        text.replaceAll("data: ", "data:"),
        `: hello\n\n${text}: bye\n\n`,
        `\uFEFF: x\nid: 7\nretry: 10\n${text}`,
      ];
      for (const form of forms) {
        await using server = await vendorServer(stream(form));
        await using provider = await loadShipped(kit, server, path);
        assert.equal(joined(await collect(provider.chatStream(say("hi")))).text, "Hello, größer 😀");
      }
    });

    it("sends the conversation: system, both sides, calls and their results", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path, { config: { system: ["Be brief.", "Be kind."] } });
      const messages: ChatMessage[] = [
        { role: "User", content: [{ type: "text", text: "Weather, time?" }] },
        {
          role: "Assistant",
          content: [
            { type: "text", text: "Looking" },
            { type: "tool_use", id: "c1", name: "weather", arguments: { town: "Köln" } },
            { type: "tool_use", id: "c2", name: "clock", arguments: {} },
          ],
        },
        { role: "User", content: [{ type: "tool_result", id: "c1", is_error: false, content: [{ type: "text", text: "rain" }] }] },
        { role: "User", content: [{ type: "tool_result", id: "c2", is_error: true, content: [{ type: "text", text: "no clock" }] }] },
        { role: "User", content: [{ type: "text", text: "And?" }] },
      ];
      await provider.chat({ messages, tools: [WEATHER] });
      const body = server.sent[0]?.body ?? {};
      assert.deepEqual(vendor.sentSystem(body), ["Be brief.", "Be kind."]);
      assert.deepEqual(vendor.sentTools(body), ["weather"]);
      const turns = JSON.stringify(vendor.sentTurns(body));
      const places = ["Weather, time?", "Looking", "Köln", "clock", "rain", "no clock", "And?"].map((word) => turns.indexOf(word));
      assert.ok(!places.includes(-1), turns);
      assert.deepEqual(
        places.toSorted((one, other) => one - other),
        places,
      );
    });

    it("sends images as they are", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path);
      const data = Uint8Array.from({ length: 256 }, (_unused, index) => index);
      const content = [
        { type: "image", mime_type: "image/webp", data },
        { type: "image_url", url: "https://pictures.example/a.png" },
        { type: "text", text: "What is this?" },
      ] as const;
      await provider.chat({ messages: [{ role: "User", content }] });
      const turns = JSON.stringify(vendor.sentTurns(server.sent[0]?.body ?? {}));
      assert.ok(turns.includes(Buffer.from(data).toString("base64")), turns);
      for (const word of ["image/webp", "https://pictures.example/a.png", "What is this?"]) assert.ok(turns.includes(word), word);
    });

    it("says which content its wire does not have", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path);
      const odd = { type: "video", data: new Uint8Array(1) } as unknown as { type: "pdf"; data: Uint8Array };
      const { payload, retryable } = await endOf(provider.chat({ messages: [{ role: "User", content: [odd] }] }));
      assert.partialDeepStrictEqual(payload, { type: "provider_error", kind: "unsupported_operation" });
      assert.match(String(payload["message"]), /"video"/);
      assert.equal(retryable, false);
      assert.equal(server.sent.length, 0);
    });

    it("takes limits, stops and choices of tools by their common names", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path);
      const config = {
        max_completion_tokens: 77,
        stop: ["END"],
        temperature: 0.5,
        top_p: 0.9,
        tool_choice: { type: "function", function: { name: "weather" } },
      };
      await provider.chat(say("hi", { tools: [WEATHER], config }));
      const body = server.sent[0]?.body ?? {};
      assert.equal(vendor.sentLimit(body), 77);
      assert.deepEqual(vendor.sentStops(body), ["END"]);
      assert.match(JSON.stringify(vendor.sentChoice(body)), /"weather"/);
      await provider.chat(say("hi", { config: { tool_choice: "required" } }));
      assert.ok(!JSON.stringify(server.sent[1]?.body).includes("ANY"), "a choice without tools");
      assert.deepEqual(provider.report.droppedKeys, []);
    });

    it("lists models, and leaves out what has no name", async () => {
      await using server = await vendorServer(json(vendor.modelsBody));
      await using provider = await loadShipped(kit, server, path);
      assert.deepEqual(await provider.listModels(), ["small", "large"]);
      assert.deepEqual([server.sent[0]?.method, server.sent[0]?.path], ["GET", vendor.modelsPath]);
      assert.equal(server.sent[0]?.headers[vendor.keyHeader], vendor.keyValue(KEY));
    });

    const statuses: readonly (readonly [status: number, kind: string, retryable: boolean])[] = [
      [400, "invalid_request", false],
      [401, "authentication", false],
      [403, "authentication", false],
      [404, "unknown_permanent", false],
      [413, "invalid_request", false],
      [429, "rate_limited", true],
      [500, "unknown_transient", true],
      [502, "unknown_transient", true],
      [503, "server_overloaded", true],
      [529, "server_overloaded", true],
    ];
    for (const [status, kind, retryable] of statuses)
      it(`says that ${status} is ${kind}, for answers and streams`, async () => {
        await using server = await vendorServer(json(vendor.error(status, "No, because"), status, { "retry-after": "7" }));
        await using provider = await loadShipped(kit, server, path);
        for (const request of [() => provider.chat(say("x")), () => provider.chatStream(say("x")).next()]) {
          const end = await endOf(request());
          assert.deepEqual(
            [end.code, end.payload["type"], end.payload["kind"], end.retryable],
            ["MORTISE_PROVIDER_ERROR", "provider_error", kind, retryable],
          );
          assert.equal(end.retryAfterSecs, 7);
          assert.equal(end.payload["message"], "No, because");
        }
        if (kind.startsWith("unknown")) assert.equal((await endOf(provider.chat(say("x")))).payload["code"], String(status));
      });

    it("reads how long to wait: seconds, milliseconds, and a date after the server's own", async () => {
      const date = "Sun, 06 Nov 2094 08:49:37 GMT";
      const cases: readonly (readonly [headers: Record<string, string>, secs: number | undefined])[] = [
        [{ "retry-after": "1.2" }, 2],
        [{ "retry-after-ms": "1500" }, 2],
        [{ "retry-after": "Sun, 06 Nov 2094 08:50:07 GMT", date }, 30],
        [{ "retry-after": "Mon, 01 Mar 2094 00:00:00 GMT", date: "Sun, 28 Feb 2094 00:00:00 GMT" }, 86_400],
        [{ "retry-after": "Sat, 06 Nov 2093 08:50:07 GMT", date }, 0],
        [{ "retry-after": "99999999999" }, 604_800],
        [{ "retry-after": "soon" }, undefined],
        [{ "retry-after": "-5" }, undefined],
      ];
      for (const [headers, secs] of cases) {
        await using server = await vendorServer(json(vendor.error(429, "Slow down"), 429, headers));
        await using provider = await loadShipped(kit, server, path);
        assert.equal((await endOf(provider.chat(say("x")))).retryAfterSecs, secs, JSON.stringify(headers));
      }
    });

    it("ends a stream with the error that stands in it, after what came before", async () => {
      const [before] = vendor.events({ text: ["half"], finish: "stop" }).split(/(?<=half.*?\n\r?\n)/s);
      for (const feeding of ["lines", "chunks"] as const) {
        await using server = await vendorServer(stream(`${before ?? ""}${vendor.errorEvent}`));
        await using provider = await loadShipped(kit, server, path, { feeding });
        const chunks = provider.chatStream(say("x"));
        assert.deepEqual((await chunks.next()).value, { text: "half" });
        const { payload, retryable } = await endOf(collect(chunks));
        assert.partialDeepStrictEqual(payload, { type: "provider_error", kind: "server_overloaded", message: "Overloaded" });
        assert.equal(retryable, true);
      }
    });

    it("takes the line end off a key that was read from a file", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path, { apiKey: () => `${KEY}\n` });
      await provider.chat(say("x"));
      assert.equal(server.sent[0]?.headers[vendor.keyHeader], vendor.keyValue(KEY));
    });

    it("leaves out keys that it does not know, and refuses those of the wrong type by name", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path, { config: { modle: "x", timeout_seconds: 5 } });
      assert.deepEqual(provider.report.droppedKeys, ["modle", "timeout_seconds"]);
      const schema = provider.report.configSchema as { additionalProperties: unknown; properties: Record<string, unknown> };
      assert.equal(schema.additionalProperties, false);
      for (const [key, value] of [
        ["model", 5],
        ["temperature", "hot-secret"],
        ["headers", { a: 1 }],
        ["stream", "yes"],
        ["max_tokens", -1],
      ] as const) {
        const { payload } = await endOf(loadShipped(kit, server, path, { config: { [key]: value } }));
        assert.equal(payload["type"], "invalid_request");
        assert.match(String(payload["message"]), new RegExp(`^"${key}" of the configuration must be `));
        assert.doesNotMatch(String(payload["message"]), /secret/);
      }
      // The host prunes; a host that does not is told.
      await using plugin = await loadGuest(kit);
      await assert.rejects(plugin.call("from_config", `{"modle":1}`), /unknown key \\?"modle/);
      assert.equal((await plugin.call("from_config", `{"model":null}`)).text(), "null");
    });

    it("sends further headers and a query, and the key in another header", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      const config = { headers: { "X-Team": "blue" }, query: { "api-version": "2026 & on" }, api_key_header: "Api-Key" };
      await using provider = await loadShipped(kit, server, path, { config });
      await provider.chat(say("x"));
      const [sent] = server.sent;
      assert.deepEqual([sent?.headers["x-team"], sent?.headers["api-key"], sent?.headers[vendor.keyHeader]], ["blue", KEY, undefined]);
      assert.equal(sent?.path, `${vendor.chatPath(false)}?api-version=2026%20%26%20on`);
    });

    it("does not stream when its configuration says so", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path, { config: { stream: false } });
      assert.equal(joined(await collect(provider.chatStream(say("x")))).text, "Hello, größer 😀");
      assert.equal(server.sent[0]?.path, vendor.chatPath(false));
    });

    it("needs a model for each request, and a key for its own server", async () => {
      await using server = await vendorServer(json(vendor.answer(SAID)));
      await using provider = await loadShipped(kit, server, path, { config: { model: undefined } });
      assert.partialDeepStrictEqual(await endOf(provider.chat(say("x"))), {
        payload: { type: "invalid_request", message: "The configuration names no model" },
      });
      assert.equal((await provider.chat(say("x", { config: { model: "small" } }))).text, "Hello, größer 😀");
      await using keyless = await loadShipped(kit, server, path, { apiKey: () => undefined });
      await keyless.chat(say("x"));
      assert.equal(server.sent[1]?.headers[vendor.keyHeader], undefined);
      await using own = await loadShipped(kit, server, path, { apiKey: () => undefined, config: { base_url: undefined } });
      assert.partialDeepStrictEqual(await endOf(own.chat(say("x"))), { payload: { type: "auth_error", message: "Missing API key" } });
    });
  });
}
