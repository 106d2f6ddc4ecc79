// The text format as a real Prometheus reads it, and the server that it is fetched from.
import assert from "node:assert/strict";
import { once } from "node:events";
import { request } from "node:http";
import { describe, it } from "node:test";

import { calls, decisions, lifecycles } from "../../src/api/channels.ts";
import { Metrics } from "../../src/services/metric-registry.ts";
import { metricsHandler, serveMetrics } from "../../src/telemetry/metrics-server.ts";
import { createTelemetry } from "../../src/telemetry/telemetry.ts";
import { callEvent, decisionEvent, lifecycleEvent } from "./events.ts";
import { skip, startPrometheus } from "./prometheus-server.ts";

const STRANGE = 'a "quoted" \\ back\\slash, \u00e9\u{1f600}=}{';
const stats = {
  instances: { live: 3, busy: 1, created: 5, discarded: 1, recycled: 1, waiting: 2, waited: 4, waitedMs: 9 },
  memory: { bytes: 131_072, peak: 196_608 },
};

describe("A real Prometheus", { skip, timeout: 60_000 }, () => {
  it("scrapes all values, with their labels and types", async () => {
    const own = new Metrics();
    own.of("p").sample("counter", "orders", '{"kind":"new"}', 7);
    using telemetry = createTelemetry({ plugins: () => [{ name: "p", version: "1", stats: () => stats }], pluginMetrics: own });
    // 1,000 calls of 1 to 1,000 ms.
    for (let ms = 1; ms <= 1000; ms++) calls.publish(callEvent({ hook: "check", durationMs: ms, fuel: ms }));
    for (let at = 0; at < 3; at++) calls.publish(callEvent({ hook: "check", durationMs: 2000, error: "MORTISE_TIMEOUT", fuel: 0 }));
    calls.publish(callEvent({ plugin: STRANGE, version: "x\ny" }));
    decisions.publish(decisionEvent());
    lifecycles.publish(lifecycleEvent({ to: "open" }));
    let scrapes = 0;
    const scraped = Promise.withResolvers<void>();
    const text = (): string => {
      // The first one is kept when the third is asked for.
      if (++scrapes === 3) scraped.resolve();
      return telemetry.prometheus();
    };
    await using server = await serveMetrics({ prometheus: text });
    await using prometheus = await startPrometheus(server.url);
    await scraped.promise;
    const value = async (query: string): Promise<number | undefined> => (await prometheus.query(query))[0]?.value;
    assert.deepEqual(await prometheus.query("up"), [{ labels: { __name__: "up", instance: new URL(server.url).host, job: "mortise" }, value: 1 }]);
    const mine = '{plugin="p",version="1",hook="check"}';
    assert.equal(await value(`mortise_calls_total${mine}`), 1003);
    assert.equal(await value('mortise_call_errors_total{code="MORTISE_TIMEOUT"}'), 3);
    assert.equal(await value(`mortise_fuel_units_total${mine}`), 500_500);
    assert.equal(await value(`mortise_call_duration_seconds_count${mine}`), 1003);
    assert.ok(Math.abs(((await value(`mortise_call_duration_seconds_sum${mine}`)) ?? 0) - 506.5) < 1e-6);
    assert.equal(await value('mortise_call_duration_seconds_bucket{hook="check",le="0.512"}'), 512);
    const p99 = (await value('mortise_call_latency_seconds{hook="check",quantile="0.99"}')) ?? 0;
    assert.ok(Math.abs(p99 - 0.993) <= 0.993 / 128, String(p99));
    // Its own estimate is coarse, but the bucket is the right one.
    const estimate = (await value('histogram_quantile(0.5, mortise_call_duration_seconds_bucket{hook="check"})')) ?? 0;
    assert.ok(estimate > 0.256 && estimate <= 0.512, String(estimate));
    assert.equal(await value('mortise_decisions_total{action="reject"}'), 1);
    assert.deepEqual(
      (await prometheus.query("mortise_plugin_state == 1")).map(({ labels }) => labels["state"]),
      ["open"],
    );
    assert.equal(await value('mortise_instances{state="idle"}'), 2);
    assert.equal(await value("mortise_calls_waiting"), 2);
    assert.equal(await value('plugin_orders_total{plugin="p",kind="new"}'), 7);
    const strange = (await prometheus.query('mortise_calls_total{version="x\\\\ny"}'))[0];
    assert.equal(strange?.labels["plugin"], STRANGE);
    assert.deepEqual(
      (await prometheus.metadata("mortise_call_duration_seconds")).map(({ type }) => type),
      ["histogram"],
    );
    assert.deepEqual(
      (await prometheus.metadata("mortise_calls_total")).map(({ type, help }) => [type, help]),
      [["counter", "Calls of plugin functions that ended."]],
    );
  });
});

describe("Telemetry.prometheus", () => {
  it("has help and type once for each family, before its samples, and no sample twice", () => {
    using telemetry = createTelemetry({ plugins: () => [1, 2].map(() => ({ name: "p", version: "1", stats: () => stats })) });
    for (const plugin of ["a", "b"]) for (const hook of ["x", "y"]) calls.publish(callEvent({ plugin, hook }));
    const lines = telemetry.prometheus().trimEnd().split("\n");
    const samples = lines.filter((line) => !line.startsWith("#")).map((line) => line.slice(0, line.lastIndexOf(" ")));
    assert.equal(new Set(samples).size, samples.length);
    let family = "";
    for (const [at, line] of lines.entries()) {
      const [, keyword, name = ""] = line.split(" ");
      if (line.startsWith("# HELP")) {
        family = name;
        assert.equal(lines.filter((each) => each.startsWith(`# HELP ${name} `)).length, 1);
        assert.match(lines[at + 1] ?? "", new RegExp(`^# TYPE ${name} (counter|gauge|histogram|summary)$`));
      } else if (keyword !== "TYPE") assert.match(line, new RegExp(`^${family}(_bucket|_sum|_count)?(\\{|\\s)`));
    }
    // Two plugins of one name and version are added up.
    assert.ok(lines.includes('mortise_memory_bytes{plugin="p",version="1"} 262144'));
  });

  it("has buckets that never go down, up to the count", () => {
    using telemetry = createTelemetry();
    for (let at = 0; at < 200; at++) calls.publish(callEvent({ durationMs: 2 ** ((at % 40) - 18) }));
    const buckets = Array.from(telemetry.prometheus().matchAll(/^mortise_call_duration_seconds_bucket\{.*le="([^"]+)"\} (\d+)$/gm));
    const counts = buckets.map(([, , count]) => Number(count));
    assert.ok(counts.length > 10);
    assert.deepEqual(
      counts,
      counts.toSorted((a, b) => a - b),
    );
    assert.deepEqual([buckets.at(-1)?.[1], counts.at(-1)], ["+Inf", 200]);
  });
});

/** Status and text of an answer. */
async function get(url: string, options: { method?: string; headers?: Record<string, string> } = {}): Promise<[number | undefined, string]> {
  const sent = request(url, options);
  sent.end();
  const [response] = (await once(sent, "response")) as [NodeJS.ReadableStream & { statusCode?: number }];
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return [response.statusCode, text];
}

describe("serveMetrics", () => {
  const source = { prometheus: () => "a 1\n" };

  it("answers at its path alone, and to GET and HEAD alone", async () => {
    await using server = await serveMetrics(source);
    assert.match(server.url, /^http:\/\/127\.0\.0\.1:\d+\/metrics$/);
    assert.deepEqual(await get(server.url), [200, "a 1\n"]);
    assert.deepEqual(await get(`${server.url}?a=b`), [200, "a 1\n"]);
    assert.deepEqual(await get(server.url, { method: "HEAD" }), [200, ""]);
    assert.equal((await get(server.url, { method: "POST" }))[0], 405);
    assert.equal((await get(new URL("/", server.url).href))[0], 404);
  });

  for (const [host, status] of [
    ["localhost", 200],
    ["127.0.0.1:99", 200],
    ["[::1]:9", 200],
    ["evil.example", 403],
    ["127.0.0.1.evil.example", 403],
    ["evil.example:80", 403],
  ] as const) {
    it(`answers a request to "${host}" with ${status}`, async () => {
      await using server = await serveMetrics(source);
      assert.equal((await get(server.url, { headers: { host } }))[0], status);
    });
  }

  it("answers with 500 if the metrics cannot be had, and goes on", async () => {
    let broken = true;
    const failing = {
      prometheus: () => {
        if (broken) throw new Error("no metrics");
        return "a 1\n";
      },
    };
    await using server = await serveMetrics(failing);
    assert.deepEqual(await get(server.url), [500, "no metrics\n"]);
    broken = false;
    assert.deepEqual(await get(server.url), [200, "a 1\n"]);
  });

  it("refuses options that cannot be", async () => {
    for (const options of [{ port: -1 }, { port: 70_000 }, { path: "metrics" }, { host: "" }, { prt: 1 }])
      await assert.rejects(serveMetrics(source, options), { code: "MORTISE_INVALID_OPTION" });
  });

  it("metricsHandler works in a server of one's own", async () => {
    const { createServer } = await import("node:http");
    const server = createServer(metricsHandler(source));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    try {
      const { port } = server.address() as { port: number };
      assert.deepEqual(await get(`http://127.0.0.1:${port}/any`), [200, "a 1\n"]);
    } finally {
      server.close();
    }
  });
});
