// Headers of clients that their model's server gets, where it speaks the client's own interface.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { grantFor, temporaryFile } from "../native/open-native.ts";
import { type Stage, post, say, startStage } from "./start-gateway.ts";

const NAMES = ["anthropic-beta", "openai-beta", "idempotency-key", "x-other", "authorization", "cookie"] as const;
const GIVEN = { "Anthropic-Beta": "a", "openai-beta": "o", "Idempotency-Key": "once", "x-other": "x", authorization: "Bearer c", cookie: "c" };

function seen({ standIn }: Stage): readonly unknown[] {
  return standIn.requests.map(({ headers }) => NAMES.map((name) => headers[name]));
}

describe("Headers of a client", { timeout: 15_000 }, () => {
  it("go along as far as the interface has them, and no others", async () => {
    await using stage = await startStage();
    await post(`${stage.url}/v1/chat/completions`, say.chat("a"), GIVEN);
    await post(`${stage.url}/v1/responses`, say.responses("a", { stream: true }), GIVEN);
    await post(`${stage.url}/v1/embeddings`, say.embeddings("a"), GIVEN);
    await post(`${stage.url}/v1/messages`, say.messages("a"), GIVEN);
    // In another interface than the client's, nothing goes along.
    await post(`${stage.url}/v1/messages`, say.messages("a", { model: "oai/m" }), GIVEN);
    const openai = [undefined, "o", "once", undefined, "Bearer sk-upstream", undefined];
    assert.deepEqual(seen(stage), [
      openai,
      openai,
      openai,
      ["a", undefined, "once", undefined, undefined, undefined],
      [undefined, undefined, undefined, undefined, "Bearer sk-upstream", undefined],
    ]);
  });

  it("that are too long or not of ASCII are left out", async () => {
    await using stage = await startStage();
    for (const value of ["x".repeat(1025), "gr\u00f6\u00dfer", " "])
      assert.equal((await post(`${stage.url}/v1/chat/completions`, say.chat("a"), { "openai-beta": value })).status, 200);
    assert.ok(stage.standIn.requests.every(({ headers }) => headers["openai-beta"] === undefined));
  });

  it("are as plugins left them", async (t) => {
    await using stage = await startStage();
    const source = `export function http_pre_hook(input) {
      const { request } = JSON.parse(new TextDecoder().decode(input));
      const { "OpenAI-Beta": _gone, ...headers } = request.headers;
      return JSON.stringify({ request: { ...request, headers: { ...headers, "Idempotency-Key": "of-the-plugin" } }, has_response: false });
    }`;
    const path = temporaryFile(t, "headers.mjs", source);
    await stage.gateway.host.plugins.load(path, { name: "headers", native: [grantFor(path)], digest: grantFor(path).digest });
    assert.equal((await post(`${stage.url}/v1/chat/completions`, say.chat("a"), GIVEN)).status, 200);
    const [sent] = stage.standIn.requests;
    assert.equal(sent?.headers["idempotency-key"], "of-the-plugin");
  });

  it("do not name a request that a plugin has asked once more as the same one", async () => {
    await using stage = await startStage();
    const again = { error: { message: "no" }, status_code: 422, extra_fields: { retry_with: [{ role: "user", content: "again" }] } };
    await stage.plugin("a", { post_hook: JSON.stringify({ response: null, error: again, has_error: true }) });
    await post(`${stage.url}/v1/chat/completions`, say.chat("a"), { "idempotency-key": "once" });
    assert.deepEqual(
      stage.standIn.requests.map(({ headers }) => headers["idempotency-key"]),
      ["once", undefined],
    );
  });
});
