// Providers in native code, by themselves and behind a gateway.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createGateway } from "../../src/gateway/index.ts";
import { type ErrorCode, MortiseError, type ProviderOptions, loadProvider } from "../../src/index.ts";
import { grantFor, temporaryFile } from "../native/open-native.ts";

const PATH = join(import.meta.dirname, "..", "..", "guests", "native", "provider.mjs");
const SOURCE = readFileSync(PATH, "utf8");
const options: ProviderOptions = { native: [grantFor(PATH)], config: { model: "backwards-1" } };
const asked = (text: string) => ({ messages: [{ role: "User", content: [{ type: "text", text }] }] }) as never;

async function rejectsWith(work: Promise<unknown>, code: ErrorCode): Promise<MortiseError> {
  const error = await work.then(
    () => assert.fail("nothing was thrown"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof MortiseError);
  assert.equal(error.code, code);
  return error;
}

describe("A native provider", { timeout: 15_000 }, () => {
  it("answers, lists its models, and streams piece by piece", async () => {
    await using provider = await loadProvider(PATH, { ...options, config: { model: "m", prefix: "> " } });
    assert.deepEqual([provider.report.generation, provider.report.reportedName], [2, "backwards"]);
    assert.equal((await provider.chat(asked("abc def"))).text, "> fed cba");
    assert.deepEqual(await provider.listModels(), ["backwards-1"]);
    const pieces = [];
    for await (const piece of provider.chatStream(asked("abc def"))) pieces.push(piece);
    assert.deepEqual(pieces.slice(0, 3), [{ text: "> " }, { text: "fed " }, { text: "cba" }]);
    assert.deepEqual(Object.keys(pieces.at(-1) ?? {}), ["done"]);
  });

  it("is loaded only if its file is allowed as it is", async (t) => {
    await rejectsWith(loadProvider(PATH, {}), "MORTISE_NATIVE_REFUSED");
    const changed = temporaryFile(t, "provider.mjs", `${SOURCE}\n`);
    await rejectsWith(loadProvider(changed, { native: [{ ...grantFor(PATH), path: changed }] }), "MORTISE_NATIVE_REFUSED");
  });

  it("is refused without the functions of generation 2", async (t) => {
    for (const [text, reason] of [
      ["export const name = () => 'x'", /neither chat/],
      [SOURCE.replace("export function from_config", "function from_config"), /does not export from_config/],
    ] as const) {
      const path = temporaryFile(t, "provider.mjs", text);
      const error = await rejectsWith(loadProvider(path, { native: [grantFor(path)] }), "MORTISE_PROVIDER_REFUSED");
      assert.match(error.message, reason);
    }
  });

  it("fails alone where it throws, gives a broken piece, or ends without one", async (t) => {
    const broken = SOURCE.replace("await give({ usage: usage(text) });", 'await give({ usage: "many" });');
    const path = temporaryFile(t, "provider.mjs", broken);
    await using provider = await loadProvider(path, { ...options, native: [grantFor(path)] });
    await assert.rejects(provider.chat(asked("fail!")), /the text cannot be said/);
    assert.equal((await provider.chat(asked("ab"))).text, "ba");
    const pieces: unknown[] = [];
    await rejectsWith(
      (async () => {
        for await (const piece of provider.chatStream(asked("ab"))) pieces.push(piece);
      })(),
      "MORTISE_PROVIDER_OUTPUT",
    );
    assert.deepEqual(pieces, [{ text: "ba" }]);
    const silent = temporaryFile(t, "provider.mjs", SOURCE.replaceAll("await give(", "await Promise.resolve(").replace("=== 0", "=== 1"));
    await using other = await loadProvider(silent, { ...options, native: [grantFor(silent)] });
    await assert.rejects(other.chatStream(asked("ab")).next(), /ended before the first chunk/);
  });

  it("waits for whoever reads its stream, and sees that nobody does any more", async (t) => {
    const told = "globalThis[Symbol.for('native provider test')]";
    const gives = "if ((await give({ text: word })) === 0) return;";
    const text = SOURCE.replace(gives, `${told}.given++; if ((await give({ text: word })) === 0) return ${told}.stopped();`);
    assert.notEqual(text, SOURCE);
    const path = temporaryFile(t, "provider.mjs", text);
    let stopped = (): void => {};
    const whenStopped = new Promise<void>((resolve) => (stopped = resolve));
    const state = { given: 0, stopped };
    Object.assign(globalThis, { [Symbol.for("native provider test")]: state });
    await using provider = await loadProvider(path, { ...options, native: [grantFor(path)] });
    const stream = provider.chatStream(asked("a ".repeat(100_000)));
    assert.deepEqual((await stream.next()).value, { text: " " });
    for (let turn = 0; turn < 50; turn++) await new Promise(setImmediate); // oxlint-disable-line no-await-in-loop -- it has time to run ahead
    assert.ok(state.given < 10_000, `${state.given} pieces that nobody has taken`);
    await stream.return();
    await whenStopped;
  });

  it("answers clients of a gateway like any other, whole and in pieces", async () => {
    const gateway = await createGateway({ providers: { own: { source: PATH, options } } });
    try {
      const ask = (body: object): Promise<Response> =>
        gateway.inject(
          new Request("http://gateway/v1/chat/completions", {
            method: "POST",
            headers: { "content-type": "application/json" },
            body: JSON.stringify({ model: "own/backwards-1", messages: [{ role: "user", content: "abc def" }], ...body }),
          }),
        );
      const whole = (await (await ask({})).json()) as { choices: { message: { content: string } }[] };
      assert.equal(whole.choices[0]?.message.content, "fed cba");
      const stream = await (await ask({ stream: true })).text();
      assert.deepEqual(
        Array.from(stream.matchAll(/"content":"([^"]+)"/g), ([, text]) => text),
        ["fed ", "cba"],
      );
    } finally {
      await gateway.close();
    }
  });
});
