// gateway_pii: personal data taken out of requests and answers, whole and in pieces, and put back.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject, LlmRequest, LlmResult } from "../../../src/index.ts";
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
  // Columns, and what is named.
  ["7,4111111111111111,2", "7,[CARD],2"],
  ["7,123-45-6789,555-234-5678", "7,[SSN],[PHONE]"],
  ["0,0301234567, 19,99", "0,0301234567, 19,99"],
  ["card_4111111111111111_x iban_DE89370400440532013000", "card_[CARD]_x iban_[IBAN]"],
  ["call_0301234567890 file-00301234567", "call_0301234567890 file-[PHONE]"],
  // Letters of full width, and what cannot be seen.
  ["ann＠example.com, ａｎｎ@example．com", "[EMAIL], [EMAIL]"],
  ["ann@exa\u200bmple.com ann\u00ad\ufeff@example.com 👩\u200d👧", "[EMAIL] [EMAIL] 👩\u200d👧"],
  ["４１１１１１１１１１１１１１１１ (０３０)１２３４５６７", "[CARD] [PHONE]"],
  ["41\u200b11\u00ad1111\u00ad1111\u00ad1111", "[CARD]"],
  ["！？：，。（１）", "！？：，。（１）"],
  ["49＠NOx.org", "[EMAIL]"],
  ["done \u200b", "done \u200b"],
  // What separates.
  ...["\u202f", "\u2011", ".", "  ", "- "].flatMap((gap): [string, string][] => [
    [["4111", "1111", "1111", "1111"].join(gap), "[CARD]"],
    [["3782", "822463", "10005"].join(gap), "[CARD]"],
    [["DE89", "3704", "0044", "0532", "0130", "00"].join(gap), "[IBAN]"],
  ]),
  ["4111 1111\n1111 1111, 4111\t1111 1111\r\n1111", "[CARD], [CARD]"],
  ["DE89 3704 0044\n0532 0130 00", "[IBAN]"],
  ["2024\n2023\n2022\n2021, 2024.0115.1030.4524, 4500.50.4500.504", "2024\n2023\n2022\n2021, 2024.0115.1030.4524, 4500.50.4500.504"],
  ["123.45.6789", "[SSN]"],
  // JSON in texts, and in JSON in texts.
  [String.raw`{"mail":"bob\u0040x.org","n":"\nann@x.org"}`, String.raw`{"mail":"[EMAIL]","n":"\n[EMAIL]"}`],
  [String.raw`"{\"mail\":\"bob\\u0040stra\\u00dfe.de\"}"`, String.raw`"{\"mail\":\"[EMAIL]\"}"`],
  [String.raw`{"tel":"030\/123456"} C:\dir\u12 \ `, String.raw`{"tel":"[PHONE]"} C:\dir\u12 \ `],
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

  it("looks at escapes in the JSON that is in arguments, and in the texts of that", async (t) => {
    const host = await open(t);
    const say2 = (args: string): LlmRequest =>
      chat([{ role: "assistant", content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: args } }] }]);
    const cases: readonly (readonly [args: string, hidden: string])[] = [
      [String.raw`{"tel":"030\/123456","path":"C:\\"}`, String.raw`{"tel":"[PHONE]","path":"C:\\"}`],
      [String.raw`{"body":"{\"mail\":\"bob\\u0040x.org\"}","n":4111111111111111}`, String.raw`{"body":"{\"mail\":\"[EMAIL]\"}","n":"[CARD]"}`],
      [String.raw`{"a":"\ud83d\ude00\\","b":"\u0062ob\u200b@x.org"}`, String.raw`{"a":"\ud83d\ude00\\","b":"[EMAIL]"}`],
    ];
    for (const [args, hidden] of cases) {
      assert.deepEqual((await pass(host, say2(args), ANSWER)).sent, say2(hidden)); // oxlint-disable-line no-await-in-loop -- one after the other
      for (const parts of cuttings(args, randomNumbers(13))) {
        const field = (text: string): JsonObject => ({ tool_calls: [{ index: 0, function: { arguments: text } }] });
        const pieces = await passStream(host, say("Hi"), streamed(parts, field)); // oxlint-disable-line no-await-in-loop -- one stream after the other
        assert.deepEqual(spoken(pieces, "arguments"), { "0.0": hidden }, JSON.stringify(parts));
      }
      assert.doesNotThrow(() => JSON.parse(hidden) as unknown);
    }
  });

  it("looks at names of who speaks, and at names and numbers in metadata", async (t) => {
    const host = await open(t);
    const request = (name: string, metadata: JsonObject): LlmRequest => chat([{ role: "user", name, content: "Hi" }], { params: { metadata } });
    const { sent } = await pass(host, request("ann@x.org", { "ann@x.org": "x", card: 4_111_111_111_111_111, "bob@x.org": [1, true] }), ANSWER);
    assert.deepEqual(sent, request("[EMAIL]", { "[EMAIL]": "x", card: "[CARD]", "[EMAIL] 2": [1, true] }));
    const alone = say("Hi", { params: { metadata: { card: 4_111_111_111_111_111 } } });
    assert.deepEqual((await pass(host, alone, ANSWER)).sent?.params, { metadata: { card: "[CARD]" } });
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
    const host = await openGateway(t);
    // Bounded by what it computes: by the clock, it would depend on what else the machine does.
    await loadInto(host, PII, { restore: true }, { limits: { timeoutMs: 60_000, fuel: 1_000_000_000 } });
    const many = Array.from({ length: 10_000 }, (_, index) => `user${index}@host${index}.example.org`);
    const { sent } = await pass(host, say(`${many.join(" ")} ${many[0]}.`), ANSWER);
    const text = JSON.stringify(sent);
    assert.ok(text.includes('"[EMAIL_1] [EMAIL_2] ') && text.includes(' [EMAIL] [EMAIL_1]."') && !text.includes("example.org"));
  });

  it("takes work in proportion to a text's length", async (t) => {
    const host = await openGateway(t);
    await loadInto(host, PII, { restore: true }, { limits: { timeoutMs: 60_000, fuel: 2_000_000_000 } });
    for (const bit of ["1 ", "4 ", "0 1 ", "ff:", "a@", "a.", "[EMAIL_", "eyJaaaaa.", "sk-", "ghp_", "eyJ-", "\\", "\u200b", "4.", "-"]) {
      const text = bit.repeat(200_000 / bit.length);
      const { sent } = await pass(host, say(text), ANSWER); // oxlint-disable-line no-await-in-loop -- one after the other
      assert.ok(sent !== undefined, bit);
    }
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

  it("finds at a glance whatever it finds when it looks", async (t) => {
    const host = await open(t);
    const random = randomNumbers(7);
    const bits = ["0", "1", "03", "030", "12", "4111", "1111", " ", " ", "-", ".", "/", String.raw`\/`, "(", ")", "+", "\u00a0", "\u202f", "\u2011"];
    bits.push(
      "@",
      "a",
      "x.org",
      "DE89",
      "GB29",
      "NO93",
      "86011117947",
      ":",
      "::",
      "f",
      "ab",
      "2001",
      "sk-",
      "ghp_",
      "eyJ",
      "AKIA",
      "IOSFODNN7EXAMPLE",
    );
    bits.push(
      "_",
      "\n",
      "\t",
      String.raw`\n`,
      String.raw`\u0030`,
      String.raw`\\u0040`,
      "é",
      "中",
      '"',
      "[",
      "123-45-6789",
      "4915123456789",
      ",",
      "00",
      "49",
    );
    bits.push("＠", "４", "１１", "．", "，", "\u200b", "\u00ad", "\u2014", "card_", "iban_");
    for (let round = 0; round < 1500; round++) {
      const text = Array.from({ length: 2 + random(9) }, () => bits[random(bits.length)]).join("");
      const [alone, among] = [say(text), chat([...(say(text).input as JsonObject[]), { role: "user", content: "z@z.zz" }])];
      const [glance, look] = [await pass(host, alone, ANSWER), await pass(host, among, ANSWER)]; // oxlint-disable-line no-await-in-loop -- one after the other
      const first = ({ sent }: typeof look): unknown => (sent?.input as JsonObject[] | undefined)?.[0];
      assert.deepEqual(first(glance), first(look), JSON.stringify(text));
    }
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
  it("tells pieces from whole answers by what their choices have, and not by what they call themselves", async (t) => {
    const host = await open(t);
    const parts = ["to ann@exam", "ple.org or b", "ob"].map((content) => chunk({ content }));
    for (const name of [undefined, "", "chat.completion", 7]) {
      const pieces = await passStream(
        host,
        say("Hi"),
        [...parts, chunk({}, "stop")].map(({ id, choices }) => (name === undefined ? { id, choices } : { id, object: name, choices })),
      ); // oxlint-disable-line no-await-in-loop -- one stream after the other
      assert.deepEqual(spoken(pieces), { 0: "to [EMAIL] or bob" }, String(name));
    }
    const whole = completion({ content: "ann@example.org" }, { object: "chat.completion.chunk" });
    assert.equal(contentOf((await pass(host, say("Hi"), { response: whole })).result), "[EMAIL]");
    const { result } = await pass(host, say("Hi"), { response: { choices: [{ text: "ann@example.org", finish_reason: "stop" }] } });
    assert.deepEqual(result.response, { choices: [{ text: "[EMAIL]", finish_reason: "stop" }] });
    const odd = (text: string): JsonObject => ({
      choices: [text, { delta: text, message: { content: text } }, { delta: {}, message: text, note: [text] }],
    });
    assert.deepEqual((await pass(host, say("Hi"), { response: odd("ann@example.org") })).result.response, odd("[EMAIL]"));
  });

  const places: readonly (readonly [place: string, of: (text: string) => JsonObject])[] = [
    ["reasoning_content", (text) => ({ reasoning_content: text })],
    ["a text that is not known", (text) => ({ thoughts: text })],
    ["parts of a content", (text) => ({ content: [{ type: "text", text }] })],
    ["a transcript", (text) => ({ audio: { transcript: text } })],
    ["a call of a function", (text) => ({ function_call: { arguments: text } })],
    ["the input of a tool", (text) => ({ tool_calls: [{ index: 3, type: "custom", custom: { input: text } }] })],
    ["a summary", (text) => ({ reasoning_details: [{ type: "reasoning.summary", index: 0, summary: text }] })],
    ["a thought", (text) => ({ reasoning_details: [{ type: "reasoning.text", text }] })],
  ];
  /** The shape of a value, and all text in it but what is the same everywhere. */
  const textsOf = (value: unknown): string =>
    Array.isArray(value)
      ? value.map(textsOf).join("")
      : typeof value === "object" && value !== null
        ? Object.entries(value)
            .map(([name, each]) => (["type", "id"].includes(name) ? "" : textsOf(each)))
            .join("")
        : typeof value === "string"
          ? value
          : "";
  const shapeOf = (value: unknown): unknown =>
    JSON.parse(
      JSON.stringify(value, (name, each: unknown) => (typeof each === "string" && !["type"].includes(name) ? "" : name === "id" ? undefined : each)),
    );
  for (const [place, of] of places) {
    it(`follows ${place} over pieces`, async (t) => {
      const host = await open(t);
      const pieces = await passStream(host, say("Hi"), [
        ...["I am ann@exa", "mple.org, ", "not bo", "b"].map((text) => chunk(of(text))),
        chunk({}, "stop"),
      ]);
      const deltas = pieces.map((piece) => (piece["choices"] as readonly { readonly delta: JsonObject }[])[0]?.delta ?? {});
      // What stands for a number in JSON is a text.
      assert.equal(deltas.map(textsOf).join("").replaceAll('"', ""), "I am [EMAIL], not bob");
      assert.deepEqual(shapeOf(deltas.at(-1)), shapeOf(of("bob")), "what was held back comes as the text did");
    });
  }

  it("judges what comes whole by itself, and leaves its shape", async (t) => {
    const host = await open(t);
    const result = (title: string): JsonObject => ({
      anthropic_event: { type: "content_block_start", index: 1, content_block: { type: "web_search_tool_result", content: [{ title }] } },
    });
    const cited = (title: string): JsonObject => ({ annotations: [{ type: "url_citation", url_citation: { url: "https://x.org/a@b.org", title } }] });
    const pieces = await passStream(host, say("Hi"), [
      chunk(result("by ann@example.org and bob")),
      chunk(cited("of ann@example.org")),
      chunk({}, "stop"),
    ]);
    assert.deepEqual(pieces, [chunk(result("by [EMAIL] and bob")), chunk(cited("of [EMAIL]")), chunk({}, "stop")]);
  });

  it("takes away what tells a text that was changed or held back token by token", async (t) => {
    const host = await open(t);
    const logprobs = { content: [{ token: "ann@example.org", logprob: 0 }] };
    const choice = (part: JsonObject): JsonObject => ({ index: 0, logprobs, finish_reason: null, ...part });
    const { result } = await pass(host, say("Hi"), { response: { choices: [choice({ message: { content: "ann@example.org" } })] } });
    assert.deepEqual(result.response, { choices: [{ index: 0, logprobs: null, finish_reason: null, message: { content: "[EMAIL]" } }] });
    const kept = { response: { choices: [choice({ message: { content: "Hi." } })] } };
    assert.equal((await pass(host, say("Hi"), kept)).result, kept);
    const pieces = await passStream(
      host,
      say("Hi"),
      ["Hi. ", "ann@exam", "ple.org. ", ""].map((content) => ({ choices: [choice({ delta: { content } })] })),
    );
    const left = pieces.map((piece) => (piece["choices"] as readonly JsonObject[])[0]?.["logprobs"]);
    assert.deepEqual(left, [logprobs, null, null, null]);
  });

  it("ends with an error rather than forget what it holds back", async (t) => {
    const host = await open(t);
    const calls = Array.from({ length: 20 }, (_, index) => ({ index, function: { arguments: `{"a":"${"x".repeat(60)}@${"y".repeat(180)}` } }));
    await assert.rejects(passStream(host, say("Hi"), [chunk({ tool_calls: calls })]), { code: "MORTISE_HOOK_FAILED" });
    const few = await passStream(host, say("Hi"), [chunk({ tool_calls: calls.slice(0, 12) }), chunk({}, "tool_calls")]);
    assert.deepEqual(
      Object.values(spoken(few, "arguments")).map((text) => text.length),
      Array.from({ length: 12 }, () => 247),
    );
  });

  it("says nothing of its own where nothing changed", async (t) => {
    const host = await open(t);
    const piece = chunk({ content: "Hello, here I am. " });
    const [same] = await passStream(host, say("Hi"), [piece]);
    assert.equal(same, piece);
  });

  it("keeps a state that is no longer than what it holds back", async (t) => {
    const host = await open(t);
    const context = host.request();
    await passStream(host, say("Hi"), [chunk({ content: "It holds" }), chunk({ content: " the tenon" })], context);
    assert.equal(context.attributes.get("pii.s0"), "content:::0:5:tenon");
  });

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
      "＠",
      "\u200b",
      "\u00ad",
      "card_",
      "\\",
      String.raw`\\u0040`,
      "1111",
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
