// Answers reach clients byte for byte, whatever they are written in.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { PATHS, post, say, startStage } from "./start-gateway.ts";

describe("The answer of a model", () => {
  for (const length of [1, 10_000]) {
    it(`keeps characters outside of ASCII, ${length} times four of them`, async () => {
      await using stage = await startStage();
      const text = "äß€😀".repeat(length);
      const response = await post(`${stage.url}${PATHS.chat}`, say.chat(text));
      const bytes = Buffer.from(await response.arrayBuffer());
      assert.equal(response.headers.get("content-length"), String(bytes.length));
      assert.ok(bytes.includes(Buffer.from(text)));
    });
  }
});
