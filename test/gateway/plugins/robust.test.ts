// All plugins of the gateway: whatever they are given, they do not trap, and what decides lets nothing pass that it did not read.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type JsonObject, type LoadOptions, type PluginOutput, isMortiseError } from "../../../src/index.ts";
import { answerOf, completed } from "./completed.ts";
import { loadInto, openGateway, randomNumbers, say } from "./open-gateway.ts";

/** A plugin, a configuration, and its functions. */
const PLUGINS: readonly (readonly [file: string, config: LoadOptions["config"], functions: readonly string[]])[] = [
  ["gateway_pii.rs", { restore: true }, ["pre_hook", "post_hook"]],
  ["gateway_guard.c", { deny: ["blue cheese"] }, ["pre_hook"]],
  ["gateway_budget.ts", { tokens: 1_000_000_000, window: "day" }, ["pre_hook", "on_usage"]],
  ["gateway_schema.rs", {}, ["pre_hook", "post_hook"]],
  ["gateway_audit.ts", { texts: true }, ["on_completion", "verify"]],
  ["gateway_cache.ts", { always: true }, ["pre_hook", "on_completion"]],
];
/** Failures that are the host's answer to what a plugin passed on to a service: coded, and not of the plugin's memory. */
const ALLOWED: ReadonlySet<string> = new Set(["MORTISE_SERVICE_ARGUMENT", "MORTISE_BAD_TEXT", "MORTISE_STORE_QUOTA"]);

const REQUEST = say('Mail ann@example.org 😀 \u0001 "quoted" \\ and call 4111 1111 1111 1111', {
  params: { temperature: 0, response_format: { type: "json_schema", json_schema: { schema: { type: "object" } } } },
});
const RESPONSE = answerOf(10, '{"a": "ann@example.org [EMAIL_1]"}').response;
const MESSAGES: Readonly<Record<string, (context: JsonObject) => JsonObject>> = {
  pre_hook: (context) => ({ context, request: { ...REQUEST, chat_request: REQUEST } }),
  post_hook: (context) => ({ context, response: RESPONSE, error: {}, has_error: false }),
  on_completion: (context) => ({ input: completed(REQUEST, { response: RESPONSE ?? {} }, { id: "r", attributes: new Map() } as never), context }),
  on_usage: (context) => ({ input: { usage: { total_tokens: 12 }, answered: true, stream: false, attempts: 1 }, context: { attributes: context } }),
  verify: () => ({}),
};

describe("Plugins of the gateway", () => {
  for (const [file, config, functions] of PLUGINS) {
    it(`do not trap on broken messages: ${file}`, async (t) => {
      const host = await openGateway(t);
      await loadInto(host, file, config);
      const plugin = host.plugins.list()[0]?.name ?? "";
      const call = async (name: string, input: string | Uint8Array): Promise<PluginOutput | undefined> => {
        const context = host.request({ attributes: { client: "ann" } });
        try {
          return await host.plugins.get(plugin)?.call(name, input, { context });
        } catch (error) {
          assert.ok(isMortiseError(error) && ALLOWED.has(error.code), `${name}: ${String(error)}`);
          return undefined;
        }
      };
      const random = randomNumbers(21);
      for (const name of functions) {
        const whole = JSON.stringify(
          MESSAGES[name]?.({ request_id: "r", "pii.s0": '[["content","x","ann@",""]]', "schema.count": "1", "schema.0": "{}" }),
        );
        const bytes = Buffer.from(whole);
        const inputs: Uint8Array[] = [
          "",
          "{",
          "null",
          "[]",
          '"',
          '{"',
          '{"request":',
          '{"input":{"request"',
          "\\".repeat(50),
          "[".repeat(100_000),
        ].map((text) => Buffer.from(text));
        for (let cut = 0; cut < bytes.length; cut += 7) inputs.push(bytes.subarray(0, cut));
        for (let round = 0; round < 150; round++) {
          const copy = Buffer.from(bytes);
          for (let change = random(4); change >= 0; change--) copy[random(copy.length)] = random(256);
          inputs.push(copy);
        }
        for (const input of inputs) {
          const output = await call(name, input); // oxlint-disable-line no-await-in-loop -- one after the other
          // What was written must be JSON, or nothing.
          if (output !== undefined && output.length > 0 && Buffer.from(input).toString().isWellFormed()) {
            if (input.every((byte) => byte < 0x80)) assert.doesNotThrow(() => output.json(), `${name} of ${Buffer.from(input).toString()}`);
          }
        }
      }
    });
  }

  for (const file of ["gateway_pii.rs", "gateway_guard.c"]) {
    it(`say that they cannot read a request that is cut off: ${file}`, async (t) => {
      const host = await openGateway(t);
      await loadInto(host, file);
      const plugin = host.plugins.list()[0]?.name ?? "";
      const whole = JSON.stringify({ context: {}, request: say("quite harmless") });
      const end = whole.indexOf("]") + 1;
      for (let cut = 0; cut < end; cut++) {
        const output = await host.plugins.get(plugin)?.call("pre_hook", whole.slice(0, cut)); // oxlint-disable-line no-await-in-loop -- one after the other
        assert.match(output?.text() ?? "", /"error"/, `cut at ${cut}`);
      }
    });
  }

  it("take inputs of several megabytes", async (t) => {
    const host = await openGateway(t, { spelling: "flat" });
    for (const [file, config] of PLUGINS) await loadInto(host, file, config, { limits: { timeoutMs: 20_000, memoryBytes: 256 << 20 } }); // oxlint-disable-line no-await-in-loop -- one after the other
    const long = say("plain words and nothing else ".repeat(150_000));
    const context = host.request({ attributes: { client: "ann" } });
    const answer = answerOf(5, "word ".repeat(800_000));
    const result = await host.hooks.llm(long, async (sent) => (assert.equal(sent, long), answer), { request: context });
    assert.equal(result, answer);
    await host.hooks.completed(completed(long, answer, context), { request: context });
  });

  it("work together in one request", async (t) => {
    const host = await openGateway(t);
    for (const [order, [file, config]] of PLUGINS.entries()) await loadInto(host, file, config, { order }); // oxlint-disable-line no-await-in-loop -- in order
    const context = host.request({ attributes: { client: "ann" } });
    const seen: unknown[] = [];
    const result = await host.hooks.llm(
      REQUEST,
      async (sent) => {
        seen.push(sent.input);
        return answerOf(10, '{"to": "[EMAIL_1]"}');
      },
      { request: context },
    );
    assert.deepEqual(JSON.stringify(seen).match(/\[[A-Z]+_1\]/g), ["[EMAIL_1]", "[CARD_1]"]);
    assert.deepEqual(result, answerOf(10, '{"to": "ann@example.org"}'));
  });
});
