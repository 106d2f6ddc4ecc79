import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { type ProviderOptions, resolveProviderOptions } from "./options.ts";

describe("resolveProviderOptions", () => {
  const refused: readonly (readonly [option: string, options: unknown])[] = [
    ["options", null],
    ["config", { config: [] }],
    ["http", { http: 5 }],
    ["apiKey", { apiKey: 5 }],
    ["feeding", { feeding: "both" }],
    ["requestTimeoutMs", { requestTimeoutMs: 0 }],
    ["streamTimeoutMs", { streamTimeoutMs: "5" }],
    ["maxInstances", { maxInstances: 1.5 }],
    ["maxLineBytes", { maxLineBytes: 0 }],
    ["stateless", { stateless: true }],
    ["pool", { pool: {} }],
    ["abi", { abi: "extism" }],
  ];
  for (const [option, options] of refused)
    it(`refuses ${JSON.stringify(options)} with MORTISE_INVALID_OPTION`, () =>
      assert.throws(
        () => resolveProviderOptions(options as ProviderOptions),
        (error: { code?: string; details?: { option?: string } }) => error.code === "MORTISE_INVALID_OPTION" && error.details?.option === option,
      ));

  it("keeps its own options from the plugin, and passes on the others", () => {
    const { own, plugin } = resolveProviderOptions({
      maxInstances: 3,
      config: { a: 1 },
      environment: { B: "2" },
      logLevel: "warn",
      http: { timeoutMs: 5 },
    });
    assert.deepEqual(plugin, { logLevel: "warn", config: { B: "2" } });
    assert.deepEqual(own.http, { maxResponseBytes: 8 << 20, timeoutMs: 5, idleTimeoutMs: 60_000 });
    assert.deepEqual([own.maxInstances, own.feeding, own.config], [3, "auto", { a: 1 }]);
  });
});
