// Embeddings: requests, and vectors in both encodings.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import type { JsonObject } from "mortise";

import {
  dimensionsOf,
  embeddingTexts,
  embeddingsBody,
  embeddingsOf,
  embeddingsResponse,
  readEmbeddings,
  readEmbeddingsResponse,
} from "../../../src/gateway/wires/index.ts";

describe("readEmbeddings()", () => {
  it("gives a list of texts, and the parameters", () => {
    const { api, llm, stream } = readEmbeddings({ model: "m", input: "a", dimensions: 8, user: "u", vendor_field: 1 });
    assert.deepEqual([api, stream], ["embeddings", false]);
    assert.deepEqual(llm, {
      request_type: "embedding",
      provider: "",
      model: "m",
      input: ["a"],
      params: { dimensions: 8, user: "u", vendor_field: 1 },
    });
    assert.equal(dimensionsOf(llm), 8);
    assert.deepEqual(readEmbeddings({ model: "m", input: ["a", "b"] }).llm.input, ["a", "b"]);
  });

  const refused: readonly (readonly [change: JsonObject, param: string])[] = [
    [{ input: undefined }, "input"],
    [{ input: 7 }, "input"],
    [{ input: [] }, "input"],
    [{ input: Array.from({ length: 2049 }, () => "a") }, "input"],
    [{ input: "" }, "input[0]"],
    [{ input: ["a", ""] }, "input[1]"],
    [{ input: [1, 2, 3] }, "input[0]"],
    [{ input: [[1, 2, 3]] }, "input[0]"],
    [{ model: undefined }, "model"],
    [{ dimensions: 0 }, "dimensions"],
    [{ encoding_format: "hex" }, "encoding_format"],
  ];
  for (const [change, param] of refused)
    it(`names the field that is wrong: ${param} ${JSON.stringify(change).slice(0, 40)}`, () => {
      assert.throws(
        () => readEmbeddings({ model: "m", input: "a", ...change }),
        (error: { readonly code?: unknown; readonly details?: JsonObject }) =>
          error.code === "MORTISE_GATEWAY_REQUEST" && error.details?.["param"] === param,
      );
    });

  it("says why tokens are not taken", () => {
    assert.throws(() => readEmbeddings({ model: "m", input: [[1]] }), { message: /input\[0\] must be text: numbers of tokens are not supported/ });
  });
});

describe("embeddingsBody()", () => {
  it("says what a plugin made of the request", () => {
    const { llm } = readEmbeddings({ model: "m", input: "a", dimensions: 8 });
    assert.deepEqual(embeddingsBody({ ...llm, model: "n", input: ["b"] }), { model: "n", input: ["b"], dimensions: 8 });
    assert.throws(() => embeddingTexts({ ...llm, input: [7] }), { code: "MORTISE_GATEWAY_REQUEST" });
  });
});

describe("embeddingsResponse()", () => {
  const vectors = [
    [0.5, -1],
    [0, 2],
  ];
  const embeddings = embeddingsOf(vectors, { model: "m", usage: { input_tokens: 3 } });

  it("gives numbers where nothing else is asked for", () => {
    assert.deepEqual(embeddingsResponse(embeddings, readEmbeddings({ model: "m", input: "a" })), {
      object: "list",
      data: [
        { object: "embedding", index: 0, embedding: [0.5, -1] },
        { object: "embedding", index: 1, embedding: [0, 2] },
      ],
      model: "m",
      usage: { prompt_tokens: 3, total_tokens: 3 },
    });
  });

  it("gives base64 of 32-bit floats where that is asked for", () => {
    const request = readEmbeddings({ model: "m", input: "a", encoding_format: "base64" });
    fc.assert(
      fc.property(fc.array(fc.float({ noNaN: true }), { minLength: 1 }), (vector) => {
        const { data } = embeddingsResponse(embeddingsOf([vector], { model: "m" }), request) as {
          readonly data: readonly { readonly embedding: string }[];
        };
        const bytes = Buffer.from(data[0]?.embedding ?? "", "base64");
        assert.deepEqual(
          Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4)),
          vector,
        );
      }),
    );
  });

  it("leaves base64 of a server as it is", () => {
    const request = readEmbeddings({ model: "m", input: "a", encoding_format: "base64" });
    const read = readEmbeddingsResponse({ object: "list", data: [{ object: "embedding", index: 0, embedding: "AAAAPw==" }], model: "m" });
    assert.deepEqual(embeddingsResponse(read, request)["data"], read.data);
    assert.deepEqual(read.usage, { prompt_tokens: 0, total_tokens: 0 });
  });

  for (const body of [{}, { data: {} }, { data: [7] }, { data: [{ embedding: 7 }] }])
    it(`refuses what is no answer: ${JSON.stringify(body)}`, () => {
      assert.throws(() => readEmbeddingsResponse(body), { code: "MORTISE_GATEWAY_UPSTREAM" });
    });
});
