// Lists of models: what the configuration names, and what providers list themselves.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { MortiseError } from "mortise";
import { type GatewayOptions, type ModelProvider, createGateway } from "mortise/gateway";

import { json, shipped, startStage } from "./start-gateway.ts";
import { nativeProvider } from "./sdk/native-provider.ts";

type Lists = ModelProvider["listModels"];

/** A provider with such a list; it counts how often it was asked, and with what. */
function listing(listModels: Lists): { readonly provider: ModelProvider; readonly asked: Parameters<Lists>[] } {
  const asked: Parameters<Lists>[] = [];
  return { asked, provider: { ...nativeProvider(), listModels: (...given) => (asked.push(given), listModels(...given)) } };
}

async function idsOf(gateway: { inject(request: Request): Promise<Response> }): Promise<string[]> {
  const { data } = await json(gateway.inject(new Request("http://localhost/v1/models")));
  return (data as { readonly id: string }[]).map(({ id }) => id);
}

async function withGateway(options: GatewayOptions, check: (ids: () => Promise<string[]>) => Promise<void>): Promise<void> {
  await using gateway = await createGateway(options);
  await check(() => idsOf(gateway));
}

describe("The list of models", { timeout: 15_000 }, () => {
  it("has aliases, listed names, and what providers list themselves, each once and if they may be asked for", async () => {
    const a = listing(() => Promise.resolve(["x", "y", "y", "", "z".repeat(257)]));
    const b = listing(() => Promise.resolve(["x", "gpt-1", "gpt-2"]));
    const providers = {
      a: { provider: a.provider, models: ["x", "w", "p-*"] },
      b: { provider: b.provider, models: ["gpt-1", "gpt-*"], onlyListed: true },
    };
    await withGateway({ providers, aliases: { fast: "a/x", "a/y": "b/gpt-1" } }, async (ids) => {
      assert.deepEqual(await ids(), ["fast", "a/y", "a/x", "a/w", "b/gpt-1", "b/gpt-2"]);
    });
  });

  it("is asked for once in five minutes, by all who want it, and after a failure in half a minute", async () => {
    let now = 0;
    let isBroken = false;
    const lines: { readonly provider?: string; readonly code?: string }[] = [];
    const write = (fields: unknown): void => void lines.push(fields as (typeof lines)[number]);
    const logger = { trace: write, debug: write, info: write, warn: write, error: write };
    const a = listing(async () => {
      if (isBroken) throw new MortiseError("MORTISE_HTTP_DENIED", { plugin: "a", function: "f", host: "x.example", reason: "it is not granted" });
      return Promise.resolve([`at-${now}`]);
    });
    const b = listing(() => Promise.resolve(["fine"]));
    await withGateway({ providers: { a: { provider: a.provider }, b: { provider: b.provider } }, clock: () => now, logger }, async (ids) => {
      assert.deepEqual(await Promise.all([ids(), ids()]), [
        ["a/at-0", "b/fine"],
        ["a/at-0", "b/fine"],
      ]);
      now = 299_999;
      assert.deepEqual(await ids(), ["a/at-0", "b/fine"]);
      assert.equal(a.asked.length, 1);
      assert.deepEqual(a.asked[0], [{ timeoutMs: 3000 }]);
      now = 300_000;
      isBroken = true;
      assert.deepEqual([await ids(), await ids()], [["b/fine"], ["b/fine"]]);
      assert.equal(a.asked.length, 2);
      assert.deepEqual(
        lines.map(({ provider, code }) => [provider, code]),
        [["a", "MORTISE_HTTP_DENIED"]],
      );
      isBroken = false;
      now = 330_000;
      assert.deepEqual(await ids(), ["a/at-330000", "b/fine"]);
    });
  });

  it("does not wait for a provider that minds no time", async (t) => {
    const { promise: asked, resolve } = Promise.withResolvers<void>();
    const never = listing(() => (resolve(), new Promise(() => {})));
    const { provider: fine } = listing(() => Promise.resolve(["fine"]));
    await withGateway({ providers: { a: { provider: never.provider }, b: { provider: fine } } }, async (ids) => {
      t.mock.timers.enable({ apis: ["setTimeout"] });
      const listed = ids();
      await asked;
      t.mock.timers.tick(3000);
      assert.deepEqual(await listed, ["b/fine"]);
      t.mock.timers.reset();
    });
  });

  it("leaves out a provider that throws at once, or gives what is no list", async () => {
    const faults: Lists[] = [
      () => {
        throw new TypeError("no");
      },
      () => Promise.resolve("text" as unknown as string[]),
      () => Promise.resolve([7] as unknown as string[]),
      // oxlint-disable-next-line typescript/prefer-promise-reject-errors -- code of others rejects with anything
      () => Promise.reject(undefined),
    ];
    const { provider: fine } = listing(() => Promise.resolve(["fine"]));
    for (const fault of faults)
      await withGateway({ providers: { a: { provider: listing(fault).provider }, b: { provider: fine } } }, async (ids) =>
        assert.deepEqual(await ids(), ["b/fine"]),
      );
  });

  it("is asked for with a key that the provider has, and not at all where that is not wanted, or cannot do", async () => {
    await using stage = await startStage();
    const { options, source } = shipped("provider-openai", stage.standIn);
    const { apiKey: _none, ...keyless } = options ?? {};
    const keys = [{ value: "sk-of-the-ring", models: ["m"] }];
    const cases: readonly (readonly [given: object, keys: readonly string[]])[] = [
      [{ source, options }, ["sk-upstream"]],
      [{ source, options: keyless, keys }, ["sk-of-the-ring"]],
      [{ source, options: keyless }, []],
      [{ source, options: keyless, listModels: true }, [""]],
      [{ source, options, listModels: false }, []],
    ];
    for (const [given, wanted] of cases) {
      const before = stage.standIn.requests.length;
      await stage.gateway.reload({ providers: { p: given as never } });
      const ids = await idsOf(stage.gateway);
      assert.deepEqual(
        stage.standIn.requests.slice(before).map(({ key }) => key),
        wanted,
      );
      assert.deepEqual(ids, wanted.length > 0 ? ["p/stand-in", "p/stand-in-small"] : []);
    }
  });

  it("is answered under the old setup, where a new one comes meanwhile", async () => {
    const gate = Promise.withResolvers<string[]>();
    const a = listing(() => gate.promise);
    await using gateway = await createGateway({ providers: { a: { provider: a.provider } } });
    const waiting = idsOf(gateway);
    while (a.asked.length === 0) await new Promise(setImmediate);
    const reloading = gateway.reload({ providers: { b: { provider: nativeProvider() } } });
    while (gateway.health().providers[0]?.name !== "b") await new Promise(setImmediate);
    let isRetired = false;
    void reloading.then(() => (isRetired = true));
    assert.deepEqual(await idsOf(gateway), ["b/native"]);
    assert.equal(isRetired, false);
    gate.resolve(["late"]);
    assert.deepEqual(await waiting, ["a/late"]);
    await reloading;
  });
});
