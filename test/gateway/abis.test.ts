// Plugins of every interface in the gateway's hooks: Bifrost's three generations, HeliosProxy's, Extism's, and native ones.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { grantFor, temporaryFile } from "../native/open-native.ts";
import { assembleText } from "../wasm/assemble.ts";
import { type Stage, completion, json, post, say, sentTo, startStage, textOf } from "./start-gateway.ts";

const ATTRIBUTES = { attributes: { write: ["*"] } };
const CIRCUIT = JSON.stringify({ short_circuit: { response: completion("from a plugin") } });

const prebuilt = (name: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(readFileSync(new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url)));
const ask = (stage: Stage, body: object): Promise<Response> => post(`${stage.url}/v1/chat/completions`, body);

/** A module over an exported memory whose `pre_hook` gives a text. */
function linear(allocator: string, free: string, text: string): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = Array.from(Buffer.from(text), (byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");
  const packed = (16n << 32n) | BigInt(Buffer.byteLength(text));
  return assembleText(
    "linear",
    `(module (memory (export "memory") 4) (data (i32.const 16) "${bytes}") (global $next (mut i32) (i32.const 4096))
      (func (export "${allocator}") (param $size i32) (result i32) (local $at i32)
        (local.set $at (global.get $next)) (global.set $next (i32.add (local.get $at) (local.get $size))) (local.get $at))
      (func (export "${free}") (param i32 i32))
      (func (export "pre_hook") (param i32 i32) (result i64) (i64.const ${packed})))`,
  );
}

describe("A plugin of the interface of", { timeout: 30_000 }, () => {
  it("Bifrost, third generation, in Rust: keeps a model out, hides a secret whole and in streams, and sets the temperature", async () => {
    await using stage = await startStage();
    const config = { denied_model: "bad", secret: "hunter2" };
    await stage.gateway.host.plugins.load(prebuilt("bifrost_guard.rs"), { name: "guard", abi: "bifrost", config, permissions: ATTRIBUTES });
    const denied = await ask(stage, say.chat("hello", { model: "bad", fallbacks: ["ant/m"] }));
    assert.deepEqual([denied.status, (await json(denied)).error.message], [403, "this model is not allowed"]);
    assert.equal(stage.standIn.counters.requests, 0);
    assert.equal((await json(ask(stage, say.chat("the word is hunter2")))).choices[0].message.content, "the word is ***");
    assert.equal(sentTo(stage, 0).temperature, 0);
    const stream = await (await ask(stage, say.chat("the hunter2 word", { stream: true }))).text();
    assert.ok(!stream.includes("hunter2") && textOf(stream).includes("word"));
  });

  it("Bifrost, second generation, in AssemblyScript: sends a cheap model elsewhere", async () => {
    await using stage = await startStage();
    const { gateway } = stage;
    await gateway.host.plugins.load(prebuilt("bifrost_tag.ts"), { name: "tag", abi: "bifrost", config: { label: "x" }, permissions: ATTRIBUTES });
    assert.equal((await json(ask(stage, say.chat("hello")))).choices[0].message.content, "hello");
    assert.equal((await ask(stage, say.chat("hello", { model: "cheap" }))).status, 404, "there is no provider local");
    const crashed = await ask(stage, say.chat("hello", { model: "crash" }));
    assert.deepEqual([crashed.status, (await json(crashed)).error.code], [500, "MORTISE_HOOK_FAILED"]);
    assert.equal((await ask(stage, say.chat("hello"))).status, 200);
  });

  it("Bifrost, first generation, in C: answers itself, caps tokens, and turns an error", async () => {
    await using stage = await startStage({}, { byModel: { broken: { fault: 529 } } });
    await stage.gateway.host.plugins.load(prebuilt("bifrost_first.c"), { name: "first", abi: "bifrost", permissions: ATTRIBUTES });
    assert.equal((await json(ask(stage, say.chat("hello", { model: "canned" })))).choices[0].message.content, "from the plugin");
    await ask(stage, say.chat("hello", { max_completion_tokens: 5000 }));
    assert.equal(sentTo(stage, 0).max_completion_tokens, 100);
  });

  it("Bifrost, in Go: greets, and puts a system message in front", async () => {
    await using stage = await startStage();
    const options = { name: "greeter", abi: "bifrost", config: { greeting: "Good day" }, permissions: ATTRIBUTES } as const;
    await stage.gateway.host.plugins.load(prebuilt("gateway.go"), options);
    assert.equal((await json(ask(stage, say.chat("Hello ")))).choices[0].message.content, "Good day");
    assert.equal((await json(ask(stage, say.chat("something else")))).choices[0].message.content, "something else");
    assert.equal(sentTo(stage, 0).messages[0]?.role, "system");
  });

  it("HeliosProxy, or Extism, or none but Node's: answers in the place of a model", async (t) => {
    const path = temporaryFile(t, "short.mjs", `export const pre_hook = () => ${JSON.stringify(CIRCUIT)};`);
    const { digest } = grantFor(path);
    const cases = [
      [await linear("alloc", "dealloc", CIRCUIT), { abi: "helios" }],
      [await linear("malloc", "free", CIRCUIT), { abi: "bifrost" }],
      [path, { abi: "native", native: [{ path, digest }] }],
    ] as const;
    for (const [source, options] of cases) {
      await using stage = await startStage();
      await stage.gateway.host.plugins.load(source, { name: "short", ...options });
      assert.equal((await json(ask(stage, say.chat("hello")))).choices[0].message.content, "from a plugin", options.abi);
    }
  });

  it("anything in a thread of its own, for which the gateway waits", async () => {
    await using stage = await startStage();
    const options = { name: "guard", abi: "bifrost", isolation: "thread", config: { secret: "hunter2" }, permissions: ATTRIBUTES } as const;
    await stage.gateway.host.plugins.load(prebuilt("bifrost_guard.rs"), options);
    assert.equal((await json(ask(stage, say.chat("it is hunter2")))).choices[0].message.content, "it is ***");
    const stream = await (await ask(stage, say.chat("one hunter2 two three", { stream: true }))).text();
    assert.ok(!stream.includes("hunter2"));
    assert.match(textOf(stream), /^one.*two three$/);
  });
});
