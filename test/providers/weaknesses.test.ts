// What goes wrong with QueryMT's own host, one test each, and does not here.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { loadProvider } from "../../src/providers/index.ts";
import type { ProviderOptions } from "../../src/providers/index.ts";
import { collect, endOf, errorOf, loadKit, loadText, say, textOf } from "./loading.ts";
import { METADATA, type TextProvider, box, parser, textProvider, third } from "./text-provider.ts";
import { event, upstream } from "./upstream.ts";

/** Holds calls of exports of a table's provider at their beginning. */
function holding({ hostFunctions, seen }: TextProvider): Pick<TextProvider, "hostFunctions"> & {
  readonly hold: (fn: string) => { readonly begun: Promise<void>; readonly release: () => void };
} {
  const { see } = hostFunctions["extism:host/user"];
  const held = new Map<string, { readonly began: () => void; readonly released: Promise<void> }>();
  return {
    hold: (fn) => {
      const [begun, released] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
      held.set(fn, { began: begun.resolve, released: released.promise });
      return { begun: begun.promise, release: released.resolve };
    },
    hostFunctions: {
      "extism:host/user": {
        see: (context, ...values) => {
          see(context, ...values);
          const fn = seen.at(-1)?.[0] ?? "";
          const one = held.get(fn);
          held.delete(fn);
          one?.began();
          return one?.released;
        },
      },
    },
  };
}

const GRANTED = (host: string): ProviderOptions => ({ permissions: { hosts: [host] } });

describe("Weakness: the allow-list does not apply to requests that the host makes", () => {
  it("is applied to the URL that the plugin builds", async () => {
    await using there = await upstream();
    await using loaded = await loadText(await textProvider({ ...third(there.url), ...parser("[]") }));
    for (const request of [loaded.chat(say("x")), loaded.chatStream(say("x")).next(), loaded.listModels()])
      assert.equal((await errorOf(request)).code, "MORTISE_HTTP_DENIED");
    assert.equal(there.asked.length, 0);
  });

  it("is applied to every redirect", async () => {
    await using target = await upstream();
    await using there = await upstream((_asked, response) => (response.writeHead(307, { location: `${target.url}/steal` }).end(), true));
    await using loaded = await loadText(await textProvider({ ...third(there.url), ...parser("[]") }), GRANTED(there.host));
    for (const request of [loaded.chat(say("x")), loaded.chatStream(say("x")).next()])
      assert.equal((await errorOf(request)).code, "MORTISE_HTTP_DENIED");
    assert.deepEqual([there.asked.length, target.asked.length], [2, 0]);
  });

  it("grants nothing when it is empty, not even the host of base_url, which the report names", async () => {
    await using there = await upstream();
    const config = { base_url: there.url };
    for (const options of [{ config }, { config: { ...config, allowed_hosts: [] } }, { config, permissions: { hosts: [] } }]) {
      await using loaded = await loadText(await textProvider(third(there.url)), options);
      assert.deepEqual(loaded.report.hosts, { granted: [], notGranted: [there.host] });
      assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_HTTP_DENIED");
    }
    assert.equal(there.asked.length, 0);
  });

  it("is what the configuration's allowed_hosts say, unless permissions say otherwise", async () => {
    await using there = await upstream();
    const config = { allowed_hosts: [there.host, "api.example.com"] };
    await using loaded = await loadText(await textProvider(third(there.url)), { config });
    assert.equal((await loaded.chat(say("x"))).text, "hello");
    assert.deepEqual(loaded.report.droppedKeys, []);
    await using narrower = await loadText(await textProvider(third(there.url)), { config, permissions: { hosts: ["api.example.com"] } });
    assert.deepEqual(narrower.report.hosts, { granted: ["api.example.com"], notGranted: [there.host] });
    assert.equal((await errorOf(narrower.chat(say("x")))).code, "MORTISE_HTTP_DENIED");
    assert.equal(
      (await errorOf(loadText(await textProvider(third(there.url)), { config: { allowed_hosts: "a.example" } }))).code,
      "MORTISE_INVALID_OPTION",
    );
  });
});

describe("Weakness: the environment of the process leaks into plugins", () => {
  it("gives plugins what `environment` says, and nothing else", async () => {
    process.env["PROVIDER_TEST_SECRET"] = "leaked";
    process.env["OPENAI_API_KEY"] = "leaked too";
    try {
      await using there = await upstream();
      await using provider = await loadKit("provider3-rust", there, { apiKey: () => undefined, environment: { OLLAMA_HOST: "x" } });
      // Its api_key_name is OPENAI_API_KEY, which QueryMT would look up.
      assert.equal(provider.report.apiKeyName, "OPENAI_API_KEY");
      assert.partialDeepStrictEqual(await endOf(provider.chat(say("x"))), { payload: { type: "auth_error" } });
      const { assemble } = await import("../wasm/corpus.ts");
      const reads = (name: string): string => `(func (export "${name}") (result i32) (local $key i64) (local $value i64)
        (local.set $key (call $alloc (i64.const 20))) ${Array.from("PROVIDER_TEST_SECRET", (char, index) => `(call $store (i64.add (local.get $key) (i64.const ${index})) (i32.const ${char.charCodeAt(0)}))`).join("")}
        (local.set $value (call $config (local.get $key)))
        (call $output (local.get $value) (call $length (local.get $value))) (i32.const 0))`;
      const wasm = await assemble(`(module
        (import "extism:host/env" "alloc" (func $alloc (param i64) (result i64))) (import "extism:host/env" "length" (func $length (param i64) (result i64)))
        (import "extism:host/env" "store_u8" (func $store (param i64 i32))) (import "extism:host/env" "config_get" (func $config (param i64) (result i64)))
        (import "extism:host/env" "output_set" (func $output (param i64 i64)))
        ${reads("name")} ${reads("base_url")}
        (func (export "init_logging") (result i32) (i32.const 0)) (func (export "chat") (result i32) (i32.const 0)) (func (export "from_config") (result i32) (i32.const 0))
        (func (export "config_schema") (result i32) (local $block i64) (local.set $block (call $alloc (i64.const 2)))
          (call $store (local.get $block) (i32.const 123)) (call $store (i64.add (local.get $block) (i64.const 1)) (i32.const 125))
          (call $output (local.get $block) (i64.const 2)) (i32.const 0)))`);
      await using without = await loadProvider(wasm);
      assert.deepEqual([without.report.reportedName, without.report.baseUrl], ["", undefined]);
      await using granted = await loadProvider(wasm, { environment: { PROVIDER_TEST_SECRET: "given" } });
      assert.equal(granted.report.reportedName, "given");
    } finally {
      delete process.env["PROVIDER_TEST_SECRET"];
      delete process.env["OPENAI_API_KEY"];
    }
  });
});

describe("Weakness: a busy plugin cannot be cancelled", () => {
  it("is stopped by its limits in generation 3, and the provider goes on", async () => {
    await using there = await upstream();
    const provider = await textProvider(third(there.url, { parse_chat_response: "SPIN" }));
    await using loaded = await loadText(provider, { ...GRANTED(there.host), limits: { timeoutMs: 50 } });
    assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_TIMEOUT");
    assert.deepEqual(await loaded.listModels(), ["a", "b"]);
  });

  it("is stopped by the caller's signal in generation 2", async () => {
    const provider = await textProvider({ ...METADATA, chat: "SPIN", list_models: `["a"]` });
    await using loaded = await loadText(provider, { requestTimeoutMs: 60_000 });
    const abort = new AbortController();
    // The table's function calls the host first, so that it can be suspended.
    const end = endOf(loaded.chat(say("x"), { signal: abort.signal }));
    while (provider.inputs("chat").length === 0) await new Promise((resolve) => setImmediate(resolve));
    abort.abort();
    assert.equal((await end).code, "MORTISE_ABORTED");
    assert.deepEqual(await loaded.listModels(), ["a"]);
  });
});

describe("Weakness: there are no limits", () => {
  it("ends a response that is too large, a line that never ends, a stream that stops, and one that takes too long", async () => {
    const cases: readonly (readonly [options: ProviderOptions, send: string, code: string])[] = [
      [{ http: { maxResponseBytes: 100 } }, "x\n".repeat(100), "MORTISE_HTTP_LIMIT"],
      [{ maxLineBytes: 100 }, "x".repeat(101), "MORTISE_HTTP_LIMIT"],
      [{ http: { idleTimeoutMs: 30 } }, "x\n", "MORTISE_PROVIDER_ERROR"],
      [{ streamTimeoutMs: 50 }, "x\n", "MORTISE_TIMEOUT"],
    ];
    for (const [options, text, code] of cases) {
      await using there = await upstream((_asked, response) => (response.write(text), true));
      await using loaded = await loadText(await textProvider({ ...third(there.url), ...parser("[]") }), { ...GRANTED(there.host), ...options });
      assert.equal((await errorOf(collect(loaded.chatStream(say("x"))))).code, code);
      await there.server.allClosed();
    }
  });

  it("limits the plugin's memory and output", async () => {
    await using there = await upstream();
    const provider = await textProvider(third(there.url, { parse_chat_response: "x".repeat(2000) }));
    await using loaded = await loadText(provider, { ...GRANTED(there.host), limits: { outputBytes: 1000 } });
    assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_OUTPUT_LIMIT");
  });
});

describe("Weakness: streams at the same time cross", () => {
  it("keeps channels and streams of generation 2 apart: each call has numbers of its own", async () => {
    await using there = await upstream(({ body }, response) => {
      const word = String((body["messages"] as { content: string }[])[0]?.content);
      for (let index = 0; index < 5; index++) response.write(event({ content: `${word}${index} ` }));
      response.end();
      return true;
    });
    await using provider = await loadKit("provider2-go", there);
    const words = ["a", "b", "c", "d"];
    const texts = await Promise.all(words.map(async (word) => textOf(await collect(provider.chatStream(say(word))))));
    assert.deepEqual(
      texts,
      words.map((word) => [0, 1, 2, 3, 4].map((index) => `${word}${index} `).join("")),
    );
  });

  it("keeps the parsers of generation 3 apart from calls that trap, meet a limit or are aborted, and never aborts a parser", async () => {
    let release: (() => void) | undefined;
    await using there = await upstream(({ path }, response) => {
      if (path !== "/stream") return false;
      response.write("first\n");
      if (release === undefined) release = () => response.end("second\n");
      else response.end();
      return true;
    });
    const provider = await textProvider({
      ...third(there.url, { embed_request: "TRAP", list_models_request: "SPIN" }),
      ...parser(`[{"chunk":{"text":"x"},"usage":null}]`),
    });
    const { hold, hostFunctions } = holding(provider);
    await using loaded = await loadText({ ...provider, hostFunctions }, { ...GRANTED(there.host), limits: { timeoutMs: 300 } });
    const others = loaded.chatStream(say("x"));
    assert.deepEqual((await others.next()).value, { text: "x" });

    assert.partialDeepStrictEqual((await endOf(loaded.embed(["a"]))).payload, { type: "not_implemented" });
    assert.equal((await errorOf(loaded.listModels())).code, "MORTISE_TIMEOUT");
    for (const fn of ["chat_request", "chat_stream_request", "chat_stream_parser_start", "chat_stream_parser_parse", "chat_stream_parser_finish"]) {
      const leaving = new AbortController();
      const held = hold(fn);
      const asked = errorOf(fn === "chat_request" ? loaded.chat(say("y"), leaving) : collect(loaded.chatStream(say("y"), leaving)));
      await held.begun;
      leaving.abort();
      held.release();
      assert.equal((await asked).code, "MORTISE_ABORTED", fn);
    }
    release?.();
    assert.equal(textOf(await collect(others)), "x");
    assert.equal(provider.inputs("chat_stream_parser_close").length, 4);
  });

  it("lets large requests of generation 3 take turns, each with more time, and small ones in beside them", async () => {
    await using there = await upstream();
    const provider = await textProvider(third(there.url, { embed_request: "SPIN" }));
    const { hold, hostFunctions } = holding(provider);
    await using loaded = await loadText({ ...provider, hostFunctions }, { ...GRANTED(there.host), limits: { timeoutMs: 500 } });
    const large = "x".repeat(300_000);
    const held = hold("chat_request");
    const asked = [loaded.chat(say(large)), loaded.chat(say(large))];
    await held.begun;
    assert.equal((await loaded.chat(say("small"))).text, "hello");
    assert.deepEqual(
      provider.inputs("chat_request").map((input) => input.length > large.length),
      [true, false],
    );
    held.release();
    assert.deepEqual(
      (await Promise.all(asked)).map(({ text }) => text),
      ["hello", "hello"],
    );

    const { code, details } = await errorOf(loaded.embed(["x".repeat(1 << 20)]));
    assert.deepEqual([code, Math.floor(Number(details["limit"]))], ["MORTISE_TIMEOUT", 625]);
  });

  it("fails the streams of generation 3 whose parser went with its instance, instead of feeding another stream's", async () => {
    const open: (() => void)[] = [];
    await using there = await upstream(({ path }, response) => {
      if (path !== "/stream") return false;
      response.write("first\n");
      open.push(() => response.end("second\n"));
      return true;
    });
    const item = `[{"chunk":{"text":"x"},"usage":null}]`;
    const provider = await textProvider({ ...third(there.url, { embed_request: "TRAP" }), ...parser(item) });
    await using loaded = await loadText(provider, { ...GRANTED(there.host), maxInstances: 1 });
    const before = loaded.chatStream(say("x"));
    assert.deepEqual(await before.next(), { done: false, value: { text: "x" } });
    await errorOf(loaded.embed(["a"]));
    const after = loaded.chatStream(say("x"));
    assert.deepEqual(await after.next(), { done: false, value: { text: "x" } });
    for (const end of open) end();
    // Both parsers have the number 1.
    assert.partialDeepStrictEqual(await endOf(before.next()), { payload: { type: "remote_stream_disconnected" } });
    assert.equal((await collect(after)).length, 2);
    assert.deepEqual([provider.inputs("chat_stream_parser_parse").length, provider.inputs("chat_stream_parser_close")], [3, ["1"]]);
  });
});

describe("Weakness: streaming is guessed from exports", () => {
  it("asks supports_streaming, and answers in one piece when it says no", async () => {
    await using there = await upstream();
    const provider = await textProvider({ ...third(there.url), ...parser("[]"), supports_streaming: "false" });
    await using loaded = await loadText(provider, GRANTED(there.host));
    assert.deepEqual(loaded.report.streaming, { supported: false, because: "supports_streaming said no", feeding: "lines, not rehearsed yet" });
    assert.deepEqual(await collect(loaded.chatStream(say("x"))), [{ text: "hello" }, { done: { finish_reason: "Stop" } }]);
    assert.equal(provider.inputs("chat_stream_request").length, 0);
  });

  for (const refusal of [{ error: `{"payload":{"type":"not_implemented","message":"no"}}` }, "TRAP"] as const)
    it(`answers in one piece when chat_stream_request ${refusal === "TRAP" ? "traps" : "says not_implemented"}, and asks it once`, async () => {
      await using there = await upstream();
      const provider = await textProvider({ ...third(there.url), ...parser("[]"), chat_stream_request: refusal });
      await using loaded = await loadText(provider, GRANTED(there.host));
      assert.equal(loaded.report.streaming.supported, true);
      for (let round = 0; round < 3; round++) assert.equal(textOf(await collect(loaded.chatStream(say("x")))), "hello");
      assert.equal(provider.inputs("chat_stream_request").length, 1);
      assert.equal(loaded.report.streaming.supported, false);
    });

  it("does not ask again for what has begun, whatever the plugin says then", async () => {
    await using there = await upstream(({ path }, response) => (path === "/stream" ? (response.end("first\n"), true) : false));
    const refusal = { error: `{"payload":{"type":"not_implemented","message":"no"}}` };
    const provider = await textProvider({ ...third(there.url), ...parser(`[{"chunk":{"text":"x"},"usage":null}]`, refusal) });
    await using loaded = await loadText(provider, GRANTED(there.host));
    const stream = loaded.chatStream(say("x"));
    assert.deepEqual((await stream.next()).value, { text: "x" });
    assert.partialDeepStrictEqual((await endOf(stream.next())).payload, { type: "not_implemented" });
    assert.deepEqual([provider.inputs("chat_request").length, loaded.report.streaming.supported], [0, true]);
  });

  it("lacks a function of the parser: it does not stream", async () => {
    const { chat_stream_parser_close: _close, ...incomplete } = parser("[]");
    await using loaded = await loadText(await textProvider({ ...third("http://127.0.0.1:1"), ...incomplete }));
    assert.deepEqual(loaded.report.streaming.because, "the plugin lacks chat_stream_parser_close");
  });
});

describe("Weakness: what is not implemented traps, keeps its state, and counts as worth trying again", () => {
  it("is a readable error in a new instance, not retryable, and not called any more after three times", async () => {
    const provider = await textProvider({ ...METADATA, chat: `{"text":"fine"}`, embed: "TRAP" });
    await using loaded = await loadText(provider);
    for (let round = 0; round < 5; round++) {
      const { code, payload, retryable } = await endOf(loaded.embed(["a"]));
      assert.deepEqual([code, retryable], ["MORTISE_PROVIDER_ERROR", false]);
      assert.partialDeepStrictEqual(payload, { type: "not_implemented" });
      assert.equal((await loaded.chat(say("x"))).text, "fine");
    }
    assert.equal(provider.inputs("embed").length, 3);
  });

  for (const exports of [third("http://127.0.0.1:1", { embed_request: "TRAP" }), { ...METADATA, chat: "{}", embed: "TRAP" }])
    it(`${"chat" in exports ? "2" : "3"}: gives a new instance the level of logs and the configuration again, where there is one at a time`, async () => {
      const provider = await textProvider(exports);
      await using loaded = await loadText(provider, { config: { model: "m" }, maxInstances: 1 });
      await errorOf(loaded.embed(["a"]));
      await errorOf(loaded.embed(["a"]));
      const again = ["init_logging", "from_config"];
      const embed = "chat" in exports ? "embed" : "embed_request";
      assert.deepEqual(provider.seen.map(([fn]) => fn).slice(-5), ["from_config", embed, ...again, embed].slice(-5));
      assert.deepEqual(provider.inputs("from_config"), [`{"model":"m"}`, `{"model":"m"}`]);
    });

  it("ends a stream whose instance has gone although no other took its place", async () => {
    await using there = await upstream(({ path }, response) => (path === "/stream" ? (response.write("first\n"), true) : false));
    const provider = await textProvider({ ...third(there.url, { embed_request: "TRAP" }), ...parser(`[{"chunk":{"text":"x"},"usage":null}]`) });
    await using loaded = await loadText(provider, { ...GRANTED(there.host), maxInstances: 1 });
    const stream = loaded.chatStream(say("x"));
    await stream.next();
    await errorOf(loaded.embed(["a"]));
    await stream.return();
    assert.deepEqual(provider.inputs("chat_stream_parser_close"), []);
  });

  it("is MORTISE_TRAP for functions that every provider has", async () => {
    await using loaded = await loadText(await textProvider({ ...METADATA, chat: "TRAP" }));
    for (let round = 0; round < 5; round++) assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_TRAP");
  });
});

describe("Weakness: keys that the schema lacks are dropped without a word", () => {
  it("says which", async () => {
    const schema = `{"properties":{"model":{},"__proto__":{}}}`;
    const provider = await textProvider({ ...METADATA, config_schema: schema, chat: "{}" });
    const config = JSON.parse(`{"model":"m","modell":"x","constructor":1,"__proto__":{"a":1}}`) as Record<string, unknown>;
    await using loaded = await loadText(provider, { config });
    assert.deepEqual(provider.inputs("from_config"), [`{"model":"m","__proto__":{"a":1}}`]);
    assert.deepEqual(loaded.report.droppedKeys, ["modell", "constructor"]);
    await loaded.chat(say("x", { config: { temprature: 1 } }));
    assert.deepEqual(loaded.report.droppedKeys, ["modell", "constructor", "temprature"]);
  });
});

describe("Weakness: a request of a plugin can name a host twice", () => {
  it("judges what is sent: the URL, and no header that contradicts it", async () => {
    await using there = await upstream();
    const request = box(there.url).replace(`"x-from":"plugin"`, `"host":"other.example"`);
    await using loaded = await loadText(await textProvider(third(there.url, { chat_request: request })), GRANTED(there.host));
    assert.equal((await errorOf(loaded.chat(say("x")))).code, "MORTISE_HTTP_INVALID");
    assert.equal(there.asked.length, 0);
  });
});
