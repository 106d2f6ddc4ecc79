// docs/configuration.md, docs/permissions.md and docs/mortise.schema.json say what the schema says.
// UPDATE_SAMPLES=1 writes the tables and the schema anew.

import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { DEFAULT_LIMITS, type Limits, resolveLimits } from "../../src/api/limits.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { HTTP_KEYS, LIMIT_KEYS, type NumberKey, POOL_KEYS, QUOTA_KEYS, WASI_KEYS } from "../../src/config/number-keys.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import { PERMISSION_KEYS } from "../../src/config/schema.ts";
import { resolveOptions } from "../../src/host/options.ts";
import { resolveHttpLimits } from "../../src/services/http/options.ts";
import { KV_LIMITS } from "../../src/services/kv.ts";
import { METRIC_LIMITS } from "../../src/services/metric-registry.ts";
import { resolveQuotas } from "../../src/services/quotas.ts";
import { codeBlocks, readPage } from "../docs/pages.ts";
import { ROOT } from "../cli/run-cli.ts";
import { type ReferenceKey, referenceKeys } from "./reference.ts";

const UPDATE = process.env["UPDATE_SAMPLES"] === "1";
const MARK = "test/config/reference.test.ts -->\n";
/** Tables that have the keys of others. */
const SAME: Readonly<Record<string, string>> = {
  "[defaults.limits]": "`[plugins.limits]`",
  "[ceilings.limits]": "`[plugins.limits]`",
  "[ceilings.permissions]": "`[plugins.permissions]`",
  "[gateway.providers.limits]": "`[plugins.limits]`",
  "[gateway.providers.breaker]": "`[plugins.breaker]`",
  "[[gateway.clients.rates]]": "`[[gateway.rates]]`",
  "[gateway.client_concurrency]": "`[gateway.providers.concurrency]`",
};

function referenceText(): string {
  let table = "";
  const lines: string[] = [];
  for (const each of referenceKeys()) {
    if (Object.keys(SAME).some((name) => name !== each.table && each.table.startsWith(name.slice(0, -1)))) continue;
    const same = SAME[each.table];
    if (each.table !== table) {
      table = each.table;
      lines.push("", `### ${table === "top level" ? "The top level" : heading(table)}`, "");
      lines.push(...(same === undefined ? ["| key | value | default | what it is |", "|---|---|---|---|"] : [`The keys of ${same}.`]));
    }
    if (same === undefined) lines.push(row(each));
  }
  return `${lines.slice(1).join("\n")}\n`;
}

function heading(table: string): string {
  const [name = "", kind] = table.split(" of kind ");
  return `\`${name}\`${kind === undefined ? "" : ` with \`kind = "${kind}"\``}`;
}

function row({ key, kind, standard, description }: ReferenceKey): string {
  return `| \`${key}\` | ${kind} | ${standard} | ${description} |`.replaceAll("  ", " ");
}

describe("docs/configuration.md", () => {
  it("has every key of the schema with its kind and default, and no other", () => {
    const { text } = readPage("docs/configuration.md");
    const start = text.indexOf(MARK) + MARK.length;
    assert.ok(start > MARK.length);
    if (UPDATE) writeFileSync(join(ROOT, "docs/configuration.md"), `${text.slice(0, start)}\n${referenceText()}`);
    else assert.equal(text.slice(start + 1), referenceText());
  });

  it("shows one configuration in TOML and in JSON", async () => {
    const blocks = codeBlocks(readPage("docs/configuration.md"));
    const read = async (format: "toml" | "json"): Promise<unknown> => {
      const {
        documents: _documents,
        plugins,
        ...config
      } = await parseConfig(blocks.find(({ info }) => info === format)?.body ?? "", { format, folder: "/" });
      return JSON.parse(JSON.stringify({ ...config, plugins: plugins.map(({ origin: _origin, ...plugin }) => plugin) }));
    };
    const toml = await read("toml");
    assert.deepEqual(toml, await read("json"));
    assert.equal((toml as { plugins: { name: string }[] }).plugins[0]?.name, "redact");
  });
});

describe("docs/permissions.md", () => {
  const page = readPage("docs/permissions.md");

  it("has every permission, and no other", () => {
    const named = [...page.text.matchAll(/^\| `(\w+)` \|/gm)].map(([, name = ""]) => name);
    assert.deepEqual(named.toSorted(), [...PERMISSION_KEYS].toSorted());
  });

  it("names the permissions that the host knows", () => {
    for (const key of PERMISSION_KEYS) assert.doesNotThrow(() => resolveOptions({ permissions: { [key]: undefined } }), key);
    assert.throws(
      () => resolveOptions({ permissions: { disk: true } as never }),
      (error: Error) => PERMISSION_KEYS.every((key) => error.message.includes(key)),
    );
  });

  it("shows a configuration that is right", async () => {
    const block = codeBlocks(page).find(({ info }) => info === "toml");
    const text = `[databases.orders]\nkind = "sqlite"\npath = "a"\n[[plugins]]\nname = "a"\nsource = "a"\n${block?.body ?? ""}`;
    const { plugins } = await parseConfig(text);
    assert.deepEqual(Object.keys(plugins[0]?.permissions ?? {}).toSorted(), ["attributes", "call", "clock", "databases", "hosts", "kv", "paths"]);
  });
});

describe("docs/mortise.schema.json", () => {
  it("is what mortise config schema prints", () => {
    const path = join(ROOT, "docs/mortise.schema.json");
    const text = `${JSON.stringify(configJsonSchema(), null, 2)}\n`;
    if (UPDATE) writeFileSync(path, text);
    assert.equal(readFileSync(path, "utf8"), text);
  });

  it("describes every key", () => {
    for (const { table, key, description } of referenceKeys()) assert.ok(key === "kind" || description.length > 5, `${table} ${key}`);
  });
});

describe("Numbers of a configuration", () => {
  const standards = (keys: Readonly<Record<string, NumberKey>>): Record<string, number> =>
    Object.fromEntries(Object.entries(keys).map(([name, { standard = Number.NaN, scale }]) => [name, standard * scale]));

  it("are all limits, with their defaults", () => {
    assert.deepEqual(standards(LIMIT_KEYS), { ...DEFAULT_LIMITS });
    assert.deepEqual(new Set(Object.values(LIMIT_KEYS).map(({ key }) => key)).size, Object.keys(DEFAULT_LIMITS).length);
  });

  it("have their unit in their name", () => {
    for (const { key, scale } of [LIMIT_KEYS, POOL_KEYS, HTTP_KEYS, WASI_KEYS, QUOTA_KEYS].flatMap((keys): NumberKey[] => Object.values(keys))) {
      assert.equal(scale === 1024, key.endsWith("_kb"), key);
      assert.equal(scale === 1024 ** 2, key.endsWith("_mb"), key);
      assert.match(key, /^[a-z]+(_[a-z]+)*$/);
    }
    for (const [name, { key }] of Object.entries({ ...LIMIT_KEYS, ...HTTP_KEYS })) assert.equal(name.endsWith("Ms"), key.endsWith("_ms"), name);
  });

  it("have the defaults that the host has", () => {
    const http = resolveHttpLimits({}, []);
    for (const [name, standard] of Object.entries(standards(HTTP_KEYS))) assert.equal(http[name as keyof typeof http], standard, name);
    const { kv, metrics, cacheBytes } = resolveQuotas();
    assert.deepEqual(standards(QUOTA_KEYS), {
      kvKeys: kv.maxKeys,
      kvBytes: kv.maxBytes,
      kvKeyBytes: kv.maxKeyBytes,
      kvValueBytes: kv.maxValueBytes,
      cacheBytes,
      metrics: metrics.maxNames,
      metricSeries: metrics.maxSeries,
    });
    assert.deepEqual([KV_LIMITS.maxKeys, METRIC_LIMITS.maxNames], [QUOTA_KEYS.kvKeys.standard, QUOTA_KEYS.metrics.standard]);
    assert.deepEqual(standards(POOL_KEYS), { ...resolveOptions({ stateless: true }).pool });
  });

  it("are taken by the host at their least and their most", async () => {
    for (const [name, { key, least, most, scale }] of Object.entries(LIMIT_KEYS)) {
      for (const value of [least, most, "unlimited"] as const) {
        if (value === "unlimited" && name === "cpuShare") continue;
        const { plugins } = await parseConfig(JSON.stringify({ plugins: [{ name: "a", source: "a", limits: { [key]: value } }] }), {
          format: "json",
        });
        const limits = plugins[0]?.limits as Limits;
        assert.equal(
          limits[name as keyof Limits],
          value === "unlimited" ? Number.POSITIVE_INFINITY : scale === 1 ? value : Math.floor(value * scale),
        );
        resolveLimits(limits);
      }
    }
    for (const [name, { least, most, scale }] of Object.entries(HTTP_KEYS))
      for (const value of [least, most]) resolveHttpLimits({ [name]: Math.floor(value * scale) }, []);
    for (const [name, { least, scale }] of Object.entries(POOL_KEYS))
      resolveOptions({ stateless: true, pool: { [name]: Math.floor(least * scale) } });
  });
});
