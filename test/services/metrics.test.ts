// Metrics of plugins: what is counted, what is refused, what is dropped, and how it is exported.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { type Services, createServices } from "../../src/services/create-services.ts";
import { BUCKET_BOUNDS } from "../../src/services/metric-series.ts";
import { failure, now, recorder } from "./calls.ts";

const permissions = { metrics: true } as const;

function seriesOf(services: Services, name: string): readonly unknown[] {
  return services.metrics.snapshot().metrics.find((metric) => metric.name === name)?.series ?? [];
}

describe("metrics", () => {
  it("metric_add, metric_set and metric_observe count by name and labels, in whatever way those are written", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    now(table, "metric_add", "hits", "", 1);
    now(table, "metric_add", "hits", "{}", 2.5);
    now(table, "metric_add", "hits", '{"a":"1","b":"2"}', 1);
    now(table, "metric_add", "hits", ' { "b" : "2", "a":"\\u0031" }', 1);
    now(table, "metric_set", "depth", "", 5);
    now(table, "metric_set", "depth", "", -2);
    for (const value of [0.001, 0.0011, 3, 1e9, 2e9, -1]) now(table, "metric_observe", "size", "", value);
    assert.deepEqual(seriesOf(services, "hits"), [
      { labels: {}, value: 3.5 },
      { labels: { a: "1", b: "2" }, value: 2 },
    ]);
    assert.deepEqual(seriesOf(services, "depth"), [{ labels: {}, value: -2 }]);
    const size = services.metrics.snapshot().metrics.find(({ name }) => name === "size");
    assert.equal(size?.kind, "histogram");
    const { count, value, buckets = [] } = size?.series[0] ?? { value: 0 };
    assert.deepEqual([count, value], [6, 0.001 + 0.0011 + 3 + 1e9 + 2e9 - 1]);
    const upTo = (bound: number): number | undefined => buckets[BUCKET_BOUNDS.indexOf(bound)];
    assert.deepEqual([upTo(0.001), upTo(0.0025), upTo(2.5), upTo(5), upTo(1e9), buckets.at(-1)], [2, 3, 3, 4, 5, 6]);
  });

  it("BUCKET_BOUNDS rise, without repeats", () => {
    assert.equal(BUCKET_BOUNDS.length, 49);
    assert.deepEqual(
      BUCKET_BOUNDS,
      [...new Set(BUCKET_BOUNDS)].toSorted((a, b) => a - b),
    );
  });

  it("metric_add keeps sums finite", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    for (let index = 0; index < 3; index++) now(table, "metric_add", "m", "", Number.MAX_VALUE);
    for (let index = 0; index < 3; index++) now(table, "metric_observe", "h", "", -Number.MAX_VALUE);
    assert.deepEqual(seriesOf(services, "m"), [{ labels: {}, value: Number.MAX_VALUE }]);
    assert.ok(services.metrics.prometheus().includes(`plugin_h_sum{plugin="p"} -1.7976931348623157e+308\n`));
  });

  const WRONG: readonly (readonly [service: string, name: unknown, labels: unknown, value: unknown, argument: string])[] = [
    ["metric_add", "", "", 1, "name"],
    ["metric_add", "Upper", "", 1, "name"],
    ["metric_add", "1st", "", 1, "name"],
    ["metric_add", "a-b", "", 1, "name"],
    ["metric_add", "a\n", "", 1, "name"],
    ["metric_add", "a".repeat(65), "", 1, "name"],
    ["metric_add", "a".repeat(5000), "", 1, "name"],
    ["metric_add", "_total", "", 1, "name"],
    ["metric_add", 7, "", 1, "name"],
    ["metric_add", "m", "", -1, "value"],
    ["metric_add", "m", "", Number.NaN, "value"],
    ["metric_set", "m", "", Number.POSITIVE_INFINITY, "value"],
    ["metric_observe", "m", "", Number.NEGATIVE_INFINITY, "value"],
    ["metric_observe", "m", "", 1n, "value"],
    ["metric_set", "m", "{", 1, "labels"],
    ["metric_set", "m", "[]", 1, "labels"],
    ["metric_set", "m", "null", 1, "labels"],
    ["metric_set", "m", '{"a":1}', 1, "labels"],
    ["metric_set", "m", '{"a":null}', 1, "labels"],
    ["metric_set", "m", '{"a-b":""}', 1, "labels"],
    ["metric_set", "m", '{"":""}', 1, "labels"],
    ["metric_set", "m", '{"__proto__":"x"}', 1, "labels"],
    ["metric_set", "m", '{"__name__":"x"}', 1, "labels"],
    ["metric_set", "m", '{"plugin":"other"}', 1, "labels"],
    ["metric_set", "m", '{"le":"1"}', 1, "labels"],
    ["metric_set", "m", '{"a":"\\ud800"}', 1, "labels"],
    ["metric_set", "m", JSON.stringify(Object.fromEntries(Array.from({ length: 9 }, (_unused, index) => [`l${index}`, ""]))), 1, "labels"],
  ];
  for (const [service, name, labels, value, argument] of WRONG) {
    it(`${service} refuses a wrong ${argument}: ${`${String(name)} ${String(labels)} ${String(value)}`.slice(0, 60)}`, async () => {
      await using services = createServices();
      const table = services.forPlugin({ plugin: "p", permissions });
      const error = await failure(() => now(table, service, name as string, labels as string, value as number), "MORTISE_SERVICE_ARGUMENT");
      assert.equal(error.details["argument"], argument);
      assert.deepEqual(services.metrics.snapshot(), { metrics: [], dropped: {} });
    });
  }

  it("metric_set refuses the name of a counter, and metric_add knows counters with and without _total", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions });
    now(table, "metric_add", "m", "", 1);
    now(table, "metric_add", "m_total", "", 1);
    assert.deepEqual(seriesOf(services, "m"), [{ labels: {}, value: 2 }]);
    await failure(() => now(table, "metric_set", "m", "", 1), "MORTISE_SERVICE_ARGUMENT");
    await failure(() => now(table, "metric_observe", "m", "", 1), "MORTISE_SERVICE_ARGUMENT");
  });

  const FLOODS: Readonly<Record<string, { sample: (index: number) => [name: string, labels: string]; kept: number; limit: RegExp }>> = {
    names: { sample: (index) => [`m${index}`, ""], kept: 64, limit: /64 metrics/ },
    "label sets": { sample: (index) => ["m", `{"id":"${index}"}`], kept: 100, limit: /100 label sets for each metric/ },
    "label sets of many metrics": { sample: (index) => [`m${index % 50}`, `{"id":"${index}"}`], kept: 1000, limit: /1000 label sets in all/ },
    "long labels": { sample: (index) => ["m", `{"id":"${"x".repeat(600)}${index}"}`], kept: 0, limit: /512 bytes/ },
    "long JSON": { sample: (index) => ["m", `{"id":"${index}"${" ".repeat(9000)}}`], kept: 0, limit: /8192 characters/ },
  };
  for (const [what, { sample, kept, limit }] of Object.entries(FLOODS)) {
    it(`metric_add drops and counts a flood of ${what}, with one notice, and goes on with what it knows`, async () => {
      await using services = createServices();
      const logger = recorder();
      const table = services.forPlugin({ plugin: "p", permissions, logger });
      for (let index = 0; index < 2000; index++) now(table, "metric_add", ...sample(index), 1);
      const { metrics, dropped } = services.metrics.snapshot();
      assert.equal(
        metrics.reduce((sum, { series }) => sum + series.length, 0),
        kept,
      );
      assert.deepEqual(dropped, { p: 2000 - kept });
      assert.equal(logger.lines.length, 1, logger.lines.join("\n"));
      assert.match(logger.lines[0] ?? "", /^warn: MORTISE_METRIC_LIMIT: Dropped samples of metric "m\d*" of plugin "p": /);
      assert.match(logger.lines[0] ?? "", limit);
      if (kept > 0) {
        now(table, "metric_add", ...sample(0), 1);
        assert.equal(services.metrics.snapshot().metrics[0]?.series[0]?.value, 2);
      }
      // Another plugin has bounds of its own.
      now(services.forPlugin({ plugin: "q", permissions }), "metric_add", "m", "", 1);
      assert.ok(services.metrics.snapshot().metrics.some(({ plugin }) => plugin === "q"));
    });
  }

  it("metric_add remembers a bounded number of ways to write the same labels", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p", permissions, quotas: { metricSeries: 2 } });
    for (let index = 0; index < 500; index++) now(table, "metric_add", "m", `{"a":"1"${" ".repeat(index)}}`, 1);
    assert.deepEqual(seriesOf(services, "m"), [{ labels: { a: "1" }, value: 500 }]);
  });
});

describe("Metrics.prometheus", () => {
  it("writes every kind with its type, escaped labels, and the plugin", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: 'quo"te', permissions });
    now(table, "metric_add", "hits", JSON.stringify({ path: 'a"b\\c\nd' }), 2);
    now(table, "metric_set", "depth", "", 0.5);
    now(table, "metric_set", "queue_count", "", 3);
    now(table, "metric_observe", "ms", "", 3);
    const lines = services.metrics.prometheus().split("\n");
    assert.deepEqual(
      lines.filter((line) => !line.startsWith("plugin_ms_bucket")),
      [
        "# TYPE plugin_depth gauge",
        'plugin_depth{plugin="quo\\"te"} 0.5',
        "# TYPE plugin_hits_total counter",
        'plugin_hits_total{plugin="quo\\"te",path="a\\"b\\\\c\\nd"} 2',
        "# TYPE plugin_ms histogram",
        'plugin_ms_sum{plugin="quo\\"te"} 3',
        'plugin_ms_count{plugin="quo\\"te"} 1',
        "# TYPE plugin_queue_count_value gauge",
        'plugin_queue_count_value{plugin="quo\\"te"} 3',
        "",
      ],
    );
    const buckets = lines.filter((line) => line.startsWith("plugin_ms_bucket"));
    assert.equal(buckets.length, BUCKET_BOUNDS.length + 1);
    assert.ok(buckets.includes('plugin_ms_bucket{plugin="quo\\"te",le="2.5"} 0'));
    assert.ok(buckets.includes('plugin_ms_bucket{plugin="quo\\"te",le="5"} 1'));
    assert.equal(buckets.at(-1), 'plugin_ms_bucket{plugin="quo\\"te",le="+Inf"} 1');
  });

  it("gives a family no type where plugins mean different things by a name, and says how many samples were dropped", async () => {
    await using services = createServices();
    now(services.forPlugin({ plugin: "a", permissions }), "metric_set", "x", "", 1);
    const b = services.forPlugin({ plugin: "b", permissions, quotas: { metrics: 1 } });
    now(b, "metric_observe", "x", "", 1);
    now(b, "metric_observe", "y", "", 1);
    const output = services.metrics.prometheus();
    assert.ok(!output.includes("# TYPE plugin_x "));
    assert.ok(output.includes('# TYPE mortise_metric_samples_dropped_total counter\nmortise_metric_samples_dropped_total{plugin="b"} 1\n'));
  });

  it("is well-formed whatever plugins give: each line of the format, no sample twice, no type twice", async () => {
    const name = fc.constantFrom("a", "a_total", "a_bucket", "a_sum", "a_count", "a_count_value", "a_value", "b");
    const sample = fc.tuple(fc.constantFrom("p", "q"), fc.constantFrom("metric_add", "metric_set", "metric_observe"), name, fc.string());
    await fc.assert(
      fc.asyncProperty(fc.array(sample, { maxLength: 40 }), async (samples) => {
        await using services = createServices();
        for (const [plugin, service, metric, label] of samples) {
          try {
            now(services.forPlugin({ plugin, permissions }), service, metric, JSON.stringify({ label }), 1);
          } catch {
            // The name is one of another kind.
          }
        }
        const lines = services.metrics.prometheus().split("\n");
        assert.equal(lines.pop(), "");
        const seen = new Set<string>();
        for (const line of lines) {
          const key = line.startsWith("# TYPE ") ? line.split(" ", 3).join(" ") : line.slice(0, line.lastIndexOf(" "));
          assert.ok(!seen.has(key), `twice: ${key}`);
          seen.add(key);
          assert.match(line, /^(?:# TYPE [a-z_]+ (?:counter|gauge|histogram)|[a-z_]+\{(?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+\} [-+.e\d]+)$/);
        }
      }),
      { numRuns: 60 },
    );
  });
});
