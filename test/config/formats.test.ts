// One configuration, written in TOML, in JSON and, for imports, in YAML.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import * as fc from "fast-check";
import { stringify as stringifyToml } from "smol-toml";
import { stringify as stringifyYaml } from "yaml";

import { parseText } from "../../src/config/config-text.ts";
import { type ConfigProblem } from "../../src/config/problems.ts";
import { parseConfig } from "../../src/config/read-config.ts";
import type { Place } from "../../src/manifest/place.ts";
import { errorOf, shown } from "./faults.ts";

const LIMIT = fc.oneof(fc.constant("unlimited" as const), fc.integer({ min: 1, max: 1000 }), fc.constantFrom(0.5, 2.25));
const name = fc.stringMatching(/^[a-z][a-z0-9_-]{0,8}$/);
/** Whole numbers are those of TOML's floats, too; -0 has no JSON. */
const number = fc
  .oneof(fc.integer(), fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 }))
  .map((value) => (value === 0 ? 0 : value));
const key = fc
  .string({ unit: "grapheme", maxLength: 6 })
  .filter((text) => text.isWellFormed() && !["__proto__", "env", "file", "literal"].includes(text));
const value = fc.letrec<{ value: unknown; table: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.string({ unit: "grapheme", maxLength: 8 }),
    number,
    fc.boolean(),
    fc.array(tie("value"), { maxLength: 3 }),
    tie("table"),
  ),
  table: fc.dictionary(key, tie("value"), { maxKeys: 3, noNullPrototype: true }),
}));
const plugin = fc.record(
  {
    name,
    source: fc.constantFrom("a.wasm", "https://example.com/a.wasm"),
    order: fc.integer(),
    enabled: fc.boolean(),
    stateless: fc.boolean(),
    isolation: fc.constantFrom("inline", "thread", "process"),
    on_failure: fc.constantFrom("open", { save: "closed" }),
    config: value.table,
    limits: fc.record(
      { timeout_ms: LIMIT, memory_mb: LIMIT, fuel: fc.integer({ min: 0 }), cpu_share: fc.constantFrom(0.25, 1) },
      { requiredKeys: [] },
    ),
    permissions: fc.record(
      {
        hosts: fc.subarray(["a.example.com", "*.b.org:8443", "private:c.d"]),
        kv: fc.constantFrom("read", "read-write"),
        clock: fc.boolean(),
        paths: fc.constantFrom({}, { "/a": "/b" }, { "ro:/a": { guest: "/x y" } }),
      },
      { requiredKeys: [] },
    ),
    filters: fc.dictionary(fc.constantFrom("save", "load"), fc.constantFrom({ a: 1 }, { "a.b": ["x", true] }, { c: { gt: 1.5, not: [1] } }), {
      noNullPrototype: true,
    }),
    quotas: fc.record({ kv_kb: fc.integer({ min: 0, max: 100 }) }),
  },
  { requiredKeys: ["name", "source"] },
);
const config = fc.record(
  {
    plugins: fc.uniqueArray(plugin, { maxLength: 3, selector: (each) => each.name }),
    store: fc.constantFrom({ kind: "memory" }, { kind: "sqlite", path: "a b" }, { kind: "redis", url: "redis://h", timeout_ms: 5 }),
    hooks: fc.dictionary(fc.constantFrom("save", "load"), fc.record({ timeout_ms: fc.integer({ min: 1, max: 9 }) }), { noNullPrototype: true }),
    defaults: fc.record({ log_level: fc.constantFrom("warn", "trace") }),
  },
  { requiredKeys: [] },
);

async function meaning(text: string, format: "toml" | "json"): Promise<unknown> {
  const { documents: _documents, plugins, warnings: _warnings, ...rest } = await parseConfig(text, { format, folder: "/" });
  return structured({ ...rest, plugins: plugins.map(({ origin: _origin, ...each }) => each) });
}

/** Plain data; Infinity stays. */
const structured = (data: unknown): unknown => structuredClone(data);

describe("parseConfig", () => {
  it("takes TOML and its JSON twin for the same", async () => {
    await fc.assert(
      fc.asyncProperty(config, async (written) => {
        const fromToml = await meaning(stringifyToml(written), "toml");
        assert.deepEqual(fromToml, await meaning(JSON.stringify(written), "json"));
      }),
      { numRuns: 300 },
    );
  });

  it("finds the same fault in both, each at its place", async () => {
    const problems = async (text: string, format: "toml" | "json"): Promise<string[]> => {
      const { details } = await errorOf(parseConfig(text, { format }));
      return (details["problems"] as readonly ConfigProblem[]).map(({ reason, place, line }) => {
        assert.ok(line !== undefined, `${place} has a line`);
        return reason;
      });
    };
    await fc.assert(
      fc.asyncProperty(config, fc.constantFrom("zz9", "frobnicate"), fc.nat({ max: 5 }), async (written, unknown, where) => {
        const broken = structuredClone(written) as { plugins?: Record<string, unknown>[] } & Record<string, unknown>;
        const [first] = broken.plugins ?? [];
        const target = where > 2 && first !== undefined ? first : broken;
        target[unknown] = 1;
        assert.deepEqual(await problems(stringifyToml(broken), "toml"), await problems(JSON.stringify(broken), "json"));
      }),
      { numRuns: 200 },
    );
  });
});

describe("parseText of YAML", () => {
  const yaml = (text: string): ReturnType<typeof parseText> => parseText(text, "yaml", '"a.yaml"');
  const problemOf = async (text: string): Promise<string> => {
    const { code, details } = await errorOf(yaml(text));
    assert.equal(code, "MORTISE_CONFIG_INVALID");
    return (details["problems"] as readonly ConfigProblem[]).map(shown).join("; ");
  };

  it("gives what JSON would", async () => {
    const data = fc.dictionary(fc.stringMatching(/^[a-z~ #:-]{1,8}$/), value.value, { noNullPrototype: true });
    await fc.assert(
      fc.asyncProperty(data, async (written) => {
        const { value: read } = await yaml(stringifyYaml(written));
        assert.deepEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(written)));
      }),
      { numRuns: 300 },
    );
  });

  it("knows where keys and elements stand", async () => {
    const { origin } = await yaml("# top\nproviders:\n  - name: a\n    config: { key: 'x', list: [1, 2] }\n  - name: b\n");
    const cases: readonly (readonly [place: Place, line: number, column: number])[] = [
      [["providers"], 2, 1],
      [["providers", 0], 3, 5],
      [["providers", 0, "config", "key"], 4, 15],
      [["providers", 0, "config", "list", 1], 4, 35],
      [["providers", 1, "name"], 5, 5],
    ];
    for (const [place, line, column] of cases) assert.deepEqual(origin.locate?.(place), { line, column }, place.join("."));
    for (const place of [["none"], ["providers", 2], ["providers", "x"], []]) assert.equal(origin.locate?.(place), undefined);
  });

  it("refuses what could mean more than it says", async () => {
    const nine = Array.from(
      { length: 9 },
      (_unused, index) => `a${index + 1}: &a${index + 1} [${Array.from({ length: 9 }, () => `*a${index}`).join(", ")}]`,
    );
    const cases: readonly (readonly [text: string, problem: RegExp])[] = [
      ["a: 1\na: 2", /^2:1 the key "a" is given twice$/],
      ["a: !!js/function 'x'", /^1:4 Unresolved tag/],
      ["a: !own x", /^1:4 Unresolved tag: !own$/],
      ["a: *none", /^1:4 the alias "\*none" stands for nothing above it$/],
      [`a0: &a0 [x]\n${nine.join("\n")}`, /it has more than 20000 values; aliases count as what they stand for$/],
      ["a: [", /^1:5 /],
      ["a: 1\n---\nb: 2", /^2:1 a second document begins/],
      ["__proto__: { x: 1 }", /^1:1 __proto__ is a key that nothing can be called$/],
      ["[1]: 2", /^1:1 /],
      ["[".repeat(100_000), /it has 100000 characters, but YAML may have 65536$/],
      ["[".repeat(5000), /there are more than 32 levels$/],
      [`a: ${"[".repeat(60)}${"]".repeat(60)}`, /^1:\d+ there are more than 32 levels$/],
    ];
    for (const [text, problem] of cases) assert.match(await problemOf(text), problem, text.slice(0, 40));
    assert.equal(({} as { x?: unknown }).x, undefined);
  });

  it("takes an empty text for nothing, and words for what YAML 1.2 says", async () => {
    assert.deepEqual((await yaml("")).value, null);
    assert.deepEqual(JSON.parse(JSON.stringify((await yaml("a: no\nb: on\nc: 0o17\nd: ~\n<<: x")).value)), {
      a: "no",
      b: "on",
      c: 15,
      d: null,
      "<<": "x",
    });
  });
});
