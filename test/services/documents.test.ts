// The pages on services name what there is, and nothing else.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { createServices } from "../../src/services/create-services.ts";
import { HELIOS_FUNCTIONS } from "../../src/services/helios-functions.ts";
import { resolveQuotas } from "../../src/services/quotas.ts";

const page = (name: string): string => readFileSync(join(import.meta.dirname, "../../docs", name), "utf8");

/** First cells of the table under a heading. */
function firstCells(text: string, heading: string, columns: number = 1): string[] {
  const section = text.split(`## ${heading}\n`)[1]?.split("\n## ")[0] ?? "";
  const rows = section.split("\n").filter((line) => line.startsWith("| `"));
  return rows.flatMap((line) => {
    const cells = line.split("|").slice(1, columns + 1);
    return columns === 1
      ? Array.from((cells[0] ?? "").matchAll(/`(\w+)`/g), ([, name]) => name ?? "")
      : [cells.map((cell) => cell.replaceAll(/[` ]/g, "")).join(".")];
  });
}

describe("docs/services.md", () => {
  it("lists exactly the functions that plugins get, with as many parameters", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p" });
    const text = page("services.md");
    assert.deepEqual(firstCells(text, "Functions").toSorted(), Object.keys(table).toSorted());
    for (const line of text
      .split("\n")
      .filter((each) => /^\| `(?:kv|cache|http|database|metric|log|config|time|random|hash|hmac|request|attribute)/.test(each))) {
      const [, names = "", params = ""] = line.split("|");
      const types = Array.from(params.matchAll(/\b(text|bytes|i32|i64|f64)\b/g), ([type]) => type);
      for (const [, name = ""] of names.matchAll(/`(\w+)`/g)) assert.deepEqual(table[name]?.params, types, name);
    }
  });

  it("names every quota", () => {
    const text = page("services.md");
    for (const name of ["kvKeys", "kvBytes", "kvValueBytes", "kvKeyBytes", "cacheBytes", "metrics", "metricSeries"]) {
      resolveQuotas({ [name]: 5 });
      assert.ok(text.includes(`\`${name}\``) || text.includes(`\`quotas.${name}\``), name);
    }
  });
});

describe("docs/helios-functions.md", () => {
  it("lists exactly the functions there are", () => {
    const text = page("helios-functions.md");
    const linked = firstCells(text, "The functions that are linked").map((name) => `env.${name}`);
    const documented = firstCells(text, "The functions that are documented", 2);
    assert.deepEqual(
      [...linked, ...documented],
      HELIOS_FUNCTIONS.map(({ module, name }) => `${module}.${name}`),
    );
  });
});
