import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { RequestMetrics } from "./request-metrics.ts";

const quiet = (): void => {};
const LOGGER = { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet };
const line = (fields: object): object => ({ request_id: "r", api: "chat", provider: "p", model: "m", status: 200, ...fields });

describe("RequestMetrics", () => {
  it("counts the lines of requests, and hands all lines on", () => {
    const metrics = new RequestMetrics(() => 3);
    const lines: unknown[] = [];
    const logger = metrics.around({
      ...LOGGER,
      info: (...args: unknown[]) => void lines.push(args),
      warn: (...args: unknown[]) => void lines.push(args),
    });
    logger.info(line({ tokens: 7, attempts: 3, duration_ms: 30 }), "request");
    logger.info(line({ tokens: 5, attempts: 1, duration_ms: 400_000 }), "request");
    logger.warn(line({ status: 503 }), "no");
    logger.info("no request");
    logger.info({ keys: "x" }, "none either");
    assert.equal(lines.length, 5);
    const text = metrics.prometheus();
    assert.match(text, /^mortise_gateway_requests_total\{api="chat",provider="p",model="m",status="200"\} 2$/m);
    assert.match(text, /^mortise_gateway_requests_total\{api="chat",provider="p",model="m",status="503"\} 1$/m);
    assert.match(text, /^mortise_gateway_tokens_total\{api="chat",provider="p",model="m"\} 12$/m);
    assert.match(text, /^mortise_gateway_further_attempts_total\{api="chat",provider="p",model="m"\} 2$/m);
    assert.match(text, /^mortise_gateway_requests_running 3$/m);
    const buckets = [...text.matchAll(/_bucket\{api="chat",provider="p",le="([^"]+)"\} (\d+)$/gm)].map(([, bound, count]) => [bound, Number(count)]);
    assert.deepEqual(buckets.slice(2, 4), [
      ["0.025", 0],
      ["0.05", 1],
    ]);
    assert.deepEqual(buckets.slice(-2), [
      ["300", 1],
      ["+Inf", 2],
    ]);
    assert.match(text, /_sum\{api="chat",provider="p"\} 400\.03$/m);
  });

  it("tells only so many models apart, whatever clients call them", () => {
    const metrics = new RequestMetrics(() => 0);
    const logger = metrics.around(LOGGER);
    for (let index = 0; index < 3000; index++) logger.info(line({ model: `x"${index}\\` }), "request");
    const samples = metrics.prometheus().match(/^mortise_gateway_requests_total\{.*$/gm) ?? [];
    assert.equal(samples.length, 1001);
    assert.equal(samples[0], String.raw`mortise_gateway_requests_total{api="chat",provider="p",model="x\"0\\",status="200"} 1`);
    assert.equal(samples.at(-1), 'mortise_gateway_requests_total{api="chat",provider="other",model="other",status="200"} 2000');
  });
});
