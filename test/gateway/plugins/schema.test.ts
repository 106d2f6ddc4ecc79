// gateway_schema: answers that have to fit a JSON schema, and what the model is asked when one does not.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { JsonObject, LlmError, LlmRequest, LoadOptions } from "../../../src/index.ts";
import { type Gateway, chunk, completion, loadInto, openGateway, pass, passStream, say, spoken } from "./open-gateway.ts";

const SCHEMA = "gateway_schema.rs";

const asking = (schema: unknown): LlmRequest =>
  say("Hi", { params: { response_format: { type: "json_schema", json_schema: { name: "x", schema } } } });

async function open(
  t: Parameters<typeof openGateway>[0],
  config: LoadOptions["config"] = {},
  spelling: "all" | "flat" | "snake" | "go" = "all",
): Promise<Gateway> {
  const host = await openGateway(t, { spelling });
  await loadInto(host, SCHEMA, config);
  return host;
}

/** The error that becomes of an answer; undefined if it passes as it is. */
async function judged(host: Gateway, request: LlmRequest, message: JsonObject, more: JsonObject = {}): Promise<LlmError | undefined> {
  const answer = { response: completion(message, more) };
  const { result } = await pass(host, request, answer);
  if (result.error === undefined) assert.equal(result, answer);
  return result.error;
}

const reasonOf = (error: LlmError | undefined): string | undefined => error?.error.message.replace(/^.*?schema: /, "");

const PERSON = {
  type: "object",
  properties: {
    name: { type: "string", minLength: 1 },
    age: { type: "integer", minimum: 0 },
    tags: { type: "array", items: { type: "string" }, maxItems: 2 },
  },
  required: ["name"],
  additionalProperties: false,
};
const NODE = {
  $ref: "#/$defs/node",
  $defs: {
    node: {
      type: "object",
      properties: { value: { type: "number" }, next: { anyOf: [{ type: "null" }, { $ref: "#/$defs/node" }] } },
      required: ["value"],
    },
  },
};

/** A schema, values that fit it, and values that do not with what is said of them. */
const CASES: readonly (readonly [schema: unknown, fits: readonly unknown[], faults: readonly (readonly [value: unknown, reason: RegExp])[]])[] = [
  [
    PERSON,
    [{ name: "Ann" }, { name: "Ann", age: 0, tags: ["a", "b"] }, { name: "é", age: 3.0 }],
    [
      [{ age: 5 }, /^the whole value has no member "name"$/],
      [{ name: "" }, /^\/name has fewer than 1 characters$/],
      [{ name: "Ann", age: -1 }, /^\/age is less than 0$/],
      [{ name: "Ann", age: 1.5 }, /^\/age is of type number, but must be of type integer$/],
      [{ name: "Ann", tags: ["a", 5] }, /^\/tags\/1 is of type number, but must be of type string$/],
      [{ name: "Ann", tags: ["a", "b", "c"] }, /^\/tags has more than 2 elements$/],
      [{ name: "Ann", "a/b~c": 1 }, /^\/a~1b~0c is a member that is not allowed$/],
      [[], /is of type array, but must be of type object$/],
    ],
  ],
  [
    NODE,
    [{ value: 1 }, { value: 1, next: { value: 2, next: null } }],
    [[{ value: 1, next: { value: "x" } }, /^\/next fits none of 2 schemas, of the first because \/next is of type object/]],
  ],
  [
    { enum: [1, "a", null, { x: [1] }] },
    [1.0, "a", null, { x: [1] }],
    [
      [2, /must be one of \[1,"a",null/],
      [{ x: [2] }, /must be one of/],
    ],
  ],
  [{ const: { a: 1, b: 2 } }, [{ b: 2, a: 1 }], [[{ a: 1 }, /must be \{"a":1,"b":2\}/]]],
  [{ type: ["string", "null"] }, ["x", null], [[5, /must be of type string or null/]]],
  [
    { exclusiveMinimum: 0, maximum: 1e3 },
    [0.5, 1000, "no number"],
    [
      [0, /is not more than 0/],
      [1000.5, /is more than 1000/],
    ],
  ],
  [
    { minLength: 2, maxLength: 3 },
    ["😀😀", "abc", 5],
    [
      ["😀", /fewer than 2/],
      ["abcd", /more than 3/],
    ],
  ],
  [
    { prefixItems: [{ type: "number" }, { type: "string" }], items: false, minItems: 1 },
    [[1], [1, "a"]],
    [
      [["a"], /^\/0 /],
      [[1, "a", 2], /^\/2 must not be there/],
      [[], /fewer than 1/],
    ],
  ],
  [
    { additionalProperties: { type: "number" }, minProperties: 1, maxProperties: 2 },
    [{ a: 1 }],
    [
      [{ a: "x" }, /^\/a is of type/],
      [{}, /fewer than 1/],
      [{ a: 1, b: 2, c: 3 }, /more than 2/],
    ],
  ],
  [{ oneOf: [{ type: "number" }, { minimum: 5 }] }, [3, "x"], [[7, /more than one/]]],
  [
    { allOf: [{ type: "number" }, { minimum: 5 }] },
    [5],
    [
      [4, /less than 5/],
      ["x", /type string/],
    ],
  ],
  [{ not: { type: "string" } }, [1], [["x", /fits the schema in "not"/]]],
  [
    { uniqueItems: true },
    [[1, "1"]],
    [
      [
        [
          { a: 1, b: 2 },
          { b: 2, a: 1 },
        ],
        /^\/1 is there twice/,
      ],
    ],
  ],
  [
    { pattern: String.raw`^[A-Z]{2}-\d{3,}[^x]?$` },
    ["AB-123", "AB-12345y"],
    [
      ["AB-12", /does not match the pattern/],
      ["ABC-123", /pattern/],
      ["AB-123x", /pattern/],
    ],
  ],
  [{ pattern: "b+c*" }, ["abbb", "b"], [["ac", /pattern/]]],
  [true, [1, null], []],
  [{ type: "string", format: "email", description: "anything", examples: [1] }, ["no address"], []],
];

describe("gateway_schema", () => {
  for (const [schema, fits, faults] of CASES) {
    it(`checks ${JSON.stringify(schema).slice(0, 70)}`, async (t) => {
      const host = await open(t);
      for (const value of fits)
        assert.equal(await judged(host, asking(schema), { content: ` ${JSON.stringify(value)}\n` }), undefined, JSON.stringify(value)); // oxlint-disable-line no-await-in-loop -- one after the other
      for (const [value, reason] of faults)
        assert.match(reasonOf(await judged(host, asking(schema), { content: JSON.stringify(value) })) ?? "", reason); // oxlint-disable-line no-await-in-loop -- one after the other
    });
  }

  it("has the model asked once more, with its answer and what is wrong with it", async (t) => {
    const host = await open(t);
    const error = await judged(host, asking(PERSON), { content: '{"name":5}' });
    assert.deepEqual(error, {
      status_code: 502,
      allow_fallbacks: false,
      type: "schema_mismatch",
      error: {
        message: "The answer does not fit the JSON schema: /name is of type number, but must be of type string",
        type: "schema_mismatch",
        code: "schema_mismatch",
      },
      extra_fields: {
        retry_with: [
          { role: "assistant", content: '{"name":5}' },
          {
            role: "user",
            content:
              "That does not fit the required JSON schema: /name is of type number, but must be of type string. Answer again, with JSON that fits the schema and nothing else.",
          },
        ],
      },
    });
  });

  const answers: readonly (readonly [what: string, message: JsonObject, more: JsonObject, reason: RegExp | undefined])[] = [
    ["text that is no JSON", { content: "Sure! {}" }, {}, /not JSON/],
    ["JSON in a fence", { content: '```json\n{"name":"Ann"}\n```' }, {}, /not JSON/],
    ["nothing", { content: "" }, {}, /not JSON/],
    [
      "JSON that is cut off",
      { content: '{"name":' },
      { choices: [{ index: 0, message: { content: '{"name":' }, finish_reason: "length" }] },
      /cut off/,
    ],
    ["JSON that is nested too deeply", { content: "[".repeat(5000) + "]".repeat(5000) }, {}, /64 levels/],
    ["half of a surrogate pair", { content: String.raw`{"name":"\ud83d"}` }, {}, undefined],
    ["calls of tools", { content: null, tool_calls: [{ id: "1", type: "function", function: { name: "f", arguments: "{}" } }] }, {}, undefined],
    ["a refusal", { content: null, refusal: "No." }, {}, undefined],
    [
      "an answer in parts",
      {
        content: [
          { type: "text", text: '{"name"' },
          { type: "text", text: ':"Ann"}' },
        ],
      },
      {},
      undefined,
    ],
    [
      "a second choice that does not fit",
      { content: "{}" },
      {
        choices: [
          { index: 0, message: { content: '{"name":"Ann"}' } },
          { index: 1, message: { content: "{}" } },
        ],
      },
      /no member/,
    ],
  ];
  for (const [what, message, more, reason] of answers) {
    it(`${reason === undefined ? "lets pass" : "refuses"} ${what}`, async (t) => {
      const said = reasonOf(await judged(await open(t), asking(PERSON), message, more));
      if (reason === undefined) assert.equal(said, undefined);
      else assert.match(said ?? "", reason);
    });
  }

  it("does not look at answers to requests without a schema, at errors, and at vectors", async (t) => {
    const host = await open(t);
    assert.equal(await judged(host, say("Hi"), { content: "plain" }), undefined);
    assert.equal(await judged(host, say("Hi", { params: { response_format: { type: "json_object" } } }), { content: "plain" }), undefined);
    const failed = { error: { status_code: 500, error: { message: "down" } } };
    assert.equal((await pass(host, asking(PERSON), failed)).result, failed);
    const configured = await open(t, { schema: PERSON });
    const vectors = { response: { object: "list", data: [] } };
    assert.equal((await pass(configured, say("Hi", { request_type: "embedding" }), vectors)).result, vectors);
  });

  it("checks against the configured schema where a request has none of its own", async (t) => {
    for (const schema of [PERSON, JSON.stringify(PERSON)]) {
      const host = await open(t, { schema }); // oxlint-disable-line no-await-in-loop -- one after the other
      assert.match(reasonOf(await judged(host, say("Hi"), { content: "{}" })) ?? "", /no member "name"/); // oxlint-disable-line no-await-in-loop -- one after the other
      assert.equal(await judged(host, asking({ type: "number" }), { content: "5" }), undefined); // oxlint-disable-line no-await-in-loop -- one after the other
    }
  });

  for (const spelling of ["flat", "snake", "go"] as const) {
    it(`reads requests and answers in the spelling ${spelling}`, async (t) => {
      const host = await open(t, {}, spelling);
      assert.match(reasonOf(await judged(host, asking(PERSON), { content: "{}" })) ?? "", /no member/);
      assert.equal(await judged(host, asking(PERSON), { content: '{"name":"x"}' }), undefined);
    });
  }

  it("keeps large schemas in as many attributes as they take, and refuses those that take too many", async (t) => {
    const host = await open(t);
    const large = (count: number): JsonObject => ({
      ...PERSON,
      properties: {
        ...PERSON.properties,
        ...Object.fromEntries(Array.from({ length: count }, (_, index) => [`é${index}`, { type: "string", description: "ü".repeat(20) }])),
      },
    });
    assert.match(reasonOf(await judged(host, asking(large(500)), { content: '{"name":"x","é499":1}' })) ?? "", /^\/é499 is of type number/);
    assert.equal(await judged(host, asking(large(500)), { content: '{"name":"x","é499":"y"}' }), undefined);
    const { sent, result } = await pass(host, asking(large(2000)), { response: {} });
    assert.deepEqual([sent, result.error?.error.code, result.error?.status_code], [undefined, "schema_too_large", 400]);
  });

  const unsupported: readonly (readonly [schema: unknown, reason: RegExp])[] = [
    [{ if: {} }, /"if" is not known/],
    [{ properties: { a: { patternProperties: {} } } }, /"patternProperties"/],
    [{ pattern: "(a|b)+" }, /simple/],
    [{ pattern: String.raw`\bword` }, /simple/],
    [{ $ref: "https://example.org/schema" }, /"\$ref"/],
    [{ $ref: "#/$defs/none" }, /"\$ref"/],
    [{ type: "text" }, /"type"/],
    [{ items: [{}] }, /neither an object/],
    [{ anyOf: [] }, /"anyOf"/],
    [{ minLength: -1 }, /"minLength"/],
    [5, /neither an object/],
  ];
  for (const [schema, reason] of unsupported) {
    it(`refuses a request whose schema it cannot check: ${JSON.stringify(schema)}`, async (t) => {
      const { sent, result } = await pass(await open(t), asking(schema), { response: completion({ content: "{}" }) });
      assert.deepEqual([sent, result.error?.error.code, result.error?.status_code], [undefined, "schema_unsupported", 400]);
      assert.match(result.error?.error.message ?? "", reason);
    });
  }

  it("passes over what it does not know if it is told to", async (t) => {
    const host = await open(t, { unsupported: "ignore" });
    assert.equal(await judged(host, asking({ if: {}, type: "object" }), { content: "{}" }), undefined);
    assert.match(reasonOf(await judged(host, asking({ if: {}, type: "object" }), { content: "5" })) ?? "", /must be of type object/);
  });

  it("ends with schemas that refer to themselves, and with values that take too long", async (t) => {
    const host = await open(t);
    assert.match(reasonOf(await judged(host, asking({ $ref: "#" }), { content: "5" })) ?? "", /too many steps/);
    const doubling = { $defs: { a: { anyOf: [{ $ref: "#/$defs/a" }, { $ref: "#/$defs/a" }] } }, $ref: "#/$defs/a" };
    assert.match(reasonOf(await judged(host, asking(doubling), { content: "5" })) ?? "", /too many steps/);
    const many = JSON.stringify(Array.from({ length: 3000 }, (_, index) => index));
    assert.match(reasonOf(await judged(host, asking({ uniqueItems: true }), { content: many })) ?? "", /too many steps/);
    const slow = { pattern: `^${"a*".repeat(200)}b$` };
    assert.match(reasonOf(await judged(host, asking(slow), { content: JSON.stringify("a".repeat(2000)) })) ?? "", /pattern/);
  });

  it("takes a check that was not finished for none, wherever in the schema it was", async (t) => {
    const host = await open(t);
    const endless = { $defs: { a: { anyOf: [{ allOf: [{ $ref: "#/$defs/a" }] }, { type: "string" }] } } };
    const a = { $ref: "#/$defs/a" };
    const schemas = [
      { not: a },
      { not: { not: { not: a } } },
      { oneOf: [a, { type: "number" }] },
      { not: { uniqueItems: true } },
      { anyOf: [{ not: a }, {}] },
    ];
    const many = Array.from({ length: 3000 }, (_, index) => index);
    for (const schema of schemas) {
      const content = JSON.stringify(JSON.stringify(schema).includes("unique") ? many : 5);
      assert.match(reasonOf(await judged(host, asking({ ...endless, ...schema }), { content })) ?? "", /too many steps/, JSON.stringify(schema)); // oxlint-disable-line no-await-in-loop -- one after the other
    }
  });

  const doubled: readonly (readonly [content: string, reason: RegExp])[] = [
    ['{"name":"Ann","name":"Eve"}', /^the whole value has the member "name" twice$/],
    [String.raw`{"name":"Ann","n\u0061me":5}`, /^the whole value has the member "name" twice$/],
    ['{"name":"Ann","tags":[{"x/y":{"b":1,"a":2,"b":1}}]}', /^\/tags\/0\/x~1y has the member "b" twice$/],
  ];
  for (const [content, reason] of doubled) {
    it(`refuses ${content}, of which readers would take one or the other`, async (t) => {
      assert.match(reasonOf(await judged(await open(t), asking({ type: "object" }), { content })) ?? "", reason);
    });
  }

  it("refuses streams, which are sent before they can be checked, or lets them pass", async (t) => {
    const stream = { ...asking(PERSON), request_type: "chat_completion_stream" };
    const { sent, result } = await pass(await open(t), stream, { response: {} });
    assert.deepEqual([sent, result.error?.error.code, result.error?.status_code], [undefined, "schema_stream", 400]);
    assert.match(result.error?.error.message ?? "", /ask for it without "stream"/);
    const pieces = await passStream(await open(t, { streams: "pass" }), asking(PERSON), [chunk({ content: "no JSON" }), chunk({}, "stop")]);
    assert.deepEqual(spoken(pieces), { 0: "no JSON" });
  });

  it("tells whole answers from pieces by what their choices have, and not by what they call themselves", async (t) => {
    const answer = { content: "no JSON" };
    assert.ok(await judged(await open(t), asking(PERSON), answer, { object: "chat.completion.chunk" }));
    const host = await open(t);
    const { object: _object, ...piece } = chunk(answer);
    const passed = { response: piece };
    assert.equal((await pass(host, asking(PERSON), passed)).result, passed);
  });

  it("forgets the schema of an attempt before", async (t) => {
    const host = await open(t);
    const context = host.request();
    await pass(host, asking(PERSON), { response: completion({ content: "{}" }) }, context);
    const answer = { response: completion({ content: "plain" }) };
    assert.equal((await pass(host, say("Hi"), answer, context)).result, answer);
  });

  const wrong: readonly Readonly<Record<string, unknown>>[] = [{ schema: "no JSON" }, { schema: { if: {} } }, { streams: "maybe" }, { extra: 1 }];
  for (const config of wrong) {
    it(`does not start with the configuration ${JSON.stringify(config)}`, async (t) => {
      await assert.rejects(open(t, config as never), { code: "MORTISE_RETURN_CODE" });
    });
  }
});
