import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { retryAfterSecs } from "./retry-after.ts";

const NOW = Date.UTC(2026, 0, 1, 12, 0, 0);

describe("retryAfterSecs", () => {
  const cases: readonly (readonly [headers: Record<string, string>, body: string, seconds: number | undefined])[] = [
    [{}, "", undefined],
    [{ "retry-after": "7" }, "", 7],
    [{ "retry-after": "1.2" }, "", 2],
    [{ "retry-after": "Thu, 01 Jan 2026 12:00:30 GMT" }, "", 30],
    [{ "retry-after": "Thu, 01 Jan 2026 11:00:00 GMT" }, "", 0],
    [{ "retry-after": "soon", "retry-after-ms": "1500" }, "", 2],
    [{ "retry-after": "3", "retry-after-ms": "99000" }, "", 3],
    [{ "x-ratelimit-reset-requests": "6m0s" }, "", 360],
    [{ "x-ratelimit-reset-requests": "1h2m3.5s" }, "", 3724],
    [{ "x-ratelimit-reset-requests": "20ms" }, "", 1],
    [{ "x-ratelimit-reset-requests": "20" }, `{"retry_after":5}`, 5],
    [{}, `{"error":{"retry_after":4}}`, 4],
    [{}, `{"error":{"retry_after_secs":4}}`, 4],
    [{}, `{"retry_after_secs":0.5}`, 1],
    [{}, `{"error":{"retry_after":"4"},"retry_after":-1}`, undefined],
    [{ "retry-after": "-5" }, "", undefined],
    [{ "retry-after": "2026" }, "", 2026],
    [{ "retry-after": "999999999999" }, "", 604_800],
    [{ "retry-after": "1".repeat(400) }, "not JSON", undefined],
  ];
  for (const [headers, body, seconds] of cases)
    it(`gives ${seconds} for ${JSON.stringify(headers).slice(0, 80)} and ${body === "" ? "no body" : body}`, () =>
      assert.equal(retryAfterSecs({ headers, body: new TextEncoder().encode(body) }, NOW), seconds));

  it("does not look into a body of more than 256 KiB, which would hold the thread", () => {
    const body = (chars: number): Uint8Array<ArrayBuffer> => new TextEncoder().encode(`{"retry_after":5,"text":"${"x".repeat(chars)}"}`);
    const seconds = (chars: number): number | undefined => retryAfterSecs({ headers: {}, body: body(chars) }, NOW);
    assert.deepEqual([seconds(200 << 10), seconds(256 << 10)], [5, undefined]);
  });
});
