// The plugins that are shipped, in one gateway over sockets: each does its part for clients of every interface, in whole answers
// and in streams, and another plugin that does wrong in their midst harms its own requests alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { assembleText } from "../wasm/assemble.ts";
import { type Does, SPIN, TRAP, guest } from "../hooks/guests.ts";
import type { Behaviour } from "./stand-in/behaviour.ts";
import { completion, say } from "./start-gateway.ts";
import { APIS, type Answer, type Api, type ShippedStage, documentedPlugins, startShipped, until } from "./start-shipped.ts";

// A request that is never answered would hold up the end of its gateway.
const SOON = { timeout: 15_000 };

/** Every interface, whole and as a stream. */
const WAYS: readonly (readonly [api: Api, stream: boolean])[] = APIS.flatMap((api) => [[api, false] as const, [api, true] as const]);

/** Status, and code where OpenAI's interfaces have one; fails for an error in the words of another interface. */
function refusal(api: Api, { status, body }: Answer): readonly [status: number, code: unknown] {
  const json = JSON.parse(body) as { type?: string; error: { type: string; message: string; code?: unknown; param?: unknown }; request_id?: string };
  assert.ok(json.error.message.length > 0 && json.error.type.length > 0, body);
  if (api === "messages") assert.deepEqual([json.type, typeof json.request_id, json.error.code], ["error", "string", undefined]);
  else assert.deepEqual([json.type, json.error.param], [undefined, null]);
  return [status, json.error.code];
}

/** Checks that the plugin audit has a whole chain of so many records. */
async function assertAudited(stage: ShippedStage, count: number): Promise<void> {
  const found = await until(stage.verify, ({ ok, records }) => ok !== true || Number(records) >= count);
  assert.deepEqual(found, { ok: true, records: count, first: 1, last: count });
}

describe("docs/gateway-plugins.md", () => {
  it("shows all plugins, in the order that it tells", async () => {
    const { plugins } = await documentedPlugins();
    const ordered = plugins.toSorted((a, b) => a.order - b.order).map(({ name, order }) => [name, order]);
    assert.deepEqual(ordered, [
      ["audit", 0],
      ["budget", 10],
      ["guard", 20],
      ["cache", 30],
      ["schema", 40],
      ["pii", 50],
    ]);
  });
});

describe("gateway_pii in the gateway", SOON, () => {
  const behaviours: readonly Behaviour[] = [
    { split: "utf8" },
    { split: "lines" },
    { split: 7 },
    { burst: true },
    { chunks: 40, pings: true, crlf: true },
  ];
  for (const behaviour of behaviours)
    it(`keeps personal data from the server and from the client, however it is cut: ${JSON.stringify(behaviour)}`, async () => {
      await using stage = await startShipped({ standIn: { behaviour } });
      const said = "Schreib ann@example.org oder +49 30 1234567 – für 😀 ann@example.org!";
      for (const [api, stream] of WAYS) {
        const { status, text } = await stage.ask(api, say[api](said, { stream }));
        assert.deepEqual([status, text], [200, said], `${api} ${stream}: what the client wrote comes back`);
      }
      assert.equal(stage.standIn.requests.length, WAYS.length);
      for (const { body } of stage.standIn.requests) {
        assert.match(body, /Schreib \[EMAIL_1\] oder \[PHONE_1\] – für 😀 \[EMAIL_1\]!/);
        assert.doesNotMatch(body, /ann@example|1234567/);
      }
      stage.standIn.behave({ behaviour: { ...behaviour, text: "Frag [EMAIL_1] und bob@example.net, für 😀" } });
      for (const [api, stream] of WAYS) {
        const { body, text } = await stage.ask(api, say[api]("ich bin ann@example.org", { stream }));
        assert.equal(text, "Frag ann@example.org und [EMAIL_2], für 😀", `${api} ${stream}`);
        assert.ok(!body.includes("bob@example.net"), "nor in an event that has the whole text");
      }
      await assertAudited(stage, 2 * WAYS.length);
    });

  it("does the same where the client's interface is not the server's", async () => {
    await using stage = await startShipped({ standIn: { behaviour: { split: "utf8" } } });
    for (const [api, stream] of WAYS) {
      const model = api === "messages" ? "oai/m" : "ant/m";
      const { text } = await stage.ask(api, say[api]("ann@example.org – 😀", { stream, model }));
      assert.equal(text, "ann@example.org – 😀", `${api} ${stream}`);
      assert.ok(!stage.standIn.requests.at(-1)?.body.includes("ann@"));
    }
  });
});

describe("What a server gets that plugins do not look at", SOON, () => {
  /** Requests with a text in every place where Anthropic's servers would take it for something that is said. */
  const places = (text: string): readonly object[] => [
    { system: text },
    { system: [{ type: "text", text }] },
    ...[
      { type: "text", text },
      { type: "document", title: text, source: { type: "url", url: "https://example.org" } },
      { type: "document", context: text, source: { type: "url", url: "https://example.org" } },
      { type: "document", source: { data: text, type: "text", media_type: "text/plain" } },
      { type: "document", source: { type: "content", content: [{ type: "text", text }] } },
      { type: "search_result", source: "https://example.org", title: text, content: [{ type: "text", text: "x" }] },
      { type: "search_result", source: "https://example.org", title: "x", content: [{ type: "text", text }] },
      { type: "tool_result", tool_use_id: "1", content: text },
      { type: "tool_result", tool_use_id: "1", content: [{ type: "document", source: { type: "text", media_type: "text/plain", data: text } }] },
    ].map((block) => ({ messages: [{ role: "user", content: [block] }] })),
    { messages: [{ role: "assistant", content: [{ type: "thinking", thinking: text, signature: "c2ln" }] }] },
    { messages: [{ role: "assistant", content: [{ type: "tool_use", id: "1", name: "f", input: { q: [text] } }] }] },
    { metadata: { user_id: text } },
  ];

  it("is none of what a client says to Anthropic's interface", async () => {
    await using stage = await startShipped();
    for (const more of places("project nightjar"))
      assert.equal((await stage.ask("messages", { ...say.messages("Hi"), ...more })).status, 403, JSON.stringify(more));
    for (const [index, more] of places("ann@example.org").entries()) {
      assert.equal((await stage.ask("messages", { ...say.messages("Hi"), ...more })).status, 200, JSON.stringify(more));
      const body = stage.standIn.requests[index]?.body ?? "";
      assert.ok(body.includes("[EMAIL_1]") && !body.includes("ann@"), body);
    }
  });
});

describe("gateway_guard in the gateway", SOON, () => {
  const phrases: readonly (readonly [how: string, text: string])[] = [
    ["as it is", "tell me of Project Nightjar"],
    ["escaped", String.raw`tell me of \u0070roject\u0020\u006eightjar`],
    ["with characters that cannot be seen", "tell me of pro\u200bject night\u00ad\u200djar"],
    ["in full-width letters", "ｐｒｏｊｅｃｔ ｎｉｇｈｔｊａｒ"],
  ];
  for (const [how, text] of phrases)
    it(`refuses a phrase that is written ${how}, in the words of each interface`, async () => {
      await using stage = await startShipped();
      for (const [api, stream] of WAYS) {
        const body = JSON.stringify(say[api]("PHRASE", { stream })).replace("PHRASE", () => text);
        const answer = await stage.ask(api, body);
        assert.deepEqual(refusal(api, answer), [403, api === "messages" ? undefined : "prompt_blocked"], api);
        assert.doesNotMatch(answer.body, /jar/i);
      }
      assert.equal(stage.standIn.counters.requests, 0);
      assert.deepEqual(await until(stage.used, ({ ann }) => ann === 0), { ann: 0 }, "a refused request costs nothing");
      await assertAudited(stage, WAYS.length);
    });

  it("reads a text whose parts are apart", async () => {
    await using stage = await startShipped();
    const content = [
      { type: "text", text: "tell me of project" },
      { type: "text", text: "nightjar" },
    ];
    assert.equal((await stage.ask("messages", { ...say.messages(""), messages: [{ role: "user", content }] })).status, 403);
    assert.equal((await stage.ask("messages", { ...say.messages(""), system: "project nightjar" })).status, 403);
  });
});

describe("gateway_budget in the gateway", SOON, () => {
  it("counts whole answers and streams of each client, refuses with the time that is left, and begins anew", async () => {
    await using stage = await startShipped({ configs: { budget: { tokens: 50, window: "hour", reserve: 5 } } });
    let used = 0;
    for (const [api, stream] of WAYS) {
      const usage = api === "chat" && stream ? { stream_options: { include_usage: true } } : {};
      const { status } = await stage.ask(api, say[api]("one two three four", { stream, max_tokens: 4, ...usage }));
      used += 8;
      assert.equal(status, 200, `${api} ${stream}`);
      assert.deepEqual(await until(stage.used, ({ ann }) => ann === used), { ann: used }, `${api} ${stream}`);
    }
    await stage.ask("chat", say.chat("one two three four"));
    await until(stage.used, ({ ann }) => ann === used + 8);
    stage.time.now += 599_500;
    for (const [api, stream] of WAYS) {
      const answer = await stage.ask(api, say[api]("one", { stream }));
      assert.deepEqual(refusal(api, answer), [429, api === "messages" ? undefined : "budget_exceeded"]);
      assert.equal(answer.headers.get("retry-after"), "3001", "seconds, rounded up");
    }
    assert.equal((await stage.ask("chat", say.chat("one"), { client: "bob" })).status, 200, "another client has its own");
    assert.equal(stage.standIn.counters.requests, WAYS.length + 2);
    stage.time.now += 3_000_500;
    assert.equal((await stage.ask("chat", say.chat("one"))).status, 200);
    await assertAudited(stage, 2 * WAYS.length + 3);
  });

  it("lets in no more of many requests at once than have room, and counts them right", async () => {
    await using stage = await startShipped({ configs: { budget: { tokens: 100, window: "day" } } });
    const all = Array.from({ length: 40 }, (_, index) => {
      const [api, stream] = WAYS[index % WAYS.length] ?? ["chat", false];
      const usage = api === "chat" && stream ? { stream_options: { include_usage: true } } : {};
      return stage.ask(api, say[api]("one two", { stream, max_tokens: 20, max_output_tokens: 20, ...usage }));
    });
    const statuses = (await Promise.all(all)).map(({ status }) => status);
    const letIn = statuses.filter((status) => status === 200).length;
    assert.ok(letIn > 0 && letIn < 40 && statuses.every((status) => status === 200 || status === 429), statuses.join(" "));
    assert.equal(stage.standIn.counters.requests, letIn);
    assert.deepEqual(await until(stage.used, ({ ann }) => ann === 4 * letIn), { ann: 4 * letIn });
  });

  it("counts nothing for what failed, and what it had for what broke off", async () => {
    await using stage = await startShipped({ configs: { budget: { tokens: 1000, window: "day" } }, standIn: { behaviour: { fault: 500 } } });
    for (const [api, stream] of WAYS) await stage.ask(api, say[api]("one", { stream }));
    await assertAudited(stage, WAYS.length);
    assert.deepEqual(await until(stage.used, ({ ann }) => ann === 0), { ann: 0 });
    stage.standIn.behave({ behaviour: { fault: "drop_mid_body" } });
    await stage.ask("chat", say.chat("one two three four five six seven eight", { stream: true, max_tokens: 30 }));
    await assertAudited(stage, WAYS.length + 1);
    const { ann = 0 } = await until(stage.used, ({ ann: count }) => count !== 0);
    assert.ok(ann >= 30, `${ann} are counted, the estimate`);
  });
});

describe("gateway_schema in the gateway", SOON, () => {
  const schema = { type: "object", properties: { name: { type: "string" } }, required: ["name"], additionalProperties: false };
  const format = {
    chat: { response_format: { type: "json_schema", json_schema: { name: "person", schema } } },
    responses: { text: { format: { type: "json_schema", name: "person", schema } } },
    messages: { output_config: { format: { type: "json_schema", schema } } },
  } as const;
  // The server has no other name for what it was not told.
  const WRONG = '{"name":5,"of":"[EMAIL_1]"}';
  const RIGHT = '{"name":"[EMAIL_1]"}';

  for (const api of APIS) {
    it(`has the model asked once more, and gives the client the answer that fits: ${api}`, async () => {
      // Once it has been asked, the server says something else.
      const sleep = async (): Promise<void> => stage.standIn.behave({ behaviour: { text: RIGHT } });
      const stage: ShippedStage = await startShipped({ standIn: { behaviour: { text: WRONG, latencyMs: 1 }, sleep } });
      await using _closed = stage;
      const answer = await stage.ask(api, say[api]("Who is ann@example.org?", { ...format[api], max_tokens: 60 }));
      assert.deepEqual([answer.status, answer.text], [200, '{"name":"ann@example.org"}']);
      assert.equal(stage.standIn.requests.length, 2);
      const [first = "", second = ""] = stage.standIn.requests.map(({ body }) => body);
      assert.ok(!/fit the required JSON schema/.test(first) && /fit the required JSON schema: \/name is of type number/.test(second), second);
      assert.ok(!second.includes("ann@example.org"), "what is said the second time goes the same way");
      await assertAudited(stage, 1);
    });

    it(`refuses the answer if the second one does not fit either: ${api}`, async () => {
      await using stage = await startShipped({ standIn: { behaviour: { text: WRONG } } });
      const answer = await stage.ask(api, say[api]("Who?", { ...format[api], max_tokens: 60 }));
      assert.deepEqual(refusal(api, answer), [502, api === "messages" ? undefined : "schema_mismatch"]);
      assert.equal(stage.standIn.requests.length, 2);
    });

    it(`refuses a stream before the model is asked: ${api}`, async () => {
      await using stage = await startShipped();
      const answer = await stage.ask(api, say[api]("Who?", { ...format[api], stream: true }));
      assert.deepEqual(refusal(api, answer), [400, api === "messages" ? undefined : "schema_stream"]);
      assert.equal(stage.standIn.requests.length, 0);
    });
  }
});

describe("gateway_cache in the gateway", SOON, () => {
  const exact = (api: Api, text: string, more: object = {}): object => say[api](text, { temperature: 0, ...more });

  for (const api of APIS)
    for (const [first, second] of [
      [false, false],
      [false, true],
      [true, false],
      [true, true],
    ] as const)
      it(`answers ${second ? "a stream" : "a request"} after ${first ? "a stream" : "a whole answer"}: ${api}`, async () => {
        await using stage = await startShipped();
        const text = "one für ann@example.org 😀";
        assert.equal((await stage.ask(api, exact(api, text, { stream: first }))).text, text);
        await assertAudited(stage, 1);
        for (const stream of [second, first]) {
          const answer = await stage.ask(api, exact(api, text, { stream }));
          assert.deepEqual([answer.status, answer.text], [200, text]);
        }
        assert.equal(stage.standIn.requests.length, 1);
      });

  it("has one answer for all interfaces, if they ask the same of the same", async () => {
    await using stage = await startShipped();
    await stage.ask("chat", exact("chat", "one two", { model: "oai/m" }));
    await assertAudited(stage, 1);
    const answer = await stage.ask("responses", exact("responses", "one two", { model: "oai/m" }));
    assert.deepEqual([answer.text, stage.standIn.requests.length], ["one two", 1]);
  });

  it("does what a client says of caching, and keeps clients and their data apart", async () => {
    await using stage = await startShipped();
    let count = 0;
    const asks = async (text: string, more: Parameters<ShippedStage["ask"]>[2] = {}): Promise<boolean> => {
      const before = stage.standIn.requests.length;
      assert.equal((await stage.ask("chat", exact("chat", text), more)).text, text);
      await assertAudited(stage, ++count);
      return stage.standIn.requests.length > before;
    };
    const noStore = { headers: { "cache-control": "no-store" } };
    assert.deepEqual([await asks("a", noStore), await asks("a"), await asks("a", noStore), await asks("a")], [true, true, true, false]);
    assert.deepEqual([await asks("a", { client: "bob" }), await asks("a", { client: "bob" })], [true, false]);
    // Behind the redaction, these would be the same.
    assert.deepEqual(
      [await asks("I am ann@example.org"), await asks("I am eve@example.org"), await asks("I am ann@example.org")],
      [true, true, false],
    );
  });
});

describe("The cache that is shipped", SOON, () => {
  it("does what a client says in any case, and keeps requests apart whose headers ask for more", async () => {
    await using stage = await startShipped();
    let count = 0;
    const asks = async (api: Api, headers: Readonly<Record<string, string>> = {}): Promise<boolean> => {
      const before = stage.standIn.requests.length;
      assert.equal((await stage.ask(api, say[api]("Hi", { temperature: 0 }), { headers })).status, 200);
      await assertAudited(stage, ++count);
      return stage.standIn.requests.length > before;
    };
    assert.deepEqual([await asks("chat"), await asks("chat")], [true, false]);
    for (const control of ["No-Store", "max-age=0, NO-CACHE"]) assert.equal(await asks("chat", { "cache-control": control }), true, control);
    const headers = { "anthropic-beta": "context-1m-2025-08-07" };
    assert.deepEqual(
      [await asks("messages"), await asks("messages", headers), await asks("messages", headers), await asks("messages")],
      [true, true, false, false],
    );
    assert.deepEqual([await asks("responses", { "openai-beta": "a" }), await asks("responses", { "openai-beta": "b" })], [true, true]);
  });
});

describe("A plugin that does wrong between those that are shipped", SOON, () => {
  const GROWS = "(loop $more (drop (memory.grow (i32.const 256))) (br $more))";
  const linear = (name: string, body: string): Promise<Uint8Array<ArrayBuffer>> =>
    assembleText(
      "linear",
      `(module (memory (export "memory") 4) (global $next (mut i32) (i32.const 4096))
        (func (export "malloc") (param $size i32) (result i32) (local $at i32)
          (local.set $at (global.get $next)) (global.set $next (i32.add (local.get $at) (local.get $size))) (local.get $at))
        (func (export "free") (param i32 i32))
        (func (export "get_name") (result i64) (i64.const 0))
        (func (export "${name}") (param i32 i32) (result i64) ${body}))`,
    );
  const outputs = (name: string, does: Does): Promise<Uint8Array<ArrayBuffer>> => guest({ [name]: does });
  const wrongs: readonly (readonly [what: string, make: (name: string) => Promise<Uint8Array<ArrayBuffer>>])[] = [
    ["never ends", (name) => outputs(name, SPIN)],
    ["traps", (name) => outputs(name, TRAP)],
    ["says that it failed", (name) => outputs(name, { error: "I cannot" })],
    ["takes memory without an end", (name) => linear(name, `${GROWS} (i64.const 0)`)],
    ["gives a pointer to what is not its own", (name) => linear(name, "(i64.const 0x7ffffff000000100)")],
    ["says that it wrote gigabytes", (name) => linear(name, "(i64.const 0x000000107fffffff)")],
    ["gives what is no JSON", (name) => outputs(name, "certainly!")],
    [
      "answers with what is no answer",
      (name) => outputs(name, JSON.stringify({ short_circuit: { response: { text: "x" } }, response: { text: "x" } })),
    ],
    ["misspells what it says", (name) => outputs(name, JSON.stringify({ shortCircuit: { response: completion("x") } }))],
  ];
  for (const [what, make] of wrongs)
    it(`harms its own requests alone: one that ${what}`, async () => {
      await using stage = await startShipped({ standIn: { behaviour: { split: "utf8" } } });
      for (const name of ["pre_hook", "post_hook"]) {
        const options = { name, order: 35, filters: { llm: { model: `bad-${name}` } }, limits: { fuel: 2_000_000, memoryBytes: 8 << 20 } };
        await stage.gateway.host.plugins.load(await make(name), options);
      }
      const text = "für ann@example.org 😀";
      const ask = (api: Api, stream: boolean, model: string): Promise<Answer> =>
        stage.ask(api, say[api](text, { stream, model: `${api === "messages" ? "ant" : "oai"}/${model}` }));
      const all = WAYS.flatMap(([api, stream]) =>
        ["good", "bad-pre_hook", "good", "bad-post_hook"].map(async (model) => ({ api, model, answer: await ask(api, stream, model) })),
      );
      for (const { api, model, answer } of await Promise.all(all)) {
        if (model === "good") assert.deepEqual([answer.status, answer.text], [200, text]);
        else {
          const [status] = refusal(api, answer);
          assert.equal(status, 500, `${model}: ${answer.body}`);
          assert.ok(!answer.body.includes("ann@"), answer.body);
        }
      }
      assert.ok(stage.standIn.requests.every(({ model, body }) => model !== "bad-pre_hook" && !body.includes("ann@")));
      assert.equal((await ask("chat", false, "good")).text, text);
      await assertAudited(stage, all.length + 1);
    });
});
