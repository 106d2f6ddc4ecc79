// The pages on telemetry and audit name what there is, and nothing else.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { CHANNELS, calls, decisions, httpRequests, lifecycles, logLines, services } from "../../src/api/channels.ts";
import { FAMILIES } from "../../src/telemetry/prometheus.ts";
import { createTelemetry } from "../../src/telemetry/telemetry.ts";
import { callEvent, decisionEvent, lifecycleEvent } from "./events.ts";

const page = readFileSync(new URL("../../docs/telemetry.md", import.meta.url), "utf8");
const audit = readFileSync(new URL("../../docs/audit.md", import.meta.url), "utf8");

/** Rows of tables whose first cell is one name. */
const rows = (text: string, name: RegExp): string[][] =>
  text
    .split("\n")
    .map((line) =>
      line
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    )
    .filter(([first = ""]) => name.test(first));

describe("docs/telemetry.md", () => {
  it("names every metric with its type, and no other", () => {
    assert.deepEqual(
      rows(page, /^`mortise_/).map(([name = "", type]) => [name.replaceAll("`", ""), type]),
      Object.entries(FAMILIES).map(([name, [type]]) => [name, type]),
    );
  });

  it("names the labels of every metric", () => {
    const stats = {
      instances: { live: 1, busy: 0, created: 1, discarded: 0, recycled: 0, waiting: 0, waited: 0, waitedMs: 0 },
      memory: { bytes: 1, peak: 1 },
    };
    using telemetry = createTelemetry({ plugins: () => [{ name: "p", version: "1", stats: () => stats }] });
    calls.publish(callEvent({ error: "MORTISE_TRAP" }));
    decisions.publish(decisionEvent());
    lifecycles.publish(lifecycleEvent());
    services.publish({ plugin: "p", service: "kv_get", durationMs: 1, error: "MORTISE_TRAP" });
    httpRequests.publish({
      plugin: "p",
      host: "h",
      method: "GET",
      status: 200,
      durationMs: 1,
      requestBytes: 0,
      responseBytes: 0,
      error: "MORTISE_TRAP",
    });
    logLines.publish({ plugin: "p", level: "info", message: "m" });
    const text = telemetry.prometheus();
    for (const [name = "", , labels] of rows(page, /^`mortise_/)) {
      const family = name.replaceAll("`", "");
      if (family === "mortise_hook_failures_total") continue;
      const found = new RegExp(`^${family}(?:_bucket)?(?:\\{(.*)\\})? `, "m").exec(text);
      assert.ok(found !== null, family);
      const names = Array.from((found[1] ?? "").matchAll(/(\w+)="/g), ([, label]) => label).filter((label) => label !== "le" && label !== "quantile");
      assert.equal(names.join(", "), labels, family);
    }
  });

  it("names every channel", () => {
    assert.deepEqual(
      rows(page, /^`mortise:/)
        .map(([name = ""]) => name.replaceAll("`", ""))
        .toSorted(),
      Object.values(CHANNELS).toSorted(),
    );
  });
});

describe("docs/audit.md", () => {
  it("names every kind of entry", () => {
    for (const kind of ["block", "rewrite", "answer", "route", "attributes", "lost", "recovered"]) assert.ok(audit.includes(`\`${kind}\``), kind);
  });
});
