// Plugins over an exported memory that lie to the host: wrong pointers and lengths, allocators that give what they must
// not, and functions of the interface that trap, loop or fail.

import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { TestContext } from "node:test";

import type { ServiceProvider } from "../../src/api/services.ts";
import { type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";
import { openServices } from "./open-guest.ts";

type Abi = "bifrost" | "helios";

/** Parts of a plugin as text; what is left out is honest. */
interface Parts {
  readonly abi?: Abi;
  /** Body of the allocator: (param $size i32) (result i32). */
  readonly allocate?: string;
  /** Body of what frees a block: (param $at i32) (param $size i32). */
  readonly free?: string;
  /** Fields of the module besides. */
  readonly more?: string;
  /** Body of "go", (param $at i32) (param $length i32) (result i64); the input as output by default. */
  readonly go?: string;
}

const NAMES = { bifrost: ["malloc", "free"], helios: ["alloc", "dealloc"] } as const;
const SAME = "(i64.or (i64.shl (i64.extend_i32_u (local.get $at)) (i64.const 32)) (i64.extend_i32_u (local.get $length)))";
const HONEST = `(global.set $next (i32.add (global.get $next) (local.get $size))) (i32.sub (global.get $next) (local.get $size))`;

/** A plugin with one page of memory; blocks begin at 1024, and what was freed is counted in bytes 8 to 16. */
function plugin({ abi = "bifrost", allocate = HONEST, free = "", more = "", go = SAME }: Parts): string {
  const [allocator, freer] = NAMES[abi];
  return `(module
    (import "mortise:host" "kv_get" (func $kv_get (param i32 i32) (result i64)))
    (memory (export "memory") 1)
    (data (i32.const 16) "liar")
    (global $next (mut i32) (i32.const 1024))
    (func $allocate (export "${allocator}") (param $size i32) (result i32) ${allocate})
    (func (export "${freer}") (param $at i32) (param $size i32)
      (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (i32.const 1)))
      (i32.store (i32.const 12) (local.get $at))
      ${free})
    ${abi === "bifrost" ? `(func (export "get_name") (result i64) (i64.const 0x10_0000_0004))` : ""}
    (func (export "freed") (param $at i32) (param $length i32) (result i64) (i64.const 0x8_0000_0008))
    (func (export "go") (param $at i32) (param $length i32) (result i64)
      (if (i32.const 0) (then (drop (call $kv_get (i32.const 0) (i32.const 0)))))
      ${go})
    ${more})`;
}

/** The two ways in which the host calls a plugin: at once, or, if a service may have to wait, step by step. */
const WAYS = ["at once", "in steps"] as const;
type Way = (typeof WAYS)[number];

async function open(t: TestContext, text: string, options: PluginOptions = {}, way: Way = "at once"): Promise<Plugin> {
  const services = way === "at once" ? openServices(t) : waiting(openServices(t));
  const limits = { fuel: 1_000_000, memoryBytes: 1 << 20, ...options.limits };
  const opened = await loadPlugin(await assemble(text), { name: "liar", services, permissions: { kv: "read" }, ...options, limits });
  t.after(() => opened.close({ abort: true }));
  return opened;
}

/** The same services, of which one may wait. */
function waiting(services: ServiceProvider): ServiceProvider {
  return {
    forPlugin(scope) {
      const { kv_get, ...others } = services.forPlugin(scope);
      assert.ok(kv_get);
      return { ...others, kv_get: { ...kv_get, waits: true } };
    },
  };
}

/** How a call ended: its output in hexadecimal, or the code of its error. */
async function endOf(opened: Plugin, fn: string, input: string): Promise<string> {
  try {
    return Buffer.from((await opened.call(fn, input)).bytes()).toString("hex");
  } catch (error) {
    return (error as { code?: string }).code ?? `no code: ${String(error)}`;
  }
}

const ABI_WAYS: readonly (readonly [Abi, Way])[] = (["bifrost", "helios"] as const).flatMap((abi) => WAYS.map((way) => [abi, way] as const));

/** Address and length as a result. */
const result = (address: number, length: number): string => `(i64.const 0x${address.toString(16)}_${length.toString(16).padStart(8, "0")})`;

describe("the result of a plugin over an exported memory", () => {
  const results: readonly (readonly [what: string, go: string, end: string])[] = [
    ["is read up to the end of the memory", result(65_532, 4), "00000000"],
    ["is refused one byte beyond", result(65_533, 4), "MORTISE_BAD_POINTER"],
    ["is refused behind the end", result(65_536, 1), "MORTISE_BAD_POINTER"],
    ["is refused with a length of the whole memory and one", result(0, 65_537), "MORTISE_BAD_POINTER"],
    [
      "is read with the length of the whole memory",
      `(memory.fill (i32.const 0) (i32.const 0) (i32.const 65536)) ${result(0, 65_536)}`,
      "00".repeat(65_536),
    ],
    ["is refused with an address that is negative", result(0xffff_fffc, 4), "MORTISE_BAD_POINTER"],
    ["is refused with an address of 2 GiB", result(0x8000_0000, 4), "MORTISE_BAD_POINTER"],
    ["is refused where address and length wrap around", result(0xffff_ffff, 2), "MORTISE_BAD_POINTER"],
    ["is refused with a length that is negative", result(1024, 0xffff_ffff), "MORTISE_BAD_POINTER"],
    ["is refused with a length of 2 GiB", result(1024, 0x8000_0000), "MORTISE_BAD_POINTER"],
    ["is empty for no length, wherever it points", result(0xffff_ffff, 0), ""],
    ["is empty for 0", "(i64.const 0)", ""],
    ["may be its input", SAME, "616263"],
    ["may be a part of its input", `(i64.sub (i64.add ${SAME} (i64.const 0x1_0000_0000)) (i64.const 1))`, "6263"],
    ["may be memory that it has freed", `(global.set $next (i32.const 1024)) ${SAME}`, "616263"],
    ["is seen where the memory has grown meanwhile", `(drop (memory.grow (i32.const 1))) ${result(65_536, 2)}`, "0000"],
  ];
  for (const [abi, way] of ABI_WAYS) {
    for (const [what, go, end] of results) {
      it(`${what} (${abi}, ${way})`, async (t) => {
        const opened = await open(t, plugin({ abi, go }), {}, way);
        for (let call = 0; call < 2; call++) assert.equal(await endOf(opened, "go", "abc"), end);
        // Whatever it did, the next call is served.
        assert.equal((await opened.call("freed", "abc")).length, 8);
      });
    }
  }

  for (const [what, go, freed] of [
    ["once, if it is the input", SAME, [1, 1024]],
    ["not by itself, if it is a part of the input", `(i64.add ${SAME} (i64.const 0x1_0000_0000))`, [1, 1024]],
    ["before the input, if it is neither", result(512, 4), [2, 1024]],
    ["not at all, if it is empty", "(i64.const 0)", [1, 1024]],
  ] as const) {
    for (const way of WAYS) {
      it(`is freed ${what} (${way})`, async (t) => {
        const opened = await open(t, plugin({ go }), {}, way);
        await opened.call("go", "abc");
        const seen = (await opened.call("freed", "")).bytes();
        const view = new DataView(seen.buffer, seen.byteOffset);
        assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true)], freed);
      });
    }
  }
});

describe("the allocator of a plugin over an exported memory", () => {
  const STORE = `(call $kv_get (local.get $at) (local.get $length))`;
  const cases: readonly (readonly [what: string, parts: Parts, end: string])[] = [
    ["may not give nothing", { allocate: "(i32.const 0)" }, "MORTISE_BAD_ALLOCATION"],
    ["may not give what lies behind the memory", { allocate: "(i32.const 65536)" }, "MORTISE_BAD_ALLOCATION"],
    ["may not give what ends behind the memory", { allocate: "(i32.const 65534)" }, "MORTISE_BAD_ALLOCATION"],
    ["may give what ends with the memory", { allocate: "(i32.const 65533)" }, "616263"],
    ["may not give a negative address", { allocate: "(i32.const -4)" }, "MORTISE_BAD_ALLOCATION"],
    ["may not trap", { allocate: "(unreachable)" }, "MORTISE_TRAP"],
    ["may not loop", { allocate: "(loop (br 0)) (i32.const 1024)" }, "MORTISE_FUEL"],
    ["may not recurse for ever", { allocate: "(call $allocate (local.get $size))" }, "MORTISE_STACK_OVERFLOW"],
    ["may not take more memory than there is", { allocate: "(drop (memory.grow (i32.const 100))) (i32.const 1024)" }, "MORTISE_MEMORY_LIMIT"],
    ["may grow the memory", { allocate: "(i32.mul (memory.grow (i32.const 1)) (i32.const 65536))" }, "616263"],
    ["may give the memory that the plugin's data is in", { allocate: "(i32.const 16)" }, "616263"],
    ["may ask the host while it is asked", { allocate: `(drop (call $kv_get (i32.const 16) (i32.const 4))) ${HONEST}` }, "616263"],
  ];
  for (const [abi, way] of ABI_WAYS) {
    for (const [what, parts, end] of cases) {
      it(`${what} (${abi}, ${way})`, async (t) => {
        const opened = await open(t, plugin({ ...parts, abi }), {}, way);
        for (let call = 0; call < 2; call++) assert.equal(await endOf(opened, "go", "abc"), end);
      });
    }
  }

  // Asked by the host for room for what a service gives.
  const stored: readonly (readonly [what: string, allocate: string, end: string])[] = [
    ["gives it room", HONEST, "76616c7565"],
    ["may not give nothing", "(i32.const 0)", "MORTISE_BAD_ALLOCATION"],
    ["may not give what ends behind the memory", "(i32.const 65532)", "MORTISE_BAD_ALLOCATION"],
    ["may not trap", "(unreachable)", "MORTISE_BAD_ALLOCATION"],
    ["may not loop", "(loop (br 0)) (i32.const 0)", "MORTISE_FUEL"],
    [
      "may not ask for the same again and again",
      `(i32.wrap_i64 (i64.shr_u (call $kv_get (i32.const 16) (i32.const 4)) (i64.const 32)))`,
      "MORTISE_STACK_OVERFLOW",
    ],
  ];
  for (const [abi, way] of ABI_WAYS) {
    for (const [what, allocate, end] of stored) {
      it(`${what} when a service needs it (${abi}, ${way})`, async (t) => {
        const services = openServices(t);
        const { kv_set } = services.forPlugin({ plugin: "liar", permissions: { kv: "read-write" } });
        const call = { plugin: "liar", function: "test", timeoutMs: 1000, statedMs: 1000, signal: AbortSignal.timeout(1000), context: undefined };
        await kv_set?.run(call, "liar", new TextEncoder().encode("value"), 0n);
        // For the input it is honest: that is one block at 1024.
        const text = plugin({
          abi,
          allocate: `(if (i32.eq (global.get $next) (i32.const 1024)) (then (global.set $next (i32.const 1032)) (return (i32.const 1024)))) ${allocate}`,
          go: STORE,
        });
        const opened = await open(t, text, { services: way === "at once" ? services : waiting(services), limits: { fuel: 10_000_000 } });
        assert.equal(await endOf(opened, "go", "liar"), end);
      });
    }
  }

  it("gives each of several inputs a block of its own", async (t) => {
    const first = `(func (export "pre_hook") (param i32 i32 i32 i32) (result i64) (i64.const 0))`;
    const envelope = JSON.stringify({ context: { a: 1 }, request: { b: 2 } });
    assert.equal(await endOf(await open(t, plugin({ more: first })), "pre_hook", envelope), "");
    const twice = await open(t, plugin({ more: first, allocate: "(i32.const 2048)" }));
    assert.equal(await endOf(twice, "pre_hook", envelope), "MORTISE_BAD_ALLOCATION");
    // The second begins in the first.
    const overlapping = await open(
      t,
      plugin({ more: first, allocate: `(global.set $next (i32.add (global.get $next) (i32.const 3))) (global.get $next)` }),
    );
    assert.equal(await endOf(overlapping, "pre_hook", envelope), "MORTISE_BAD_ALLOCATION");
  });

  for (const way of WAYS)
    it(`of Bifrost gets a new instance when it has no memory left, and the call is made once (${way})`, async (t) => {
      const allocate = `(if (i32.gt_u (i32.add (global.get $next) (local.get $size)) (i32.const 2048)) (then (return (i32.const 0)))) ${HONEST}`;
      const go = `(i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) ${result(0, 4)}`;
      const opened = await open(t, plugin({ allocate, go }), {}, way);
      const counts = [];
      for (let call = 0; call < 5; call++) counts.push(await endOf(opened, "go", "x".repeat(400)));
      // Two calls an instance; none is lost, and none is made twice.
      assert.deepEqual(counts, ["01000000", "02000000", "01000000", "02000000", "01000000"]);
      assert.equal(await endOf(opened, "go", "x".repeat(1025)), "MORTISE_BAD_ALLOCATION");
    });

  for (const way of WAYS) {
    it(`is charged for what it did in an instance that was replaced (${way})`, async (t) => {
      // The second time it counts to 50,000 before it says that there is no memory.
      const burn = "(local.set $size (i32.const 50000)) (loop (br_if 0 (local.tee $size (i32.sub (local.get $size) (i32.const 1)))))";
      const allocate = `(if (i32.gt_u (global.get $next) (i32.const 1024)) (then ${burn} (return (i32.const 0)))) ${HONEST}`;
      const opened = await open(t, plugin({ allocate }), {}, way);
      assert.equal(await endOf(opened, "go", "abc"), "616263");
      const { last } = opened.stats().fuel;
      assert.equal(await endOf(opened, "go", "abc"), "616263");
      assert.ok(opened.stats().fuel.last > last + 100_000, `${opened.stats().fuel.last} after ${last}`);
      const poor = await open(t, plugin({ allocate }), { limits: { fuel: 50_000 } }, way);
      assert.deepEqual([await endOf(poor, "go", "abc"), await endOf(poor, "go", "abc")], ["616263", "MORTISE_FUEL"]);
    });
  }
});

describe("what frees the blocks of a Bifrost plugin", () => {
  const cases: readonly (readonly [what: string, free: string, end: string])[] = [
    ["may not trap", "(unreachable)", "MORTISE_TRAP"],
    ["may not loop", "(loop (br 0))", "MORTISE_FUEL"],
    ["may grow the memory", "(drop (memory.grow (i32.const 1)))", "616263"],
    ["may overwrite what it frees", "(i32.store (local.get $at) (i32.const 0))", "616263"],
  ];
  for (const way of WAYS) {
    for (const [what, free, end] of cases) {
      it(`${what} (${way})`, async (t) => {
        const opened = await open(t, plugin({ free }), {}, way);
        for (let call = 0; call < 2; call++) assert.equal(await endOf(opened, "go", "abc"), end);
      });
    }
  }

  it("concerns nobody in a HeliosProxy plugin, whose memory is dropped after each call", async (t) => {
    for (const free of ["(unreachable)", "(loop (br 0))"])
      assert.equal(await endOf(await open(t, plugin({ abi: "helios", free })), "go", "abc"), "616263");
  });

  for (const way of WAYS)
    it(`may be plugin_reset, which may not trap either (${way})`, async (t) => {
      const reset = (body: string): string => `(func (export "plugin_reset") ${body})`;
      const opened = await open(t, plugin({ more: reset("(global.set $next (i32.const 1024))") }), {}, way);
      for (let call = 0; call < 3; call++) assert.equal(await endOf(opened, "go", "x".repeat(60_000)), "78".repeat(60_000));
      assert.equal(opened.stats().instances.discarded, 0);
      assert.equal(await endOf(await open(t, plugin({ more: reset("(unreachable)") }), {}, way), "go", "abc"), "MORTISE_TRAP");
    });
});

describe("the life of a Bifrost plugin", () => {
  const init = (body: string): string => `(func (export "init") (param $at i32) (param $length i32) (result i32) ${body})`;
  const inits: readonly (readonly [what: string, body: string, code: string])[] = [
    ["fails", "(i32.const 7)", "MORTISE_RETURN_CODE"],
    ["fails with a negative code", "(i32.const -1)", "MORTISE_RETURN_CODE"],
    ["traps", "(unreachable)", "MORTISE_TRAP"],
    ["loops", "(loop (br 0)) (i32.const 0)", "MORTISE_FUEL"],
  ];
  for (const [what, body, code] of inits) {
    it(`does not begin if its init ${what}`, async (t) => {
      await assert.rejects(open(t, plugin({ more: init(body) })), { code, message: /"init" of plugin "liar"/ });
    });
  }

  it("begins with the configuration, given to init in every instance", async (t) => {
    // Keeps the first bytes of what it is given.
    const keep = init("(memory.copy (i32.const 512) (local.get $at) (local.get $length)) (i32.const 0)");
    const opened = await open(t, plugin({ more: keep, go: result(512, 9) }), { config: { a: "b" } });
    assert.equal(Buffer.from(await endOf(opened, "go", ""), "hex").toString(), `{"a":"b"}`);
  });

  it("does not depend on what get_name says of it", async (t) => {
    const text = plugin({}).replace("(i64.const 0x10_0000_0004)", result(0xffff_0000, 0xffff));
    const opened = await open(t, text);
    assert.equal(opened.name, "liar");
    assert.equal(await endOf(opened, "get_name", ""), "MORTISE_BAD_POINTER");
    assert.equal(await endOf(opened, "go", "abc"), "616263");
  });

  for (const [what, body] of [
    ["traps", "(unreachable)"],
    ["loops", "(loop (br 0)) (i32.const 0)"],
    ["fails", "(i32.const 1)"],
  ] as const) {
    it(`ends, also if its cleanup ${what}`, async (t) => {
      const lines: string[] = [];
      const keep = (text: string): void => void lines.push(text);
      const opened = await open(t, plugin({ more: `(func (export "cleanup") (result i32) ${body})` }), {
        logger: { trace: keep, debug: keep, info: keep, warn: keep, error: keep },
      });
      assert.equal(await endOf(opened, "go", "abc"), "616263");
      await opened.close();
      assert.equal(lines.length, 1);
      assert.match(lines[0] ?? "", /cleanup of plugin "liar" failed/);
    });
  }
});

describe("a module that is no plugin of an interface", () => {
  const cases: readonly (readonly [what: string, abi: Abi, text: string, message: RegExp])[] = [
    ["without a memory", "bifrost", `(module (func (export "malloc") (param i32) (result i32) (i32.const 8)))`, /a memory exported as "memory"/],
    ["without an allocator", "bifrost", `(module (memory (export "memory") 1))`, /"plugin_malloc" or "malloc"/],
    [
      "with an allocator of another type",
      "bifrost",
      `(module (memory (export "memory") 1) (func (export "malloc") (param i64) (result i32) (i32.const 8)))`,
      /"malloc" of type/,
    ],
    [
      "without dealloc",
      "helios",
      `(module (memory (export "memory") 1) (func (export "alloc") (param i32) (result i32) (i32.const 8)))`,
      /"dealloc"/,
    ],
  ];
  for (const [what, abi, text, message] of cases) {
    it(`is refused as "${abi}" ${what}`, async (t) => {
      await assert.rejects(open(t, text, { abi }), { code: "MORTISE_ABI_MISMATCH", message });
    });
  }

  it("has no functions but those that the interface can call", async (t) => {
    const more = `
      (func (export "three") (param i32 i32 i32) (result i64) (i64.const 0))
      (func (export "long") (param i64 i64) (result i64) (i64.const 0))
      (func (export "float") (param i32 i32) (result f64) (f64.const 0))
      (func (export "two") (param i32 i32) (result i64 i64) (i64.const 0) (i64.const 0))
      (func (export "post_hook") (param i32 i32 i32 i32 i32 i32) (result i64) (i64.const 0))`;
    const opened = await open(t, plugin({ more }));
    assert.deepEqual(opened.exports.toSorted(), ["freed", "get_name", "go", "post_hook"]);
    for (const fn of ["three", "long", "float", "two", "malloc", "free"])
      await assert.rejects(opened.call(fn), { code: "MORTISE_BAD_SIGNATURE" }, fn);
  });
});
