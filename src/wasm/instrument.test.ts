import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { EMPTY, FUNCREF, I32, ModuleBuilder, signed, unsigned } from "../../test/wasm/builder.ts";
import { assemble } from "../../test/wasm/corpus.ts";
import type { ErrorCode } from "../api/errors.ts";
import { instrument } from "./instrument.ts";
import { Meter } from "./meter.ts";
import type { ModuleLimits } from "./policy.ts";

const GUESTS = [
  "count_vowels.c",
  "count_vowels.rs",
  "echo.c",
  "fixtures.c",
  "kernels.c",
  "kernels.rs",
  "kernels.ts",
  "sha256.c",
  "vowels.ts",
  "word_frequency.rs",
  "readability.go",
];
const guest = (name: string): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(readFileSync(new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url)));

function built(build: (builder: ModuleBuilder) => void): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  build(builder);
  return builder.build();
}
const oneFunction = (code: readonly number[], locals: readonly (readonly number[])[] = []): Uint8Array<ArrayBuffer> =>
  built((builder) => builder.func(builder.type([], []), locals, code));

describe("instrument's refusals", () => {
  const EXNREF = 0x69;
  const rows: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>, code: ErrorCode, allowed: ModuleLimits, message: RegExp])[] = [
    ["a shared memory", built((b) => b.memory([3, 1, 1])), "MORTISE_SHARED_MEMORY", { threads: "allow" }, /a shared memory at byte \d+ could block/],
    ["an imported shared memory", built((b) => b.importEntity("m", "m", "memory", [3, 1, 1])), "MORTISE_SHARED_MEMORY", { threads: "allow" }, /a shared memory/],
    ["an atomic wait", built((b) => (b.memory([0, 1]), b.func(b.type([], []), [], [0x41, 0, 0x41, 0, 0x42, 0, 0xfe, 1, 2, 0, 0x1a]))), "MORTISE_SHARED_MEMORY", { threads: "allow" }, /an atomic wait at byte/],
    ["a 64-bit atomic wait", built((b) => (b.memory([0, 1]), b.func(b.type([], []), [], [0x41, 0, 0x42, 0, 0x42, 0, 0xfe, 2, 3, 0, 0x1a]))), "MORTISE_SHARED_MEMORY", { threads: "allow" }, /an atomic wait at byte/],
    ["struct.new", built((b) => { const t = b.rawType([0x5f, 0]); b.func(b.type([], []), [], [0xfb, 0, t, 0x1a]); }), "MORTISE_GC_HEAP", { gc: "allow" }, /an allocation of a struct or array/],
    ["array.new", built((b) => { const t = b.rawType([0x5e, I32, 1]); b.func(b.type([], []), [], [0x41, 0, 0x41, 9, 0xfb, 6, t, 0x1a]); }), "MORTISE_GC_HEAP", { gc: "allow" }, /an allocation of a struct or array/],
    ["a global that is a new struct", built((b) => { const t = b.rawType([0x5f, 0]); b.global([0x63, t], false, [0xfb, 1, t]); }), "MORTISE_GC_HEAP", { gc: "allow" }, /an allocation of a struct or array/],
    ["a table of exnref", built((b) => b.table([EXNREF, 0, 1])), "MORTISE_GC_HEAP", { gc: "allow" }, /a table of exnref/],
    ["a global of exnref", built((b) => b.global([EXNREF], true, [0xd0, EXNREF])), "MORTISE_GC_HEAP", { gc: "allow" }, /a global of exnref/],
    ["an exception that carries a reference", built((b) => b.tag(b.type([FUNCREF], []))), "MORTISE_GC_HEAP", { gc: "allow" }, /an exception that carries a reference/],
    ["an exception with 17 values", built((b) => b.tag(b.type(Array<number>(17).fill(I32), []))), "MORTISE_GC_HEAP", { gc: "allow" }, /more than 16 values/],
    ["nine memories", built((b) => { for (let i = 0; i < 9; i++) b.memory([0, 0]); }), "MORTISE_TOO_MANY_MEMORIES", { memories: 9 }, /it has 9 memories, but at most 8 are allowed/],
    ["65 tables", built((b) => { for (let i = 0; i < 65; i++) b.table([FUNCREF, 0, 0]); }), "MORTISE_TOO_MANY_TABLES", { tables: 65 }, /it has 65 tables, but at most 64 are allowed/],
    ["a function of more than 1 MiB", oneFunction(Array<number>(1 << 20).fill(0x01)), "MORTISE_FUNCTION_TOO_LARGE", { functionBytes: 2 << 20 }, /compiling function 0 \(bytes 1048578, limit 1048576\).*raise limits\.functionBytes$/],
  ]; // prettier-ignore
  for (const [what, bytes, code, allowed, message] of rows) {
    it(`are ${code} for ${what}, unless it is allowed`, () => {
      assert.ok(WebAssembly.validate(bytes), "the example itself must be valid");
      assert.throws(() => instrument(bytes, { source: "plugin x" }), { code, message });
      const { bytes: rewritten } = instrument(bytes, allowed);
      assert.ok(WebAssembly.validate(rewritten));
    });
  }

  it("are MORTISE_FUNCTION_TOO_LARGE for a function with many locals and many branches", () => {
    const bytes = oneFunction(
      Array.from({ length: 500 }, () => [0x41, 0, 0x04, EMPTY, 0x0b]).flat(),
      Array.from({ length: 500 }, () => [I32]),
    );
    assert.ok(WebAssembly.validate(instrument(bytes).bytes));
    assert.throws(() => instrument(bytes, { functionComplexity: 1000 }), {
      code: "MORTISE_FUNCTION_TOO_LARGE",
      message: /raise limits\.functionComplexity$/,
    });
  });

  it("are MORTISE_WASM_TOO_LARGE where the rewritten module would pass a limit of the engine", () => {
    const locals = built((b) => b.func(b.type([], []), [], [0x03, EMPTY, 0x0c, 0, 0x0b]));
    assert.ok(WebAssembly.validate(instrument(locals).bytes));
    // 49,999 locals leave no room for the temporaries of a check.
    const full = Uint8Array.from([
      0,
      0x61,
      0x73,
      0x6d,
      1,
      0,
      0,
      0,
      1,
      4,
      1,
      0x60,
      0,
      0,
      3,
      2,
      1,
      0,
      10,
      13,
      1,
      11,
      1,
      ...unsigned(49_999),
      I32,
      0x03,
      EMPTY,
      0x0c,
      0,
      0x0b,
      0x0b,
    ]);
    assert.ok(WebAssembly.validate(full));
    assert.throws(() => instrument(full), {
      code: "MORTISE_WASM_TOO_LARGE",
      message: /the locals of function 0 would be 5000\d after rewriting, but can be 50000 at most$/,
    });
  });

  it("name the gravest reason where there are several", () => {
    const bytes = built((b) => { for (let i = 0; i < 9; i++) b.memory([3, 0, 0]); }); // prettier-ignore
    assert.throws(() => instrument(bytes), { code: "MORTISE_TOO_MANY_MEMORIES" });
    assert.throws(() => instrument(bytes, { memories: 9 }), { code: "MORTISE_SHARED_MEMORY" });
  });
});

describe("instrument's output", () => {
  for (const name of GUESTS) {
    it(`is valid, and the same for the same nonce, for ${name}`, () => {
      const bytes = guest(name);
      const copy = bytes.slice();
      const [first, second] = [instrument(bytes, { nonce: "abc" }), instrument(bytes, { nonce: "abc" })];
      assert.ok(WebAssembly.validate(first.bytes));
      assert.equal(Buffer.compare(first.bytes, second.bytes), 0);
      assert.equal(Buffer.compare(bytes, copy), 0, "the input is left as it is");
      assert.notEqual(Buffer.compare(instrument(bytes, { nonce: "abd" }).bytes, first.bytes), 0, "and another nonce makes another module");
    });

    it(`has the imports and exports of ${name}, and hidden ones`, () => {
      const bytes = guest(name);
      const instrumented = instrument(bytes);
      const [before, now] = [new WebAssembly.Module(bytes), new WebAssembly.Module(instrumented.bytes)];
      assert.deepEqual(WebAssembly.Module.imports(now), WebAssembly.Module.imports(before));
      const exports = WebAssembly.Module.exports(now);
      assert.deepEqual(
        exports.filter((item) => !instrumented.isHidden(item.name)),
        WebAssembly.Module.exports(before),
      );
      for (const key of ["budget", "reason", "pagesLeft", "entriesLeft"] as const) {
        const found = exports.find((item) => item.name === instrumented.hiddenName(key));
        assert.equal(found?.kind, "global", key);
        assert.ok(instrumented.isHidden(instrumented.hiddenName(key)));
      }
    });
  }

  it("has hidden names of 16 random digits, which no export of the module can guess", async () => {
    const bytes = await assemble(`(module (func (export "budget")) (func (export "0000000000000000budget")))`);
    const script = `import { instrument } from ${JSON.stringify(new URL("instrument.ts", import.meta.url).href)};
      console.log(instrument(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)).hiddenName("budget"));`;
    const elsewhere = execFileSync(process.execPath, ["--no-warnings", "--input-type=module", "-e", script], { encoding: "utf8" }).trim();
    const here = instrument(bytes).hiddenName("budget");
    for (const name of [here, elsewhere]) assert.match(name, /^[0-9a-f]{16}budget$/);
    assert.notEqual(here, elsewhere, "no two processes have the same");
    assert.equal(instrument(bytes).isHidden("budget"), false);
  });

  it("has no start section: the host starts the guest", async () => {
    const bytes = await assemble(`(module (global $g (export "g") (mut i32) (i32.const 0)) (func $s (global.set $g (i32.const 7))) (start $s))`);
    const instrumented = instrument(bytes);
    const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumented.bytes));
    const global = instance.exports["g"] as WebAssembly.Global<"i32">;
    assert.equal(global.value, 0);
    const meter = new Meter(instrumented);
    meter.attach(instance);
    meter.start(instance);
    assert.equal(global.value, 7);
  });

  it("stays invalid where the module was", async () => {
    const invalid = [
      oneFunction([0x6a]),
      oneFunction([0x41, 0]),
      built((b) => b.func(b.type([], [I32]), [], [])),
      built((b) => b.global([I32], false, [0x42, 0])),
    ];
    for (const bytes of invalid) {
      assert.equal(WebAssembly.validate(bytes), false);
      assert.equal(WebAssembly.validate(instrument(bytes).bytes), false);
    }
  });

  it("does not make an index valid that the module had out of range", () => {
    // Each names the first thing that the rewriter appends.
    const tricks: readonly (readonly [what: string, bytes: Uint8Array<ArrayBuffer>])[] = [
      ["a global", oneFunction([0x23, 0, 0x1a])],
      ["writing a global", oneFunction([0x41, 0, 0x24, 0])],
      ["a function", oneFunction([0x10, 1])],
      ["a reference to a function", oneFunction([0xd2, 1, 0x1a])],
      ["a table", oneFunction([0x41, 0, 0x11, 0, 0])],
      ["a type", oneFunction([0x41, 0, 0x11, 1, 0])],
      ["a block type", oneFunction([0x02, 1, 0x0b])],
      ["a memory", oneFunction([0x3f, 0, 0x1a])],
      ["an export", built((b) => b.exportEntity("x", "global", 0))],
      ["an element", built((b) => b.element([1, 0, 1, 0]))],
      ["a start function", built((b) => b.start(0))],
    ];
    for (const [what, bytes] of tricks)
      assert.throws(() => instrument(bytes), { code: "MORTISE_WASM_MALFORMED", message: /out of range|is not a function type/ }, what);
  });
});

describe("instrument and custom sections", () => {
  const KEPT = ["producers", "target_features", "my.section", "", "names", "sourceMappingURLs", "debug_info", "component-type"];
  const FALSIFIED = [
    "name",
    ".debug_info",
    ".debug_line",
    "sourceMappingURL",
    "external_debug_info",
    "metadata.code.branch_hint",
    "compilationHints",
    "build_id",
    "reloc.CODE",
    "linking",
    "dylink.0",
  ];
  const bytes = built((builder) => {
    builder.func(builder.type([], []), [], []);
    for (const name of [...KEPT, ...FALSIFIED]) builder.custom(name, [1, 2, name.length]);
  });
  const names = (module: Uint8Array<ArrayBuffer>): string[] =>
    [...KEPT, ...FALSIFIED].filter((name) => WebAssembly.Module.customSections(new WebAssembly.Module(module), name).length > 0);

  it("keep what rewriting leaves true, byte by byte, and drop what it would falsify", () => {
    const rewritten = instrument(bytes).bytes;
    assert.deepEqual(names(rewritten), KEPT);
    for (const name of KEPT) {
      const [section] = WebAssembly.Module.customSections(new WebAssembly.Module(rewritten), name);
      assert.deepEqual([...new Uint8Array(section as ArrayBuffer)], [1, 2, name.length]);
    }
  });

  it("are all dropped on request", () => {
    assert.deepEqual(names(instrument(bytes, { keepCustomSections: false }).bytes), []);
  });

  it("keep their number and order when names repeat", () => {
    const twice = built((builder) => {
      for (const value of [1, 2, 3]) builder.custom("x", [value]);
    });
    const sections = WebAssembly.Module.customSections(new WebAssembly.Module(instrument(twice).bytes), "x");
    assert.deepEqual(
      sections.map((section) => new Uint8Array(section)[0]),
      [1, 2, 3],
    );
  });
});

/** Byte offset of a marker in the code: a constant that stands nowhere else, right before the instruction that is meant. */
const MARKER = [0x41, ...signed(750_636_754), 0x1a];
const MARK = "(drop (i32.const 750636754))";

interface Place {
  readonly index: number;
  readonly offset: number | undefined;
}

/** Runs `go` of an instrumented module and returns where its trap was, in offsets of the original. */
function trapPlaces(bytes: Uint8Array<ArrayBuffer>): Place[] {
  const instrumented = instrument(bytes);
  const instance = new WebAssembly.Instance(new WebAssembly.Module(instrumented.bytes), { m: { f: () => {} } });
  new Meter(instrumented).attach(instance);
  try {
    (instance.exports["go"] as () => void)();
  } catch (error) {
    const frames = [...String((error as Error).stack).matchAll(/wasm-function\[(\d+)\]:0x([0-9a-f]+)/g)];
    return frames.map(([, index, offset]) => ({
      index: Number(index),
      offset: instrumented.originalOffset(Number(index), Number.parseInt(offset ?? "", 16)),
    }));
  }
  return assert.fail("it did not trap");
}

describe("InstrumentedModule.originalOffset", () => {
  const LOOP = "(loop $l (br_if $l (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 5))))";
  const cases: readonly (readonly [what: string, body: string, length: number, more?: string])[] = [
    ["at the start of a function", `${MARK} unreachable`, 0],
    ["behind a loop", `${LOOP} ${MARK} unreachable`, 0],
    ["in a loop", `(loop $l ${LOOP} ${MARK} (unreachable) (br $l))`, 0],
    ["in the arm of an if, behind another", `(if (i32.const 0) (then nop) (else ${LOOP} ${MARK} unreachable))`, 0],
    ["behind an else", `(if (i32.const 1) (then (nop)) (else (nop))) ${LOOP} ${MARK} unreachable`, 0],
    ["by division, after its operands", `(i32.const 1) (local.get 0) ${MARK} i32.div_u drop`, 0],
    ["by a load", `${LOOP} (i32.const -1) ${MARK} i32.load offset=8 align=1 drop`, 0],
    ["by a load with a long offset", `(i32.const -1) ${MARK} i32.load offset=1000000 drop`, 0],
    ["by an indirect call", `(i32.const 1) ${MARK} call_indirect (type $none)`, 0],
    ["by a truncation", `(f64.const nan) ${MARK} i32.trunc_f64_s drop`, 0],
    ["behind a call of an import", `(call $import) (call $import) ${MARK} unreachable`, 0],
    ["behind bulk instructions", `(memory.fill (i32.const 0) (i32.const 1) (i32.const 9)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 9)) ${MARK} unreachable`, 0],
    ["behind memory.grow", `(drop (memory.grow (i32.const 1))) ${MARK} unreachable`, 0],
    ["behind 300 locals", `${LOOP} ${MARK} unreachable`, 0, "(local " + "i64 ".repeat(300) + ")"],
    ["behind 5,000 instructions", `${"(drop (i32.add (local.get 0) (i32.const 1)))".repeat(1250)} ${MARK} unreachable`, 0],
  ]; // prettier-ignore
  for (const [what, text, , locals = ""] of cases) {
    it(`gives the very byte of a trap ${what}`, async () => {
      const bytes = await assemble(`(module (import "m" "f" (func $import)) (type $none (func)) (memory 1 4) (table 2 funcref)
        (func $inner (local i32) ${locals} ${text}) (func $outer (local i32) ${LOOP} (call $import) (call $inner)) (func (export "go") (call $outer)))`);
      const at = Buffer.from(bytes).indexOf(Buffer.from(MARKER)) + MARKER.length;
      const [inner, outer, go] = trapPlaces(bytes);
      assert.deepEqual(inner, { index: 1, offset: at });
      // The callers stand at their calls.
      for (const [place, callee] of [
        [outer, 1],
        [go, 2],
      ] as const) {
        // prettier-ignore
        assert.deepEqual([...bytes.subarray(place?.offset, (place?.offset ?? 0) + 2)], [0x10, callee]);
      }
    });
  }

  const bulk: readonly (readonly [what: string, instruction: string, opcode: readonly number[]])[] = [
    ["memory.fill", "(i32.const 65535) (i32.const 0) (i32.const 2) MARK memory.fill", [0xfc, 11]],
    ["memory.copy", "(i32.const 65535) (i32.const 0) (i32.const 2) MARK memory.copy", [0xfc, 10]],
    ["memory.init", "(i32.const 0) (i32.const 0) (i32.const 9) MARK memory.init $d", [0xfc, 8]],
    ["table.fill", "(i32.const 2) (ref.null func) (i32.const 1) MARK table.fill 0", [0xfc, 17]],
    ["table.copy", "(i32.const 2) (i32.const 0) (i32.const 1) MARK table.copy", [0xfc, 14]],
    ["table.init", "(i32.const 0) (i32.const 0) (i32.const 9) MARK table.init $e", [0xfc, 12]],
  ];
  for (const [what, text, opcode] of bulk) {
    it(`gives the place of ${what}, which an injected function traps for, and none for that function`, async () => {
      const bytes = await assemble(`(module (memory 1) (table 2 funcref) (data $d "abc") (elem $e func $f) (func $f)
        (func (export "go") (local i32) ${LOOP} ${text.replace("MARK", MARK)}))`);
      const at = Buffer.from(bytes).indexOf(Buffer.from(MARKER)) + MARKER.length;
      assert.deepEqual([...bytes.subarray(at, at + 2)], opcode);
      const places = trapPlaces(bytes);
      assert.equal(places[0]?.offset, undefined);
      assert.deepEqual(places[1], { index: 1, offset: at });
    });
  }

  it("knows nothing of imported, injected and absent functions", () => {
    const instrumented = instrument(guest("kernels.c"));
    const { functionTypes } = instrumented.module;
    for (const index of [-1, functionTypes.length, functionTypes.length + 5, 1_000_000])
      assert.equal(instrumented.originalOffset(index, 100), undefined);
  });

  it("stays within the function for any offset", () => {
    const instrumented = instrument(guest("count_vowels.c"));
    const { module } = instrumented;
    for (let body = 0; body < module.bodies.length / 2; body++) {
      const [start, end] = [module.bodies[body * 2] as number, module.bodies[body * 2 + 1] as number];
      let previous = start;
      for (let offset = 0; offset < instrumented.bytes.length; offset++) {
        const found = instrumented.originalOffset(module.importedFunctions + body, offset) as number;
        assert.ok(found >= start && found <= end, `${offset} became ${found}, outside of ${start} to ${end}`);
        assert.ok(found >= previous, "a later instruction stands later");
        previous = found;
      }
    }
  });
});
