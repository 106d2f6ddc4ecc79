// Whatever the common form says, each interface says it too: there and back nothing is lost.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import type { JsonObject } from "mortise";

import type { ClientRequest, Completion, CompletionChunk } from "../../../src/gateway/types.ts";
import { CLIENT_WIRES, assembleChunks, completionToChunks } from "../../../src/gateway/wires/index.ts";
import { completions, requests } from "./arbitraries.ts";
import { readChunks, readEvents } from "./read-events.ts";

const APIS = ["chat", "messages", "responses"] as const;
type Api = (typeof APIS)[number];

const REQUESTS: Readonly<Record<Api, ClientRequest>> = {
  chat: CLIENT_WIRES.chat.read({ model: "m", messages: [{ role: "user", content: "Hi" }], stream: true, stream_options: { include_usage: true } }),
  messages: CLIENT_WIRES.messages.read({ model: "m", max_tokens: 9, messages: [{ role: "user", content: "Hi" }], stream: true }),
  responses: CLIENT_WIRES.responses.read({ model: "m", input: "Hi", stream: true }),
};

const PREFIXES: Readonly<Record<Api, string>> = { chat: "", messages: "msg_", responses: "resp_" };

/** What must be the same: the interface's own id, and thoughts without the ids that it gives them. */
function comparable(completion: Completion, api: Api): JsonObject {
  const { id, created, choices, ...rest } = completion;
  const [choice = {}] = choices;
  const { message, ...others } = choice;
  const { reasoning_details: details, ...said } = message as JsonObject;
  return {
    ...rest,
    id: id.startsWith(PREFIXES[api]) ? id.slice(PREFIXES[api].length) : id,
    // Anthropic does not tell the time.
    created: api === "messages" ? 0 : created,
    choice: { ...others, message: { ...said, ...(details === undefined ? {} : { reasoning_details: (details as JsonObject[]).map(withoutId) }) } },
  };
}

function withoutId({ id: _id, ...detail }: JsonObject): JsonObject {
  return detail;
}

/** The interfaces with items give each thought an id, which makes an entry of it. */
function expected(completion: Completion, api: Api): JsonObject {
  const whole = comparable(completion, api) as { readonly choice: { readonly message: JsonObject } } & JsonObject;
  const { message } = whole.choice;
  if (api !== "responses" || message["reasoning"] === undefined || message["reasoning_details"] !== undefined) return whole;
  return {
    ...whole,
    choice: { ...whole.choice, message: { ...message, reasoning_details: [{ type: "reasoning.text", text: message["reasoning"] }] } },
  };
}

/** JSON as it crosses a network. */
const sent = (body: JsonObject): JsonObject => JSON.parse(JSON.stringify(body)) as JsonObject;

describe("response() and readResponse()", () => {
  for (const api of APIS)
    it(`keep an answer: ${api}`, () => {
      const wire = CLIENT_WIRES[api];
      fc.assert(
        fc.property(completions, (completion) => {
          const back = wire.readResponse(sent(wire.response(completion, REQUESTS[api])));
          assert.deepEqual(comparable(back, api), expected(completion, api));
        }),
      );
    });
});

/** The same answer in more, smaller chunks: each text is cut at the places given. */
function cutChunks(completion: Completion, size: number): CompletionChunk[] {
  return completionToChunks(completion).flatMap((chunk) => {
    const [choice] = chunk.choices;
    const { content, tool_calls: calls, reasoning_details: details, reasoning, ...rest } = (choice?.["delta"] ?? {}) as JsonObject;
    if (choice === undefined || choice["finish_reason"] !== null) return [chunk];
    const deltas: JsonObject[] = [rest];
    const cut = (text: string, piece: (part: string) => JsonObject): void => {
      for (let from = 0; from < text.length; from += size) deltas.push(piece(text.slice(from, from + size)));
    };
    if (typeof reasoning === "string") cut(reasoning, (part) => ({ reasoning: part }));
    for (const detail of (details ?? []) as JsonObject[]) {
      if (typeof detail["text"] !== "string") deltas.push({ reasoning_details: [detail] });
      else {
        cut(detail["text"], (part) => ({ reasoning: part }));
        if (detail["signature"] !== undefined) deltas.push({ reasoning_details: [{ ...detail, text: "" }] });
      }
    }
    if (typeof content === "string") cut(content, (part) => ({ content: part }));
    for (const call of (calls ?? []) as JsonObject[]) {
      const { function: called, ...known } = call as { readonly function: { readonly name: string; readonly arguments: string } } & JsonObject;
      deltas.push({ tool_calls: [{ ...known, function: { name: called.name, arguments: "" } }] });
      cut(called.arguments, (part) => ({ tool_calls: [{ index: known["index"], function: { arguments: part } }] }));
    }
    const withDelta = (delta: JsonObject): CompletionChunk => ({ ...chunk, choices: [{ ...choice, delta }] });
    return deltas.map(withDelta);
  });
}

describe("stream() and streamReader()", () => {
  for (const api of APIS)
    it(`keep an answer in chunks of any size: ${api}`, async () => {
      await fc.assert(
        fc.asyncProperty(completions, fc.integer({ min: 1, max: 8 }), async (completion, size) => {
          const writer = CLIENT_WIRES[api].stream(REQUESTS[api], completion);
          const text =
            cutChunks(completion, size)
              .map((chunk) => writer.push(chunk))
              .join("") + writer.end();
          const assembly = assembleChunks();
          for (const chunk of await readChunks(text, CLIENT_WIRES[api].streamReader())) assembly.push(chunk);
          assert.deepEqual(comparable(assembly.completion(), api), expected(completion, api));
        }),
      );
    });

  for (const api of APIS)
    it(`write events that can be cut at any place: ${api}`, async () => {
      const [completion] = fc.sample(completions, { numRuns: 1, seed: 7 }) as [Completion];
      const writer = CLIENT_WIRES[api].stream(REQUESTS[api], completion);
      const bytes = Buffer.from(
        completionToChunks(completion)
          .map((chunk) => writer.push(chunk))
          .join("") + writer.end(),
      );
      const whole = await readEvents([bytes]);
      for (let at = 0; at <= bytes.length; at++) assert.deepEqual(await readEvents([bytes.subarray(0, at), bytes.subarray(at)]), whole);
      assert.deepEqual(await readEvents(Array.from(bytes, (byte) => Buffer.of(byte))), whole);
    });
});

describe("assembleChunks() and completionToChunks()", () => {
  it("keep an answer", () => {
    fc.assert(
      fc.property(completions, (completion) => {
        const assembly = assembleChunks();
        for (const chunk of completionToChunks(completion)) assembly.push(sent(chunk) as never);
        assert.deepEqual(comparable(assembly.completion(), "chat"), comparable(completion, "chat"));
      }),
    );
  });
});

describe("body() and read()", () => {
  for (const api of APIS)
    it(`keep a request: ${api}`, () => {
      const wire = CLIENT_WIRES[api];
      fc.assert(
        fc.property(requests, ({ input, params }) => {
          const llm = { ...REQUESTS[api].llm, model: "other", input, params };
          const back = wire.read(sent(wire.body(llm, REQUESTS[api]))).llm;
          assert.deepEqual({ ...back, input: (back.input as JsonObject[]).map(same) }, { ...llm, input: input.map(same) });
        }),
      );
    });
});

/** Text of a user may come back as a list with that text, and thoughts with ids. */
function same(message: JsonObject): JsonObject {
  const { role, content, reasoning_details: details } = message;
  if (role === "user" && typeof content === "string") return { role, content: [{ type: "text", text: content }] };
  return Array.isArray(details) ? { ...message, reasoning_details: (details as JsonObject[]).map(withoutId) } : message;
}

describe("read() of any JSON", () => {
  for (const api of APIS)
    it(`ends with a request or an error that names a field: ${api}`, () => {
      const keys = [
        "model",
        "messages",
        "input",
        "system",
        "tools",
        "tool_choice",
        "max_tokens",
        "role",
        "content",
        "type",
        "text",
        "source",
        "image_url",
        "url",
        "function",
        "name",
      ];
      const { value } = fc.letrec<{ value: unknown }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 5 },
          fc.constantFrom<unknown>(
            null,
            true,
            7,
            "",
            "text",
            "user",
            "assistant",
            "tool",
            "image",
            "tool_use",
            "tool_result",
            "function",
            "function_call",
          ),
          fc.array(tie("value"), { maxLength: 3 }),
          fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 5, noNullPrototype: true }),
        ),
      }));
      fc.assert(
        fc.property(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 8, noNullPrototype: true }), (body) => {
          try {
            CLIENT_WIRES[api].read({ model: "m", max_tokens: 1, ...body });
          } catch (error) {
            assert.equal((error as { readonly code?: unknown }).code, "MORTISE_GATEWAY_REQUEST", String(error));
          }
        }),
        { numRuns: 500 },
      );
    });
});

describe("readResponse() and streamReader() of any JSON", () => {
  for (const api of APIS)
    it(`end with an answer or MORTISE_GATEWAY_UPSTREAM: ${api}`, async () => {
      const types = [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "message_delta",
        "response.created",
        "response.output_item.added",
        "response.output_text.delta",
        "response.completed",
        "response.function_call_arguments.delta",
        "error",
        "text",
        "tool_use",
        "function_call",
        "reasoning",
      ];
      const keys = [
        "type",
        "choices",
        "delta",
        "message",
        "content",
        "content_block",
        "item",
        "response",
        "output",
        "usage",
        "index",
        "output_index",
        "id",
        "model",
        "error",
        "tool_calls",
        "finish_reason",
      ];
      const { value } = fc.letrec<{ value: unknown }>((tie) => ({
        value: fc.oneof(
          { maxDepth: 4 },
          fc.constantFrom<unknown>(null, true, 7, "", ...types),
          fc.array(tie("value"), { maxLength: 3 }),
          fc.dictionary(fc.constantFrom(...keys), tie("value"), { maxKeys: 5, noNullPrototype: true }),
        ),
      }));
      const survives = (act: () => void): void => {
        try {
          act();
        } catch (error) {
          assert.equal((error as { readonly code?: unknown }).code, "MORTISE_GATEWAY_UPSTREAM", String(error));
        }
      };
      await fc.assert(
        fc.asyncProperty(
          fc.array(fc.dictionary(fc.constantFrom(...keys), value, { maxKeys: 6, noNullPrototype: true }), { maxLength: 4 }),
          async (bodies) => {
            const reader = CLIENT_WIRES[api].streamReader();
            const writer = CLIENT_WIRES[api].stream(REQUESTS[api], { id: "a", created: 1 });
            const assembly = assembleChunks();
            let written = "";
            for (const body of bodies) {
              survives(() => void CLIENT_WIRES[api].response(CLIENT_WIRES[api].readResponse(body), REQUESTS[api]));
              survives(() => {
                for (const chunk of reader.push({ data: JSON.stringify(body) })) {
                  assembly.push(chunk);
                  written += writer.push(chunk);
                }
              });
            }
            assembly.completion();
            for (const { data } of await readEvents([Buffer.from(written + writer.end())]))
              assert.doesNotThrow(() => data === "[DONE]" || JSON.parse(data));
          },
        ),
        { numRuns: 500 },
      );
    });
});
