// gateway_pii: personal data taken out of requests and answers, whole and in pieces, and put back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject, LlmResult } from "../../../src/index.ts";
import { type Gateway, chat, chunk, completion, loadInto, openGateway, pass, passStream, randomNumbers, say, spoken } from "./open-gateway.ts";

const PII = "gateway_pii.rs";
const ANSWER = { response: completion({ content: "Fine." }) };

const JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U";
const LONG_JWT = `eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIx${"MjM0NTY3ODkw".repeat(40)}.dozjgNryP4J3jVmNHl0w5N`;

/** Texts, and what is left of them. */
const TEXTS: readonly (readonly [text: string, redacted: string])[] = [
  ["write to ann.lee+x@mail.example.com.", "write to [EMAIL]."],
  ["müller@straße.de, bob@x.co", "[EMAIL], [EMAIL]"],
  ["请联系foo@bar.com谢谢", "请联系[EMAIL]谢谢"],
  [`${"a".repeat(80)}@example.com`, `${"a".repeat(16)}[EMAIL]`],
  ["no@body, me@localhost, a@b.1, @here", "no@body, me@localhost, a@b.1, @here"],
  ["Tel. +49 (0)30 1234-5678, ext", "Tel. [PHONE], ext"],
  ["call +14155550123 or (555) 234-5678", "call [PHONE] or [PHONE]"],
  ["call 555-234-5678 or 1 555 234 5678.", "call [PHONE] or [PHONE]."],
  ["0151 23456789, 030/1234567, 0049 30 1234567", "[PHONE], [PHONE], [PHONE]"],
  ["in 2024, on 2024-01-15 at 10:30, 01.02.2024 12:30", "in 2024, on 2024-01-15 at 10:30, 01.02.2024 12:30"],
  ["1,234,567.89 EUR, 12.000.000, 0.0123456789, 19.99", "1,234,567.89 EUR, 12.000.000, 0.0123456789, 19.99"],
  ["550e8400-e29b-41d4-a716-046655440000", "550e8400-e29b-41d4-a716-046655440000"],
  ["Visa 4111 1111 1111 1111 12/25", "Visa [CARD] 12/25"],
  ["5555-5555-5555-4444 and 378282246310005", "[CARD] and [CARD]"],
  ["4111 1111 1111 1112", "4111 1111 1111 1112"],
  ["DE89 3704 0044 0532 0130 00, gb29nwbk60161331926819", "[IBAN], [IBAN]"],
  ["MT84MALT011000012345MTLCAST001S", "[IBAN]"],
  ["GB29 NWBK 6016 1331 9268 18", "GB29 NWBK 6016 1331 9268 18"],
  ["from 192.168.1.17, and 10.0.0.1:8080.", "from [IP], and [IP]:8080."],
  ["2001:db8::ff00:42:8329 and fe80::1", "[IP] and [IP]"],
  ["std::vector, 12:34:56, 1.2.3, 300.1.1.1", "std::vector, 12:34:56, 1.2.3, 300.1.1.1"],
  ["SSN 123-45-6789, not 000-12-3456", "SSN [SSN], not 000-12-3456"],
  ["sk-proj-4f8A9b2C7d1E0xyzT AKIAIOSFODNN7EXAMPLE", "[KEY] [KEY]"],
  ["ghp_16C7e42F292c6912E7710c838347Ae178B4a,", "[KEY],"],
  ["task-management-with-long-names sk-learn-without-any-digits", "task-management-with-long-names sk-learn-without-any-digits"],
  [`Bearer ${JWT}.`, "Bearer [KEY]."],
  [`Bearer ${LONG_JWT} there`, "Bearer [KEY] there"],
  ['line\nann@x.org\ttab "bob@x.org" \u0001', 'line\n[EMAIL]\ttab "[EMAIL]" \u0001'],
];

async function open(t: Parameters<typeof openGateway>[0], config: Readonly<Record<string, unknown>> = {}): Promise<Gateway> {
  const host = await openGateway(t);
  await loadInto(host, PII, config as never);
  return host;
}

const contentOf = (result: LlmResult): unknown =>
  (result.response?.["choices"] as readonly { readonly message: JsonObject }[] | undefined)?.[0]?.message["content"];

/** Every cutting of a text in two, and some in many. */
function cuttings(text: string, random: (below: number) => number): string[][] {
  const chars = Array.from(text);
  const cuts = chars.map((_, at) => [chars.slice(0, at).join(""), chars.slice(at).join("")]);
  const single = chars;
  const some: string[] = [];
  for (let at = 0; at < chars.length;) {
    const size = 1 + random(9);
    some.push(chars.slice(at, at + size).join(""));
    at += size;
  }
  return [...cuts, single, some];
}

const streamed = (parts: readonly string[], field: (part: string) => JsonObject): JsonObject[] => [
  chunk({ role: "assistant", content: "" }),
  ...parts.map((part) => chunk(field(part))),
  chunk({}, "stop"),
];

describe("gateway_pii in requests", () => {
  for (const [text, redacted] of TEXTS) {
    it(`makes ${JSON.stringify(redacted.slice(0, 60))} of a message`, async (t) => {
      const host = await open(t);
      const { sent } = await pass(host, say(text), ANSWER);
      assert.deepEqual(sent, say(redacted));
    });
  }

  it("looks at parts, results and arguments of tools, and leaves what is no speech", async (t) => {
    const host = await open(t);
    const tool = (args: string): JsonObject => ({ id: "call_4111111111111111", type: "function", function: { name: "mail", arguments: args } });
    const messages = (mail: string, args: string): readonly JsonObject[] => [
      {
        role: "user",
        content: [
          { type: "text", text: mail },
          { type: "image_url", image_url: { url: "https://x.org/?m=a@b.org" } },
        ],
      },
      { role: "assistant", content: null, tool_calls: [tool(args)] },
      { role: "tool", tool_call_id: "call_4111111111111111", content: mail },
    ];
    const args = String.raw`{"to":"a\u0040b.org","card": 4111111111111111, "text":"\nc@d.org"}`;
    const hidden = String.raw`{"to":"[EMAIL]","card": "[CARD]", "text":"\n[EMAIL]"}`;
    const { sent } = await pass(host, chat(messages("a@b.org", args)), ANSWER);
    assert.deepEqual(sent?.input, messages("[EMAIL]", hidden));
    assert.doesNotThrow(() => JSON.parse(hidden) as unknown);
  });

  it("looks at the parameters that name people, and at the texts of embeddings", async (t) => {
    const host = await open(t);
    const { sent } = await pass(
      host,
      say("Hi", { params: { user: "a@b.org", metadata: { who: "+4915112345678", name: "c@d.org" }, stop: ["x@y.org"] } }),
      ANSWER,
    );
    assert.deepEqual(sent?.params, { user: "[EMAIL]", metadata: { who: "[PHONE]", name: "[EMAIL]" }, stop: ["x@y.org"] });
    const embed = chat(["a@b.org", "plain"], { request_type: "embedding" });
    assert.deepEqual((await pass(host, embed, { response: { object: "list" } })).sent?.input, ["[EMAIL]", "plain"]);
  });

  for (const spelling of ["flat", "snake", "go"] as const) {
    it(`reads and changes requests and answers in the spelling ${spelling}`, async (t) => {
      const host = await openGateway(t, { spelling });
      await loadInto(host, PII);
      const { sent, result } = await pass(host, say("a@b.org"), { response: completion({ content: "c@d.org" }) });
      assert.deepEqual([sent, contentOf(result)], [say("[EMAIL]"), "[EMAIL]"]);
    });
  }

  it("numbers values, the same with the same number, over retries too", async (t) => {
    const host = await open(t, { placeholder: "[KIND_N]" });
    const context = host.request();
    for (const _ of [1, 2]) {
      const { sent } = await pass(host, say("a@b.org c@d.org a@b.org 192.168.0.1"), ANSWER, context); // oxlint-disable-line no-await-in-loop -- attempts follow each other
      assert.deepEqual(sent, say("[EMAIL_1] [EMAIL_2] [EMAIL_1] [IP_1]"));
    }
    assert.ok(!JSON.stringify(Array.from(context.attributes)).includes("a@b.org"), "without restore, values are not kept");
  });

  it("redacts the kinds that are named alone", async (t) => {
    const host = await open(t, { kinds: ["card"] });
    assert.deepEqual((await pass(host, say("a@b.org 4111111111111111"), ANSWER)).sent, say("a@b.org [CARD]"));
  });

  it("goes on without numbers when there are more values than can be remembered", async (t) => {
    const host = await open(t, { restore: true });
    const many = Array.from({ length: 3000 }, (_, index) => `user${index}@host${index}.example.org`);
    const { sent } = await pass(host, say(many.join(" ")), ANSWER);
    const text = JSON.stringify(sent);
    assert.ok(text.includes("[EMAIL_1]") && text.includes("[EMAIL] ") && !text.includes("example.org"));
  });

  const wrong: readonly Readonly<Record<string, unknown>>[] = [
    { kinds: ["passport"] },
    { placeholder: "***" },
    { restore: true, placeholder: "[KIND]" },
    { answers: "maybe" },
    { restored: true },
  ];
  for (const config of wrong) {
    it(`does not start with the configuration ${JSON.stringify(config)}`, async (t) => {
      await assert.rejects(open(t, config), { code: "MORTISE_RETURN_CODE" });
    });
  }

  it("lets no request pass that it cannot read", async (t) => {
    const host = await open(t);
    let deep: unknown = "a@b.org";
    for (let level = 0; level < 100; level++) deep = [deep];
    await assert.rejects(pass(host, say(deep), ANSWER), { code: "MORTISE_HOOK_FAILED" });
  });

  it("gives text with half of a surrogate pair a character that can be sent", async (t) => {
    const host = await open(t);
    assert.deepEqual((await pass(host, say("\ud83d a@b.org"), ANSWER)).sent, say("\ufffd [EMAIL]"));
  });

  it("says nothing about a request without personal data", async (t) => {
    const host = await open(t);
    const request = say('In 2024, the joint - "held" - by 3 pegs: 1.5 inches (I think). [1] _so_ \\ it_is');
    assert.equal((await pass(host, request, ANSWER)).sent, request);
  });
});

describe("gateway_pii in answers", () => {
  it("takes personal data out of whole answers, or leaves them", async (t) => {
    const answer = {
      response: completion({
        content: "ask a@b.org",
        tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: '{"n":"c@d.org"}' } }],
      }),
    };
    const { result } = await pass(await open(t), say("Hi"), answer);
    assert.deepEqual(
      result.response,
      completion({ content: "ask [EMAIL]", tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: '{"n":"[EMAIL]"}' } }] }),
    );
    assert.equal((await pass(await open(t, { answers: "leave" }), say("Hi"), answer)).result, answer);
  });

  it("puts the original values back, and takes out what is new", async (t) => {
    const host = await open(t, { restore: true });
    const echo = (sent: { readonly input: unknown }): LlmResult => ({
      response: completion({ content: `${(sent.input as { content: string }[])[0]?.content} [EMAIL_9] new@x.org` }),
    });
    const { sent, result } = await pass(host, say("mail a@b.org, call +49 30 1234567"), echo);
    assert.deepEqual(sent, say("mail [EMAIL_1], call [PHONE_1]"));
    assert.equal(contentOf(result), "mail a@b.org, call +49 30 1234567 [EMAIL_9] [EMAIL_2]");
  });

  it("leaves errors and answers without text", async (t) => {
    const host = await open(t);
    const failed = { error: { status_code: 500, error: { message: "a@b.org broke" } } };
    assert.equal((await pass(host, say("Hi"), failed)).result, failed);
    const vectors = { response: { object: "list", data: [{ embedding: [0.123_456_789_012_345, 4_111_111_111_111_111] }] } };
    assert.equal((await pass(host, say("Hi"), vectors)).result, vectors);
  });
});

describe("gateway_pii in streams", () => {
  it("makes of every cutting of a text what it makes of the whole", async (t) => {
    const host = await open(t);
    const random = randomNumbers(7);
    for (const [text, redacted] of TEXTS) {
      for (const parts of cuttings(text, random)) {
        const pieces = await passStream(
          host,
          say("Hi"),
          streamed(parts, (content) => ({ content })),
        ); // oxlint-disable-line no-await-in-loop -- one stream after the other
        assert.deepEqual(spoken(pieces), { 0: redacted }, JSON.stringify(parts));
      }
    }
  });

  it("makes of random texts in random pieces what it makes of the whole", async (t) => {
    const host = await open(t, { placeholder: "[KIND_N]" });
    const random = randomNumbers(11);
    const bits = [
      "a@b.org",
      "4111 1111 1111 1111",
      "+49 30 123",
      "4567",
      " ",
      " ",
      "x",
      "é",
      "😀",
      "sk-",
      "1.2.3.4",
      "::1",
      "DE89",
      "[EMAIL_1]",
      ".",
      "-",
      "0",
      "\n",
      '"',
      "@",
    ];
    for (let round = 0; round < 150; round++) {
      const text = Array.from({ length: 30 }, () => bits[random(bits.length)]).join("");
      const { result } = await pass(host, say("Hi"), { response: completion({ content: text }) }); // oxlint-disable-line no-await-in-loop -- one after the other
      const parts = cuttings(text, random).at(-1) ?? [];
      const pieces = await passStream(
        host,
        say("Hi"),
        streamed(parts, (content) => ({ content })),
      ); // oxlint-disable-line no-await-in-loop -- one after the other
      assert.deepEqual(spoken(pieces), { 0: contentOf(result) }, JSON.stringify(parts));
    }
  });

  it("does the same in arguments of tools, whose JSON stays JSON", async (t) => {
    const host = await open(t);
    const args = String.raw`{"to":"ann\u0040example.org", "n": 4111111111111111, "t":"\n\"b@c.org\" \ud83d\ude00", "p":[5555555555554444]}`;
    const hidden = String.raw`{"to":"[EMAIL]", "n": "[CARD]", "t":"\n\"[EMAIL]\" \ud83d\ude00", "p":["[CARD]"]}`;
    for (const parts of cuttings(args, randomNumbers(3))) {
      const field = (text: string): JsonObject => ({ tool_calls: [{ index: 2, function: { arguments: text } }] });
      const pieces = await passStream(host, say("Hi"), streamed(parts, field)); // oxlint-disable-line no-await-in-loop -- one stream after the other
      assert.deepEqual(spoken(pieces, "arguments"), { "0.2": hidden }, JSON.stringify(parts));
    }
    assert.doesNotThrow(() => JSON.parse(hidden) as unknown);
  });

  it("gives the original values back at every cut", async (t) => {
    const host = await open(t, { restore: true });
    const request = say("I am ann@example.org, +49 30 1234567");
    const answer = "So you are [EMAIL_1] ([PHONE_1]) and not [EMAIL_3] or [EMAIL or [IP_1]";
    for (const parts of cuttings(answer, randomNumbers(5))) {
      const pieces = await passStream(
        host,
        request,
        streamed(parts, (content) => ({ content })),
      ); // oxlint-disable-line no-await-in-loop -- one stream after the other
      assert.deepEqual(
        spoken(pieces),
        { 0: "So you are ann@example.org (+49 30 1234567) and not [EMAIL_3] or [EMAIL or [IP_1]" },
        JSON.stringify(parts),
      );
    }
  });

  it("keeps choices, texts and requests apart", async (t) => {
    const host = await open(t);
    const one = host.request();
    const two = host.request();
    const stream = say("Hi", { request_type: "chat_completion_stream" });
    using first = await host.hooks.llm.open(stream, { request: one });
    using second = await host.hooks.llm.open(stream, { request: two });
    const brackets = [first, second];
    const outs: readonly [JsonObject[], JsonObject[]] = [[], []];
    const say2 = async (which: 0 | 1, piece: JsonObject): Promise<void> => {
      const ending = await brackets[which]?.end({ ok: true, output: { response: piece } });
      if (ending?.ok === true && ending.output.response !== undefined) outs[which].push(ending.output.response);
    };
    await say2(0, chunk({ content: "to ann@exam" }, null, 0));
    await say2(1, chunk({ content: "to bob@exam" }, null, 0));
    await say2(0, chunk({ content: "4111 1111 " }, null, 1));
    await say2(0, chunk({ content: "ple.org" }, null, 0));
    await say2(1, chunk({ content: " is none" }, "stop", 0));
    await say2(0, chunk({ content: "1111 1111" }, "stop", 1));
    await say2(0, chunk({}, "stop", 0));
    assert.deepEqual(
      outs.map((pieces) => spoken(pieces)),
      [{ 0: "to [EMAIL]", 1: "[CARD]" }, { 0: "to bob@exam is none" }],
    );
    assert.deepEqual(Array.from(one.attributes.keys()), []);
  });

  it("lets what it held back go when another text begins", async (t) => {
    const host = await open(t);
    const pieces = await passStream(host, say("Hi"), [
      chunk({ reasoning: "thinking of ann" }),
      chunk({ content: "Hello bob" }),
      chunk({ tool_calls: [{ index: 0, id: "1", function: { name: "f", arguments: '{"a":"b' } }] }),
      chunk({ tool_calls: [{ index: 1, function: { arguments: "{}" } }] }, "tool_calls"),
    ]);
    assert.deepEqual(
      [spoken(pieces, "reasoning")[0], spoken(pieces)[0], spoken(pieces, "arguments")],
      ["thinking of ann", "Hello bob", { "0.0": '{"a":"b', "0.1": "{}" }],
    );
    const texts = pieces.map((piece) => spoken([piece]));
    assert.deepEqual(
      texts.map((text) => text[0]),
      ["", "Hello ", "bob", ""],
    );
  });

  it("holds back 255 characters at most, and nothing of words that are over", async (t) => {
    const host = await open(t);
    const pieces = await passStream(host, say("Hi"), [
      chunk({ content: `${"x".repeat(64)}@${"y".repeat(400)}` }),
      chunk({ content: " word, done. " }),
    ]);
    const [first = "", second = ""] = pieces.map((piece) => spoken([piece])[0]);
    assert.ok(first.length >= 465 - 255 && (first + second).endsWith(" word, done. "));
  });

  it("does not send what an attempt before held back", async (t) => {
    const host = await open(t);
    const context = host.request();
    await passStream(host, say("Hi"), [chunk({ content: "secret-start" })], context);
    assert.ok(context.attributes.has("pii.s0"));
    const pieces = await passStream(host, say("Hi"), [chunk({ content: "Again" }, "stop")], context);
    assert.deepEqual(spoken(pieces), { 0: "Again" });
  });

  it("ends a stream with an error if a piece cannot be followed", async (t) => {
    const host = await open(t);
    await assert.rejects(passStream(host, say("Hi"), [chunk({ content: "x" }, null, 99)]), { code: "MORTISE_HOOK_FAILED" });
  });
});
