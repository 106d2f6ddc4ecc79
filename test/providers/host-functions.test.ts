// The functions of `extism:host/user`, called by a provider that is a table, and what they answer.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Logger } from "../../src/index.ts";
import type { ProviderOptions } from "../../src/providers/index.ts";
import { collect, endOf, errorOf, loadText, say } from "./loading.ts";
import { type Does, METADATA, box, numbers, textProvider } from "./text-provider.ts";
import { upstream } from "./upstream.ts";

const GRANTED = (host: string): ProviderOptions => ({ permissions: { hosts: [host] } });
const DONE = `{"chunk":{"done":{"finish_reason":"Stop"}},"usage":null}`;

/** A provider of generation 2 whose `speech` outputs what a function of the host gave. */
async function speaks(calls: Extract<Does, { calls: unknown }>["calls"]): ReturnType<typeof textProvider> {
  return textProvider({ ...METADATA, chat: "{}", chat_stream: { calls, output: "" }, supports_streaming: "true", list_models: { calls } });
}

/** What the last of some functions gave. */
async function resultOf(calls: Extract<Does, { calls: unknown }>["calls"], options: ProviderOptions): Promise<string> {
  const provider = await textProvider({ ...METADATA, chat: "{}", list_models: { calls, output: "[]" } });
  await using loaded = await loadText(provider, options);
  await loaded.listModels();
  return provider.inputs(`= ${calls.at(-1)?.[0]}`).at(-1) ?? "none";
}

describe("qmt_http_request", () => {
  it("answers with {resp: HttpResponse}", async () => {
    await using there = await upstream((_asked, response) => (response.writeHead(201, { "x-answer": "yes" }).end("pong ß"), true));
    const result = await resultOf([["qmt_http_request", box(there.url, "ping")]], GRANTED(there.host));
    assert.match(result, /^\{"resp":\{"head":\{"status":201,"headers":\{"x-answer":"yes",[^}]*\},"version":"HTTP\/1\.1"\},"body":\[[\d,]+\]\}\}$/);
    assert.ok(result.endsWith(`"body":${numbers("pong ß")}}}`));
    assert.deepEqual([there.asked[0]?.text, there.asked[0]?.headers["x-from"]], ["ping", "plugin"]);
  });

  it("answers with 403 and a reason for a host that is not granted", async () => {
    await using there = await upstream();
    const { resp } = JSON.parse(await resultOf([["qmt_http_request", box(there.url)]], {})) as { resp: { head: { status: number }; body: number[] } };
    assert.equal(resp.head.status, 403);
    assert.match(Buffer.from(resp.body).toString(), /HTTP to "127\.0\.0\.1" is not allowed.*the entry "127\.0\.0\.1" in hosts would grant it/);
    assert.equal(there.asked.length, 0);
  });

  it("answers with 500 and a reason when the network fails", async () => {
    await using there = await upstream((_asked, response) => (response.destroy(), true));
    const { resp } = JSON.parse(await resultOf([["qmt_http_request", box(there.url)]], GRANTED(there.host))) as {
      resp: { head: { status: number }; body: number[] };
    };
    assert.equal(resp.head.status, 500);
    assert.match(Buffer.from(resp.body).toString(), /closed before the response was complete/);
  });

  for (const input of ["not JSON", "{}", `{"req":{}}`, ""])
    it(`stops the plugin for ${input === "" ? "nothing" : input}`, async () => {
      await using loaded = await loadText(await speaks([["qmt_http_request", input]]));
      assert.equal((await errorOf(loaded.listModels())).code, "MORTISE_PROVIDER_OUTPUT");
    });
});

describe("qmt_http_stream_open, next and close", () => {
  it("open a stream by a number that begins at 1 in each call, and give its bytes", async () => {
    await using there = await upstream((_asked, response) => (response.end("the whole"), true));
    const options = GRANTED(there.host);
    const open = ["qmt_http_stream_open", box(there.url)] as const;
    assert.equal(await resultOf([open], options), `{"status":"ok","stream_id":1}`);
    assert.equal(await resultOf([open, open], options), `{"status":"ok","stream_id":2}`);
    assert.equal(await resultOf([open, ["qmt_http_stream_next", "1"]], options), "the whole");
    assert.equal(await resultOf([open, ["qmt_http_stream_next", "1"], ["qmt_http_stream_next", "1"]], options), "");
    assert.equal(await resultOf([["qmt_http_stream_next", "0"]], options), "");
  });

  it("open an error in QueryMT's words for a server that is not there, or answers without success", async () => {
    await using there = await upstream((_asked, response) => (response.writeHead(429, { "retry-after": "3" }).end("busy"), true));
    const failed = JSON.parse(await resultOf([["qmt_http_stream_open", box(there.url)]], GRANTED(there.host))) as Record<string, unknown>;
    assert.deepEqual([failed["status"], failed["error_code"]], ["error", 1]);
    assert.deepEqual(JSON.parse(String(failed["plugin_error"])), {
      payload: { type: "provider_error", message: "busy", kind: "rate_limited", code: "429", retry_after_secs: 3 },
    });
    await there[Symbol.asyncDispose]();
    const refused = JSON.parse(await resultOf([["qmt_http_stream_open", box(there.url)]], GRANTED(there.host))) as Record<string, unknown>;
    assert.partialDeepStrictEqual(JSON.parse(String(refused["plugin_error"])), { payload: { type: "transport", kind: "connection_refused" } });
  });

  it("stop the plugin for a host that is not granted, with MORTISE_HTTP_DENIED", async () => {
    await using loaded = await loadText(await speaks([["qmt_http_stream_open", box("http://127.0.0.1:1")]]));
    assert.equal((await errorOf(loaded.listModels())).code, "MORTISE_HTTP_DENIED");
  });

  for (const id of ["7", "-1", "x", "1.5"])
    it(`stop the plugin that reads from stream ${id}`, async () => {
      await using loaded = await loadText(await speaks([["qmt_http_stream_next", id]]));
      assert.equal((await errorOf(loaded.listModels())).code, "MORTISE_PROVIDER_OUTPUT");
    });

  it("close a stream, and take no notice of one that is not there", async () => {
    await using there = await upstream((_asked, response) => (response.write("x"), true));
    const provider = await textProvider({
      ...METADATA,
      chat: "{}",
      list_models: {
        calls: [
          ["qmt_http_stream_open", box(there.url)],
          ["qmt_http_stream_close", "1"],
          ["qmt_http_stream_close", "99"],
        ],
        output: "[]",
      },
    });
    await using loaded = await loadText(provider, GRANTED(there.host));
    assert.deepEqual(await loaded.listModels(), []);
    await there.server.allClosed();
  });

  it("close a stream at once, while the call goes on", async () => {
    const { promise: closed, resolve } = Promise.withResolvers<void>();
    await using there = await upstream(async ({ path }, response) => {
      if (path === "/stream") response.on("close", resolve).write("x");
      else {
        await closed;
        response.end("it was closed");
      }
      return true;
    });
    const open = ["qmt_http_stream_open", box(`${there.url}/stream`)] as const;
    const result = await resultOf([open, ["qmt_http_stream_close", "1"], ["qmt_http_request", box(`${there.url}/after`)]], GRANTED(there.host));
    assert.ok(result.endsWith(`"body":${numbers("it was closed")}}}`));
  });

  it("close with the call what the plugin left open", async () => {
    await using there = await upstream((_asked, response) => (response.write("x"), true));
    await using loaded = await loadText(
      await textProvider({ ...METADATA, chat: "{}", list_models: { calls: [["qmt_http_stream_open", box(there.url)]], output: "[]" } }),
      GRANTED(there.host),
    );
    assert.deepEqual(await loaded.listModels(), []);
    await there.server.allClosed();
  });

  it("open 16 streams in one call, and no more", async () => {
    await using there = await upstream((_asked, response) => (response.write("x"), true));
    const open = ["qmt_http_stream_open", box(there.url)] as const;
    const options = GRANTED(there.host);
    assert.equal(
      await resultOf(
        Array.from({ length: 16 }, () => open),
        options,
      ),
      `{"status":"ok","stream_id":16}`,
    );
    await using loaded = await loadText(await speaks(Array.from({ length: 17 }, () => open)), options);
    assert.match((await errorOf(loaded.listModels())).message, /16 streams are open already/);
  });
});

describe("qmt_yield_chunk", () => {
  it("passes chunks on in order, and keeps the plugin waiting while nobody reads", async () => {
    const items = Array.from({ length: 40 }, (_unused, index) => `{"chunk":{"text":"${index}"},"usage":null}`);
    await using loaded = await loadText(await speaks([...items, DONE].map((item) => ["qmt_yield_chunk", item] as const)));
    const chunks = await collect(loaded.chatStream(say("x")));
    assert.deepEqual(chunks, [...items.map((_item, index) => ({ text: String(index) })), { done: { finish_reason: "Stop" } }]);
  });

  it("lets a plugin wind up by itself when the reader leaves, whether it waits for the reader or for the server", async () => {
    await using there = await upstream((_asked, response) => (response.write("x"), true));
    const open = ["qmt_http_stream_open", box(there.url)] as const;
    const next = ["qmt_http_stream_next", "1"] as const;
    const item = ["qmt_yield_chunk", `{"chunk":{"text":"a"},"usage":null}`] as const;
    for (const [calls, results] of [
      [Array.from({ length: 40 }, () => item).concat([["qmt_http_stream_next", "0"] as never]), [""]],
      [
        [open, next, item, next, next],
        ["x", "", ""],
      ],
    ] as const) {
      const provider = await speaks(calls);
      await using loaded = await loadText(provider, { ...GRANTED(there.host), limits: { timeoutMs: 60_000 } });
      for await (const _chunk of loaded.chatStream(say("x"))) break;
      // Long before it would be stopped.
      const limit = performance.now() + 20_000;
      while (provider.inputs("= qmt_http_stream_next").length < results.length && performance.now() < limit)
        await new Promise((resolve) => setImmediate(resolve));
      assert.deepEqual(provider.inputs("= qmt_http_stream_next"), results);
    }
  });

  it("gets cfg.stream = true in the request of the stream", async () => {
    const provider = await speaks([["qmt_yield_chunk", DONE]]);
    await using loaded = await loadText(provider, { config: { model: "m" } });
    await collect(loaded.chatStream(say("x")));
    assert.deepEqual(provider.inputs("chat_stream"), [
      `{"cfg":{"model":"m","stream":true},"messages":[{"role":"User","content":[{"type":"text","text":"x"}]}],"tools":null}`,
    ]);
  });

  it("stops the plugin for what is no chunk", async () => {
    for (const item of ["x", "{}", `{"chunk":{}}`, `{"chunk":{"text":"a","thinking":"b"}}`, `{"chunk":{"text":1}}`, `{"chunk":{"__proto__":{}}}`]) {
      await using loaded = await loadText(await speaks([["qmt_yield_chunk", item]]));
      assert.equal((await errorOf(collect(loaded.chatStream(say("x"))))).code, "MORTISE_PROVIDER_OUTPUT", item);
    }
  });

  it("fails a stream in which nothing was yielded", async () => {
    await using loaded = await loadText(await speaks([]));
    assert.deepEqual(await endOf(collect(loaded.chatStream(say("x")))), {
      code: "MORTISE_PROVIDER_ERROR",
      payload: { type: "plugin_error", message: "Extism streaming ended before the first chunk" },
      retryable: true,
    });
  });

  it("does nothing where nobody listens", async () => {
    const provider = await textProvider({ ...METADATA, chat: "{}", list_models: { calls: [["qmt_yield_chunk", DONE]], output: `["a"]` } });
    await using loaded = await loadText(provider);
    assert.deepEqual(await loaded.listModels(), ["a"]);
  });
});

describe("qmt_log", () => {
  /** A logger that keeps lines. */
  function keeps(): { readonly lines: string[]; readonly logger: Logger } {
    const lines: string[] = [];
    const at = (level: string) => (message: string) => void lines.push(`${level} ${message}`);
    return { lines, logger: { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
  }
  const line = (level: number, message: string): readonly ["qmt_log", string] => ["qmt_log", JSON.stringify({ level, target: "t::u", message })];

  it("logs at levels 1 to 5 under the plugin's target, and what the logger wants only", async () => {
    const { lines, logger } = keeps();
    const provider = await speaks([1, 2, 3, 4, 5].map((level) => line(level, `line ${level}\u001b[31m`)));
    await using loaded = await loadText(provider, { logger, logLevel: "debug" });
    await loaded.listModels().catch(() => {});
    assert.deepEqual(
      lines,
      ["error", "warn", "info", "debug"].map((level, index) => `${level} [extism:texts] t::u: line ${index + 1}\\u001b[31m`),
    );
  });

  it("drops what is beyond limits.logBytes in a call", async () => {
    const { lines, logger } = keeps();
    await using loaded = await loadText(await speaks(Array.from({ length: 10 }, () => line(1, "x".repeat(100)))), {
      logger,
      limits: { logBytes: 250 },
    });
    await loaded.listModels().catch(() => {});
    assert.equal(lines.length, 2);
  });

  it("stops the plugin for what is no line", async () => {
    for (const text of ["x", "{}", `{"level":0,"target":"t","message":"m"}`, `{"level":6,"target":"t","message":"m"}`, `{"level":1,"target":"t"}`]) {
      await using loaded = await loadText(await speaks([["qmt_log", text]]));
      assert.equal((await errorOf(loaded.listModels())).code, "MORTISE_PROVIDER_OUTPUT", text);
    }
  });
});
