// Requests that pass through: the plugin says where and with which headers, the body and the answer are left as they are.

import assert from "node:assert/strict";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";

import {
  type ForwardRequest,
  type ForwardResponse,
  PASS_APIS,
  PASS_HEADERS,
  type Provider,
  type ProviderOptions,
  type RefusedResponse,
} from "../../src/providers/index.ts";
import { endOf, errorOf, loadText } from "./loading.ts";
import { type Does, METADATA, type TextProvider, parser, textProvider, third } from "./text-provider.ts";
import { type Upstream, upstream } from "./upstream.ts";

const BODY = new TextEncoder().encode(`{"model":"m", "größer":[1,2]}`);
const ASK: ForwardRequest = { api: "openai.chat", body: BODY, stream: false };
const STREAM: ForwardRequest = { ...ASK, stream: true };
/** Heads that a plugin is asked for when it is loaded. */
const AT_LOAD = PASS_APIS.length;

/** What a plugin answers with: a head for a URL. */
function head(uri: string, headers: Readonly<Record<string, string>> = { "x-key": "k" }, body = "[]"): string {
  return `{"req":{"head":{"method":"POST","uri":"${uri}","headers":${JSON.stringify(headers)},"version":"HTTP/1.1"},"body":${body}}}`;
}

interface Scene {
  readonly server: Upstream;
  readonly plugin: TextProvider;
  readonly provider: Provider;
}

/** A server and a provider before it. */
async function scene(
  takeover: Parameters<typeof upstream>[0],
  passes: (url: string) => Does,
  options: ProviderOptions = {},
  rest: Readonly<Record<string, Does>> = {},
): Promise<Scene & AsyncDisposable> {
  const server = await upstream(takeover);
  const plugin = await textProvider({ ...third(server.url), passthrough_request: passes(`${server.url}/v1/x`), ...rest });
  const provider = await loadText(plugin, { permissions: { hosts: [server.host] }, ...options });
  return {
    server,
    plugin,
    provider,
    [Symbol.asyncDispose]: async () => {
      await provider.close();
      await server[Symbol.asyncDispose]();
    },
  };
}

const answer =
  (text: string, status = 200) =>
  (_asked: unknown, response: ServerResponse): true => (response.writeHead(status, { "x-answer": "yes", "retry-after": "7" }).end(text), true);

const heads = ({ plugin }: Scene): number => plugin.inputs("passthrough_request").length - AT_LOAD;
const textOf = async (response: ForwardResponse): Promise<string> => new TextDecoder().decode(await response.bytes());

describe("Provider.passes", () => {
  const cases: readonly (readonly [what: string, passes: Does | undefined, apis: readonly string[], because: RegExp])[] = [
    ["heads", head("http://127.0.0.1:1/"), PASS_APIS, /gave heads/],
    ["null", "null", [], /gave no head/],
    ["no function", undefined, [], /has no passthrough_request/],
    ["not_implemented", { error: `{"payload":{"type":"not_implemented","message":"no"}}` }, [], /gave no head/],
    ["a key that is missing", { error: `{"payload":{"type":"auth_error","message":"no key"}}` }, PASS_APIS, /gave heads/],
    ["a trap", "TRAP", [], /gave no head/],
    ["what is no JSON", "nonsense", [], /failed: .*the request must be an object/],
    ["a loop", "SPIN", [], /failed: .*(?:fuel|deadline)/],
  ];
  for (const [what, passes, apis, because] of cases)
    it(`is told by the plugin's answer: ${what}`, async () => {
      const plugin = await textProvider({ ...third("http://127.0.0.1:1"), ...(passes === undefined ? {} : { passthrough_request: passes }) });
      await using provider = await loadText(plugin, { limits: { fuel: 1_000_000 } });
      assert.deepEqual(provider.report.passThrough.apis, apis);
      assert.match(provider.report.passThrough.because, because);
      for (const api of PASS_APIS) assert.equal(provider.passes(api), apis.includes(api));
    });

  it("is asked with the configuration, each interface, and stream: false", async () => {
    const plugin = await textProvider({ ...third("http://127.0.0.1:1"), passthrough_request: "null" });
    await using _provider = await loadText(plugin, { config: { model: "m" }, apiKey: "k" });
    assert.deepEqual(
      plugin.inputs("passthrough_request"),
      PASS_APIS.map((api) => `{"cfg":{"model":"m","api_key":"k"},"api":"${api}","stream":false}`),
    );
  });
});

describe("Provider.forward", () => {
  it("sends the body as it is with the plugin's head, and gives the answer as it came", async () => {
    await using all = await scene(answer(`{ "any" : 1 }`), (url) => head(url, { "x-key": "k", host: new URL(url).host, "User-Agent": "me" }));
    for (const request of [ASK, STREAM]) {
      const response = await all.provider.forward(request);
      assert.deepEqual([response.status, response.headers["x-answer"]], [200, "yes"]);
      assert.equal(await textOf(response), `{ "any" : 1 }`);
    }
    const { asked } = all.server;
    assert.deepEqual(
      asked.map(({ method, path, text, headers }) => [method, path, text, headers["x-key"], headers["user-agent"], headers["content-length"]]),
      [1, 2].map(() => ["POST", "/v1/x", new TextDecoder().decode(BODY), "k", "me", String(BODY.length)]),
    );
  });

  it("asks the plugin once for a configuration, an interface and a kind of answer", async () => {
    await using all = await scene(answer("x"), head);
    for (let turn = 0; turn < 3; turn++) await (await all.provider.forward(ASK)).bytes();
    assert.equal(heads(all), 1);
    await (await all.provider.forward(STREAM)).bytes();
    await (await all.provider.forward({ ...ASK, api: "anthropic.messages" })).bytes();
    await (await all.provider.forward({ ...ASK, config: { model: "other" } })).bytes();
    await (await all.provider.forward({ ...ASK, config: { model: "other" } })).bytes();
    assert.deepEqual(all.plugin.inputs("passthrough_request").slice(AT_LOAD), [
      `{"cfg":{},"api":"openai.chat","stream":false}`,
      `{"cfg":{},"api":"openai.chat","stream":true}`,
      `{"cfg":{},"api":"anthropic.messages","stream":false}`,
      `{"cfg":{"model":"other"},"api":"openai.chat","stream":false}`,
    ]);
  });

  it("asks anew when the key changes, and not when it is the same again", async () => {
    const keys = ["a", "a", "b", "b", "a"];
    await using all = await scene(answer("x"), head, { apiKey: () => keys.shift() });
    for (let turn = 0; turn < 5; turn++) await all.provider.forward(ASK);
    assert.deepEqual(all.plugin.inputs("passthrough_request").slice(AT_LOAD), [
      `{"cfg":{"api_key":"a"},"api":"openai.chat","stream":false}`,
      `{"cfg":{"api_key":"b"},"api":"openai.chat","stream":false}`,
    ]);
  });

  it("waits for a function that gives the key for no longer than the request may take", async () => {
    await using all = await scene(answer("x"), head, { apiKey: () => new Promise<string>(() => {}) });
    const { provider, server } = all;
    const ways: readonly ((options: { signal?: AbortSignal; timeoutMs?: number }) => Promise<unknown>)[] = [
      (options) => provider.forward(ASK, options),
      (options) => provider.forward(STREAM, options),
      (options) => provider.chat({ messages: [] }, options),
      (options) => provider.chatStream({ messages: [] }, options).next(),
    ];
    const gone = new AbortController();
    for (const way of ways) {
      assert.equal((await errorOf(way({ timeoutMs: 5 }))).code, "MORTISE_TIMEOUT");
      assert.equal((await errorOf(way({ signal: AbortSignal.abort() }))).code, "MORTISE_ABORTED");
      const waiting = errorOf(way({ signal: gone.signal }));
      setImmediate(() => gone.abort());
      assert.equal((await waiting).code, "MORTISE_ABORTED");
    }
    const closing = ways.map((way) => errorOf(way({})));
    await provider.close();
    for (const each of closing) assert.equal((await each).code, "MORTISE_CLOSED");
    assert.equal(server.asked.length, 0);
  });

  it("keeps the heads of 128 configurations", async () => {
    await using all = await scene(answer("x"), head);
    const ask = (model: number): Promise<unknown> => all.provider.forward({ ...ASK, config: { model } });
    for (let model = 0; model < 129; model++) await ask(model);
    await ask(1);
    assert.equal(heads(all), 129);
    await ask(0);
    assert.equal(heads(all), 130);
  });

  const guests: readonly (readonly [what: string, does: (url: string) => Does, code: string, message: RegExp])[] = [
    ["traps", () => "TRAP", "MORTISE_PROVIDER_ERROR", /not_implemented: "passthrough_request" trapped/],
    ["loops", () => "SPIN", "MORTISE_FUEL", /"passthrough_request" of plugin "texts": it used up its fuel/],
    ["gives null", () => "null", "MORTISE_PROVIDER_ERROR", /not_implemented: the plugin has no head for the interface "openai.chat"/],
    ["gives no JSON", () => "{", "MORTISE_PROVIDER_OUTPUT", /the request must be an object/],
    ["gives no head", () => `{"req":{"body":[]}}`, "MORTISE_PROVIDER_OUTPUT", /req\.head must be an object/],
    ["gives a body", (url) => head(url, {}, "[1]"), "MORTISE_PROVIDER_OUTPUT", /req\.body must be empty/],
    ["names another host", () => head("http://evil.example/"), "MORTISE_HTTP_DENIED", /"evil\.example" is not allowed/],
    ["names no URL", () => head("file:///etc/passwd"), "MORTISE_HTTP_INVALID", /does not begin with http/],
    [
      "breaks a header's line",
      (url) => head(url, { "x-a": "1\\r\\nx-b: 2" }).replaceAll("\\\\", "\\"),
      "MORTISE_HTTP_INVALID",
      /value of the header "x-a"/,
    ],
    ["breaks a header's name", (url) => head(url, { "x a": "1" }), "MORTISE_HTTP_INVALID", /name is not a token/],
    ["says how the body is sent", (url) => head(url, { "transfer-encoding": "chunked" }), "MORTISE_HTTP_INVALID", /the host's own/],
    ["states another host", (url) => head(url, { host: "evil.example" }), "MORTISE_HTTP_INVALID", /names another host/],
    ["states another length", (url) => head(url, { "Content-Length": "5" }), "MORTISE_HTTP_INVALID", /not the length of the body/],
    [
      "fails in its own words",
      () => ({ error: `{"payload":{"type":"auth_error","message":"no key"}}` }),
      "MORTISE_PROVIDER_ERROR",
      /auth_error: no key/,
    ],
  ];
  for (const [what, does, code, message] of guests)
    it(`fails with ${code} and sends nothing if the plugin ${what}`, async () => {
      await using all = await scene(answer("x"), does, { limits: { fuel: 1_000_000 } });
      const error = await errorOf(all.provider.forward(ASK));
      assert.equal(error.code, code, error.message);
      assert.match(error.message, message);
      assert.equal(all.server.asked.length, 0);
      // It hurts nobody else.
      assert.equal((await all.provider.listModels()).length, 2);
    });

  it("sends headers of the client along, those of the list, and not in place of the head's own", async () => {
    await using all = await scene(answer("x"), (url) => head(url, { "x-key": "k", "Anthropic-Beta": "mine" }));
    const given = { "idempotency-key": "once", "openai-beta": "b=1" };
    for (const request of [ASK, STREAM]) await (await all.provider.forward({ ...request, headers: given })).bytes();
    await (
      await all.provider.forward({ ...ASK, api: "anthropic.messages", headers: { "anthropic-beta": "theirs", "idempotency-key": " " } })
    ).bytes();
    // They are of one request: the head that is kept has none of them.
    await (await all.provider.forward({ ...ASK, headers: {} })).bytes();
    const names = ["x-key", "idempotency-key", "openai-beta", "anthropic-beta"];
    assert.deepEqual(
      all.server.asked.map(({ headers }) => names.map((name) => headers[name])),
      [
        ["k", "once", "b=1", "mine"],
        ["k", "once", "b=1", "mine"],
        ["k", undefined, undefined, "mine"],
        ["k", undefined, undefined, "mine"],
      ],
    );
    assert.equal(heads(all), 3);
    const wrong = [{ authorization: "x" }, { "anthropic-beta": "x" }, { "OpenAI-Beta": "x" }, { "openai-beta": "a\r\nx: 1" }, { "openai-beta": "ü" }];
    for (const headers of [...wrong, { "openai-beta": 1 }, { "openai-beta": "x".repeat(1025) }, null]) {
      const { code, details } = await errorOf(all.provider.forward({ ...ASK, headers } as unknown as ForwardRequest));
      assert.equal(code, "MORTISE_INVALID_OPTION");
      assert.match(String(details["option"]), /^headers/);
    }
    assert.equal(all.server.asked.length, 4);
    assert.ok(PASS_APIS.every((api) => PASS_HEADERS[api].includes("idempotency-key")));
  });

  it("keeps the key out of errors, and of the response that they have", async () => {
    const key = "sk-secret/4711";
    const text = JSON.stringify({ error: { message: `no such key: ${key}` } });
    for (const rest of [{}, { classify_chat_error: JSON.stringify({ payload: { type: "provider_error", message: `I saw ${key}` } }) }] as const) {
      await using all = await scene(answer(text, 400), head, { apiKey: ` ${key}\n` }, rest);
      const error = await errorOf(all.provider.forward(ASK));
      assert.match(error.message, /\[key\]/);
      const { body, status } = error.details["response"] as RefusedResponse;
      const told = [error.message, JSON.stringify(error.details), String(error.cause), new TextDecoder().decode(body)];
      assert.deepEqual([status, told.filter((one) => one.includes("4711"))], [400, []]);
    }
  });

  it("keeps secrets of the options out of them", async () => {
    const secret = 'cf-secret/"4711"';
    await using all = await scene(answer(JSON.stringify({ error: { message: `bad ${secret}` } }), 422), head, { secrets: [secret] });
    const error = await errorOf(all.provider.forward(ASK));
    assert.match(error.message, /bad \[key\]/);
    assert.deepEqual(JSON.parse(new TextDecoder().decode((error.details["response"] as RefusedResponse).body)), { error: { message: "bad [key]" } });
  });

  it("takes a stated length that is right", async () => {
    await using all = await scene(answer("x"), (url) => head(url, { "Content-Length": String(BODY.length) }));
    assert.equal(await textOf(await all.provider.forward(ASK)), "x");
    assert.equal((await errorOf(all.provider.forward({ ...ASK, body: BODY.subarray(1) }))).code, "MORTISE_HTTP_INVALID");
  });

  it("is not_implemented for a plugin of generation 2", async () => {
    const plugin = await textProvider({ ...METADATA, chat: "{}" });
    await using provider = await loadText(plugin);
    assert.equal(provider.passes("openai.chat"), false);
    assert.match((await errorOf(provider.forward(ASK))).message, /not_implemented: the plugin has no "passthrough_request"/);
  });

  it("fails with MORTISE_INVALID_OPTION for an unknown interface, or what is no body", async () => {
    await using all = await scene(answer("x"), head);
    for (const wrong of [{ api: "other" }, { body: "text" }, { stream: 1 }, { config: [] }])
      assert.equal((await errorOf(all.provider.forward({ ...ASK, ...wrong } as ForwardRequest))).code, "MORTISE_INVALID_OPTION");
  });

  for (const [kind, request] of [
    ["whole", ASK],
    ["streaming", STREAM],
  ] as const) {
    it(`makes an error of a ${kind} response without success, with the response in its details`, async () => {
      const text = `{"error":{"message":"slow down"}}`;
      await using all = await scene(answer(text, 429), head);
      const error = await errorOf(all.provider.forward(request));
      const { code, details } = error;
      assert.deepEqual([code, details["retryable"], details["retryAfterSecs"]], ["MORTISE_PROVIDER_ERROR", true, 7]);
      assert.deepEqual(details["payload"], { type: "provider_error", message: "slow down", kind: "rate_limited", code: "429", retry_after_secs: 7 });
      const { api, status, headers, body } = details["response"] as RefusedResponse;
      assert.deepEqual([api, status, headers["x-answer"], new TextDecoder().decode(body)], ["openai.chat", 429, "yes", text]);
      assert.ok(!JSON.stringify(error).includes("x-answer"), "no log has it by accident");
    });

    it(`asks classify_chat_error about a ${kind} response without success`, async () => {
      const classify_chat_error = `{"payload":{"type":"provider_error","message":"mine","kind":"server_overloaded"}}`;
      await using all = await scene(answer("no", 503), head, {}, { classify_chat_error });
      const { payload, retryable } = await endOf(all.provider.forward(request));
      assert.deepEqual([payload, retryable], [{ type: "provider_error", message: "mine", kind: "server_overloaded" }, true]);
    });

    it(`says of a ${kind} request why there was no connection`, async () => {
      await using all = await scene(answer("x"), head);
      await all.server[Symbol.asyncDispose]();
      const { code, payload } = await endOf(all.provider.forward(request));
      assert.equal(code, "MORTISE_PROVIDER_ERROR");
      assert.equal((payload as { kind: string }).kind, "connection_refused");
    });

    it(`ends a ${kind} request when it is aborted, when its time is over, and when the provider is closed`, async () => {
      const silent = await upstream((asked) => (asked.path.endsWith("/x") ? (came.shift()?.(), true) : false));
      await using _silent = silent;
      const came: (() => void)[] = [];
      const arrival = (): Promise<void> => new Promise((resolve) => came.push(resolve));
      const plugin = await textProvider({ ...third(silent.url), passthrough_request: head(`${silent.url}/x`) });
      await using provider = await loadText(plugin, { permissions: { hosts: [silent.host] } });
      const abort = new AbortController();
      let there = arrival();
      const first = errorOf(provider.forward(request, { signal: abort.signal }));
      await there;
      abort.abort();
      assert.equal((await first).code, "MORTISE_ABORTED");
      await silent.server.allClosed();
      assert.equal((await errorOf(provider.forward(request, { signal: abort.signal }))).code, "MORTISE_ABORTED");
      const late = await errorOf(provider.forward(request, { timeoutMs: 40 }));
      assert.deepEqual([late.code, late.details["limit"]], ["MORTISE_TIMEOUT", 40]);
      there = arrival();
      const last = errorOf(provider.forward(request));
      await there;
      await provider.close();
      assert.equal((await last).code, "MORTISE_CLOSED");
      assert.equal((await errorOf(provider.forward(request))).code, "MORTISE_CLOSED");
    });
  }
});

describe("Provider.forward of a stream", () => {
  /** A server whose response the test writes. */
  async function held(options: ProviderOptions = {}): Promise<Scene & AsyncDisposable & { readonly response: Promise<ServerResponse> }> {
    const { promise, resolve } = Promise.withResolvers<ServerResponse>();
    const all = await scene(
      (_asked, response) => {
        response.writeHead(200).flushHeaders();
        resolve(response);
        return true;
      },
      head,
      options,
      parser("[]"),
    );
    return { ...all, response: promise };
  }

  it("gives the head at once, and each piece when it comes", async () => {
    await using all = await held();
    const { body } = await all.provider.forward(STREAM);
    const response = await all.response;
    const pieces = body[Symbol.asyncIterator]();
    for (const text of ["data: 1\n\n", "data: grö", "ßer\n\n"]) {
      response.write(text);
      assert.equal(new TextDecoder().decode((await pieces.next()).value as Uint8Array), text);
    }
    response.end();
    assert.equal((await pieces.next()).done, true);
  });

  it("has a limit of its own, apart from that of whole answers", async () => {
    const options: ProviderOptions = { http: { maxResponseBytes: 10, maxStreamBytes: 1000 } };
    await using all = await scene((asked, response) => (response.end(Buffer.alloc(asked.text === "more" ? 1001 : 1000)), true), head, options);
    assert.equal((await errorOf(all.provider.forward(ASK))).details["option"], "maxResponseBytes");
    assert.equal((await (await all.provider.forward(STREAM)).bytes()).length, 1000);
    const more = await all.provider.forward({ ...STREAM, body: new TextEncoder().encode("more") });
    const error = await errorOf(more.bytes());
    assert.deepEqual([error.code, error.details["option"]], ["MORTISE_HTTP_LIMIT", "http.maxStreamBytes"]);
  });

  it("ends with a transport error when nothing comes for idleTimeoutMs, or the server goes away", async () => {
    await using idle = await held({ http: { idleTimeoutMs: 30 } });
    const first = await endOf((await idle.provider.forward(STREAM)).bytes());
    assert.deepEqual([first.code, (first.payload as { kind: string }).kind], ["MORTISE_PROVIDER_ERROR", "timeout"]);
    await idle.server.server.allClosed();
    await using gone = await held();
    const reading = endOf((await gone.provider.forward(STREAM)).bytes());
    (await gone.response).destroy();
    assert.equal(((await reading).payload as { type: string }).type, "transport");
  });

  it("closes the connection when the reader leaves early, or closes it", async () => {
    for (const leave of ["break", "close"]) {
      await using all = await held();
      const answered = await all.provider.forward(STREAM);
      (await all.response).write("one");
      if (leave === "close") answered.close();
      else for await (const _piece of answered.body) break;
      await all.server.server.allClosed();
    }
  });

  it("ends when it is aborted, when its time is over, and when the provider is closed", async () => {
    await using all = await held();
    const abort = new AbortController();
    const aborted = await all.provider.forward(STREAM, { signal: abort.signal });
    const timed = await all.provider.forward(STREAM, { timeoutMs: 60 });
    const closed = await all.provider.forward(STREAM);
    const ends = [aborted, timed, closed].map((response) => errorOf(response.bytes()));
    abort.abort();
    assert.equal((await ends[0])?.code, "MORTISE_ABORTED");
    assert.equal((await ends[1])?.code, "MORTISE_TIMEOUT");
    await all.provider.close();
    assert.equal((await ends[2])?.code, "MORTISE_CLOSED");
    await all.server.server.allClosed();
  });

  it("holds the server back while nobody reads", async () => {
    const whole = 64 << 20;
    let sent = 0;
    await using all = await scene((_asked, response) => {
      const piece = Buffer.alloc(1 << 16);
      const more = (): void => {
        while (sent < whole) {
          sent += piece.length;
          if (!response.write(piece)) return void response.once("drain", more);
        }
        response.end();
      };
      more();
      return true;
    }, head);
    const { body } = await all.provider.forward(STREAM);
    let before = -1;
    for (let turns = 0; turns < 50 || sent !== before; turns++) {
      before = sent;
      await new Promise((resolve) => setImmediate(resolve));
    }
    assert.ok(sent < whole / 2, `${sent} bytes were sent to nobody`);
    let read = 0;
    for await (const piece of body) read += piece.length;
    assert.equal(read, whole);
  });
});
