// What a plugin elsewhere is granted of WASI: quotas that outlast its places, options that JSON cannot hold, and sleep.

import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, describe, it } from "node:test";

import { type MortiseError, type PathGrant, type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { childWasi, wasiToWire } from "../../src/isolation/child-wasi.ts";
import type { WireWasi } from "../../src/isolation/protocol.ts";
import { configureIsolation, placeCounts } from "../../src/isolation/places.ts";
import { childProcesses, until } from "./children.ts";
import { SLEEPER, wat } from "./guests.ts";

const FILE_BYTES = 300_000;
/** `fill` creates a file of 300,000 bytes under a random name, and returns the error number. */
const FILLER = `(module
  (import "wasi_snapshot_preview1" "path_open" (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_allocate" (func $allocate (param i32 i64 i64) (result i32)))
  (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "fill") (result i32) (local $at i32) (local $errno i32)
    (drop (call $random (i32.const 100) (i32.const 16)))
    (loop $next
      (i32.store8 (i32.add (local.get $at) (i32.const 100))
        (i32.add (i32.const 97) (i32.and (i32.load8_u (i32.add (local.get $at) (i32.const 100))) (i32.const 15))))
      (br_if $next (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 16))))
    (local.set $errno (call $open (i32.const 3) (i32.const 0) (i32.const 100) (i32.const 16) (i32.const 1) (i64.const 0x142)
      (i64.const 0) (i32.const 0) (i32.const 200)))
    (if (local.get $errno) (then (return (local.get $errno))))
    (call $allocate (i32.load (i32.const 200)) (i64.const 0) (i64.const ${FILE_BYTES})))
  (func (export "spin") (loop (br 0))))`;

const folders: string[] = [];
after(() => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

afterEach(async () => {
  configureIsolation({ threads: 64, processes: 32, spare: true });
  await until(() => placeCounts().thread + placeCounts().process === 0);
});

async function filler(maxBytes: number, options: PluginOptions): Promise<{ readonly plugin: Plugin; readonly used: () => number }> {
  const path = mkdtempSync(join(tmpdir(), "mortise-grants-"));
  folders.push(path);
  configureIsolation({ spare: false });
  const paths: Record<string, PathGrant> = { [path]: { guest: "/data", maxBytes } };
  const plugin = await loadPlugin(await wat(FILLER)(), { limits: { timeoutMs: 60_000, initTimeoutMs: 60_000 }, permissions: { paths }, ...options });
  return { plugin, used: () => readdirSync(path).reduce((sum, name) => sum + statSync(join(path, name)).size, 0) };
}

const codeOf = (call: Promise<unknown>): Promise<string> =>
  call.then(
    () => "",
    (error: MortiseError) => error.code,
  );

/** Ends the process of the plugin, which nobody calls, and waits for the next one. */
async function replaceProcess(): Promise<void> {
  const [killed] = childProcesses();
  assert.ok(killed !== undefined);
  process.kill(killed, "SIGKILL");
  await until(() => childProcesses().some((pid) => pid !== killed));
}

describe("The quota of a granted folder", () => {
  it("counts what processes had used that have ended since", async () => {
    const { plugin, used } = await filler(1_000_000, { isolation: "process" });
    for (let time = 0; time < 3; time++) {
      assert.equal(await codeOf(plugin.call("fill")), "");
      await replaceProcess();
    }
    assert.notEqual(await codeOf(plugin.call("fill")), "");
    assert.equal(used(), 3 * FILE_BYTES);
    await plugin.close();
  });

  it("is used up by a process that ends while its guest runs", async () => {
    const { plugin, used } = await filler(1_000_000, { isolation: "process" });
    assert.equal(await codeOf(plugin.call("fill")), "");
    const call = codeOf(plugin.call("spin"));
    for (const pid of childProcesses()) process.kill(pid, "SIGKILL");
    assert.equal(await call, "MORTISE_ISOLATION_LOST");
    assert.notEqual(await codeOf(plugin.call("fill")), "");
    assert.equal(used(), FILE_BYTES);
    await plugin.close();
  });

  it("is shared by places that run at once", async () => {
    const { plugin, used } = await filler(1_000_000, { isolation: "thread", stateless: true, pool: { maxInstances: 3 } });
    const codes = await Promise.all(Array.from({ length: 6 }, () => codeOf(plugin.call("fill"))));
    assert.ok(codes.includes(""));
    assert.ok(used() <= 1_000_000, `${used()} bytes`);
    await plugin.close();
  });

  for (const isolation of ["thread", "process"] as const) {
    it(`may have no limit: ${isolation}`, async () => {
      const { plugin, used } = await filler(Number.POSITIVE_INFINITY, {
        isolation,
        wasi: { outputBytes: Number.POSITIVE_INFINITY, fileBytes: Number.POSITIVE_INFINITY },
      });
      assert.equal(await codeOf(plugin.call("fill")), "");
      assert.equal(used(), FILE_BYTES);
      await plugin.close();
    });
  }
});

describe("wasiToWire and childWasi", () => {
  it("carry sizes without limit", () => {
    const wire = JSON.parse(JSON.stringify(wasiToWire({ outputBytes: Number.POSITIVE_INFINITY, fileBytes: 5 }))) as WireWasi;
    const { outputBytes, fileBytes } = childWasi(wire, {} as never);
    assert.deepEqual([outputBytes, fileBytes], [Number.POSITIVE_INFINITY, 5]);
  });
});

describe("A guest that sleeps in a thread", () => {
  it("is ended by an abort, and its thread goes on", async () => {
    configureIsolation({ spare: false });
    let started = 0;
    const count = (): void => void started++;
    process.on("worker", count);
    const controller = new AbortController();
    // Once it has said that it is about to sleep.
    const hostFunctions = { host: { work: () => void setImmediate(() => controller.abort()) } };
    const limits = { timeoutMs: Number.POSITIVE_INFINITY };
    const plugin = await loadPlugin(await wat(SLEEPER)(), { isolation: "thread", hostFunctions, limits });
    assert.equal(await codeOf(plugin.call("sleep", "", { signal: controller.signal })), "MORTISE_ABORTED");
    assert.equal(await codeOf(plugin.call("wake")), "");
    process.off("worker", count);
    assert.equal(started, 1);
    await plugin.close();
  });
});
