import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { EMPTY, I32, I64, ModuleBuilder, V128, text, unsigned } from "../../test/wasm/builder.ts";
import { assemble } from "../../test/wasm/corpus.ts";
import { inspect } from "./inspect.ts";
import type { Feature } from "./module-reader.ts";

/** A module with one function of no type and these instructions, after `prepare` has added what they need. */
function withCode(code: readonly number[], prepare: (builder: ModuleBuilder) => void = () => {}): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const type = builder.type([], []);
  prepare(builder);
  builder.func(type, [], code);
  return builder.build();
}

describe("inspect and features", () => {
  const DROP = 0x1a;
  const examples: Readonly<Record<Feature, () => Uint8Array<ArrayBuffer>>> = {
    "bulk-memory": () => withCode([0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 11, 0], (builder) => builder.memory([0, 1])),
    "extended-const": () => withCode([], (builder) => builder.global([I32], false, [0x41, 1, 0x41, 2, 0x6a])),
    "exception-handling": () => withCode([0x1f, EMPTY, 0, 0x0b]),
    "exception-handling-legacy": () => withCode([0x06, EMPTY, 0x19, 0x0b]),
    gc: () => withCode([0x41, 1, 0xfb, 28, DROP]),
    memory64: () => withCode([], (builder) => builder.memory([4, 1])),
    "multi-memory": () => withCode([], (builder) => (builder.memory([0, 1]), builder.memory([0, 1]))),
    "multi-value": () => withCode([0x41, 0, 0x41, 0, DROP, DROP], (builder) => builder.type([], [I32, I32])),
    "reference-types": () => withCode([0xd0, 0x70, DROP]),
    "relaxed-simd": () => withCode([...Array.from({ length: 2 }, () => [0xfd, 12, ...Array<number>(16).fill(0)]).flat(), 0xfd, 0x80, 0x02, DROP]),
    "sign-extension": () => withCode([0x41, 0, 0xc0, DROP]),
    "saturating-float-to-int": () => withCode([0x43, 0, 0, 0, 0, 0xfc, 0, DROP]),
    simd: () => withCode([], (builder) => builder.global([V128], false, [0xfd, 12, ...Array<number>(16).fill(0)])),
    "tail-call": () => withCode([0x12, 0]),
    threads: () => withCode([0xfe, 3, 0]),
    "typed-function-references": () => withCode([0xd0, 0x00, DROP]),
  };
  for (const [feature, example] of Object.entries(examples)) {
    it(`names ${feature} where a module uses it, and not where none does`, () => {
      const bytes = example();
      assert.ok(WebAssembly.validate(bytes), "the example itself must be valid");
      assert.ok(inspect(bytes).features.includes(feature as Feature), `found: ${inspect(bytes).features.join(", ")}`);
    });
  }

  it("names none for a module of the first version, and names them in order", async () => {
    assert.deepEqual(inspect(withCode([0x41, 0, DROP])).features, []);
    const { features } = inspect(
      await assemble(`(module (memory 1) (memory 1) (func (result i32 i32) (i32.extend8_s (i32.const 0)) (i32.const 0)))`),
    );
    assert.deepEqual(features, ["multi-memory", "multi-value", "sign-extension"]);
  });
});

describe("inspect", () => {
  it("describes imports, exports, memories, tables and the rest", async () => {
    const bytes = await assemble(`(module
      (import "extism:host/env" "alloc" (func (param i64) (result i64)))
      (import "m" "memory" (memory 1 4))
      (import "m" "table" (table 2 externref))
      (import "m" "global" (global (mut f64)))
      (table 3 9 funcref) (global i32 (i32.const 1)) (tag (export "tag") (param i32))
      (func $f (export "f") (param i32 f32) (result i64) (i64.const 0)) (func $start) (start $start)
      (export "memory" (memory 0)) (export "table" (table 1)) (export "global" (global 1)))`);
    const found = inspect(bytes);
    assert.equal(found.size, bytes.length);
    assert.deepEqual(found.interface, {
      name: "extism",
      because: 'it imports "extism:host/env" "alloc"',
      functions: [],
      nearly: [],
    });
    assert.deepEqual(found.imports, [
      { module: "extism:host/env", name: "alloc", kind: "function", type: "(i64) -> i64" },
      { module: "m", name: "memory", kind: "memory", type: "memory 1..4 pages" },
      { module: "m", name: "table", kind: "table", type: "table of externref 2.. entries" },
      { module: "m", name: "global", kind: "global", type: "mutable global f64" },
    ]);
    assert.deepEqual(found.exports, [
      { name: "tag", kind: "tag", type: "tag (i32) -> ()" },
      { name: "f", kind: "function", type: "(i32, f32) -> i64" },
      { name: "memory", kind: "memory", type: "memory 1..4 pages" },
      { name: "table", kind: "table", type: "table of funcref 3..9 entries" },
      { name: "global", kind: "global", type: "global i32" },
    ]);
    assert.deepEqual(found.memories, [{ minimum: 1, maximum: 4, shared: false, imported: true }]);
    assert.deepEqual(found.tables, [
      { minimum: 2, element: "externref", imported: true },
      { minimum: 3, maximum: 9, element: "funcref", imported: false },
    ]);
    assert.deepEqual([found.functions, found.globals, found.start], [{ imported: 1, defined: 2 }, 2, true]);
    assert.deepEqual(found.refusals, []);
  });

  it("names the types of references", () => {
    const builder = new ModuleBuilder();
    const type = builder.type([], []);
    for (const [name, global] of [
      ["exn", [0x69]],
      ["null", [0x63, 0x70]],
      ["typed", [0x63, ...unsigned(type)]],
    ] as const) {
      // prettier-ignore
      builder.exportEntity(name, "global", builder.global(global, false, [0xd0, global.at(-1) as number]));
    }
    const bytes = builder.build();
    const types = Object.fromEntries(inspect(bytes).exports.map((item) => [item.name, item.type]));
    assert.deepEqual(types, { exn: "global exnref", null: "global (ref null -16)", typed: "global (ref null 0)" });
  });

  it("tells interfaces apart by what modules import and export", async () => {
    const cases: readonly (readonly [text: string, name: string, because: string])[] = [
      [`(module)`, "raw", "it imports nothing of a known interface"],
      [`(module (func (export "_start")))`, "wasi-command", 'it exports "_start"'],
      [`(module (import "extism:host/user" "x" (func)) (func (export "_start")))`, "extism", 'it imports "extism:host/user" "x"'],
      [`(module (global (export "_start") i32 (i32.const 0)))`, "raw", "it imports nothing of a known interface"],
      [`(module (import "extism:host/environment" "x" (func)))`, "raw", "it imports nothing of a known interface"],
    ];
    for (const [module, name, because] of cases) {
      assert.deepEqual(inspect(await assemble(module)).interface, { name, because, functions: [], nearly: [] });
    }
  });

  const MEMORY = `(memory (export "memory") 1)`;
  const allocator = (name: string): string => `(func (export "${name}") (param i32) (result i32) (i32.const 8))`;
  const DEALLOC = `(func (export "dealloc") (param i32 i32))`;
  const GET_NAME = `(func (export "get_name") (result i64) (i64.const 0))`;
  const hook = (name: string, buffers = 1): string => `(func (export "${name}") (param${" i32 i32".repeat(buffers)}) (result i64) (i64.const 0))`;
  const EXTISM = `(import "extism:host/env" "alloc" (func (param i64) (result i64)))`;
  const plain = (...names: string[]): string => names.map((name) => `(func (export "${name}") (result i32) (i32.const 0))`).join("");
  const PROVIDER = plain("name", "init_logging", "config_schema", "from_config");

  const INTERFACES: readonly (readonly [text: string, name: string, functions: readonly string[], nearly: readonly unknown[]])[] = [
    [MEMORY + allocator("malloc") + GET_NAME + hook("http_pre_hook"), "bifrost", ["http_pre_hook"], []],
    [MEMORY + allocator("plugin_malloc") + GET_NAME + hook("http_intercept") + hook("pre_hook"), "bifrost", ["http_intercept", "pre_hook"], []],
    [MEMORY + allocator("malloc") + GET_NAME + hook("pre_hook", 2) + hook("post_hook", 3), "bifrost", ["pre_hook", "post_hook"], []],
    [MEMORY + allocator("malloc") + GET_NAME, "bifrost", [], []],
    [MEMORY + allocator("malloc") + hook("pre_hook"), "raw", [], [{ name: "bifrost", missing: ['"get_name" of type () -> i64'] }]],
    [
      GET_NAME,
      "raw",
      [],
      [{ name: "bifrost", missing: ['a memory exported as "memory"', 'an allocator: "plugin_malloc" or "malloc" of type (i32) -> i32'] }],
    ],
    [MEMORY + allocator("alloc") + DEALLOC + hook("pre_query"), "helios", ["pre_query"], []],
    [MEMORY + allocator("alloc") + DEALLOC + `(func (export "post_query") (param i32 i32))`, "helios", ["post_query"], []],
    [MEMORY + allocator("alloc") + DEALLOC + hook("something_else"), "helios", [], []],
    [MEMORY + allocator("alloc") + DEALLOC, "raw", [], []],
    [MEMORY + allocator("alloc") + hook("route"), "raw", [], [{ name: "helios", missing: ['"dealloc" of type (i32, i32) -> ()'] }]],
    [EXTISM + PROVIDER + plain("chat"), "querymt", ["chat"], []],
    [EXTISM + PROVIDER + plain("chat_request", "parse_chat_response"), "querymt", ["chat_request", "parse_chat_response"], []],
    [EXTISM + plain("name", "chat", "embed"), "extism", [], [{ name: "querymt", missing: ['"init_logging"', '"config_schema"', '"from_config"'] }]],
    [EXTISM + MEMORY + allocator("malloc") + GET_NAME + hook("pre_hook"), "extism", [], []],
  ];
  for (const [source, name, functions, nearly] of INTERFACES) {
    it(`tells ${name} by ${source.replace(/\s+/g, " ").slice(0, 90)}…`, async () => {
      const found = inspect(await assemble(`(module ${source})`)).interface;
      assert.deepEqual({ name: found.name, functions: found.functions, nearly: found.nearly }, { name, functions, nearly });
    });
  }

  it("lists custom sections with their sizes, in order", () => {
    const builder = new ModuleBuilder();
    builder.custom("producers", [1, 2, 3]);
    builder.custom("", []);
    assert.deepEqual(inspect(builder.build()).customSections, [
      { name: "producers", size: 13 },
      { name: "", size: 1 },
    ]);
  });

  it("lists every reason to refuse a module, and none that options allow", () => {
    const builder = new ModuleBuilder();
    builder.memory([3, 1, 1]);
    builder.memory([0, 1]);
    builder.table([0x70, 0, 1]);
    builder.func(builder.type([], []), [], Array<number>(200).fill(0x01));
    const bytes = builder.build();
    assert.deepEqual(
      inspect(bytes).refusals.map(({ code }) => code),
      ["MORTISE_SHARED_MEMORY"],
    );
    const strict = inspect(bytes, { memories: 1, tables: 0, functionBytes: 100, source: "plugin x" });
    assert.deepEqual(
      strict.refusals.map(({ code }) => code),
      ["MORTISE_TOO_MANY_MEMORIES", "MORTISE_TOO_MANY_TABLES", "MORTISE_SHARED_MEMORY", "MORTISE_FUNCTION_TOO_LARGE"],
    );
    assert.match(strict.refusals[0]?.message ?? "", /^Cannot run plugin x: it has 2 memories, but at most 1 are allowed$/);
    assert.deepEqual(inspect(bytes, { threads: "allow" }).refusals, []);
  });

  it("takes names that are nothing but bytes for what they are", () => {
    const builder = new ModuleBuilder();
    builder.exportEntity("__proto__", "memory", builder.memory([0, 1]));
    builder.exportEntity("a\0\n", "memory", 0);
    builder.importEntity("", "", "global", [I64, 0]);
    const found = inspect(builder.build());
    assert.deepEqual(
      found.exports.map(({ name }) => name),
      ["__proto__", "a\0\n"],
    );
    assert.deepEqual(found.imports, [{ module: "", name: "", kind: "global", type: "global i64" }]);
  });

  const INTERFACE_OF: Readonly<Record<string, string>> = {
    kernels: "raw",
    wasi_tour: "wasi-command",
    word_count: "wasi-command",
    bifrost: "bifrost",
    gateway: "bifrost",
    helios: "helios",
    querymt: "querymt",
    provider: "querymt",
    code_names: "bifrost",
  };

  it("reads every prebuilt guest", () => {
    const manifest = JSON.parse(readFileSync(new URL("../../guests/prebuilt/manifest.json", import.meta.url), "utf8")) as Record<
      string,
      { bytes: number }
    >;
    for (const [file, { bytes }] of Object.entries(manifest)) {
      const found = inspect(readFileSync(new URL(`../../guests/prebuilt/${file}`, import.meta.url)));
      assert.equal(found.size, bytes, file);
      const [, named = "extism"] = Object.entries(INTERFACE_OF).find(([start]) => file.startsWith(start)) ?? [];
      assert.equal(found.interface.name, named, file);
      assert.deepEqual(found.refusals, [], file);
    }
  });

  it("refuses what is no module, naming the source", () => {
    assert.throws(() => inspect(Uint8Array.from(text("x")), { source: "plugin x" }), {
      code: "MORTISE_NOT_WASM",
      message: /^Cannot read plugin x: /,
    });
  });
});
