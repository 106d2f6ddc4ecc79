// Plugins of every interface in the hooks of one host: real guests in the hooks of their systems, and all of them side by
// side in one hook. Named after weaknesses of those systems where one is shown not to be here.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";

import {
  type HookDefinitions,
  type Host,
  type HostPlugins,
  type LoadOptions,
  createHost,
  hook,
  isMortiseError,
  standardHooks,
} from "../../src/index.ts";
import { openServices } from "../abi/open-guest.ts";
import { assembleText } from "../wasm/assemble.ts";
import { guest } from "./guests.ts";

const PREBUILT = join(import.meta.dirname, "..", "..", "guests", "prebuilt");
const PERMISSIONS = { kv: "read-write", cache: "read-write", crypto: true, clock: true } as const;

async function open<const D extends HookDefinitions>(t: TestContext, hooks: D): Promise<Host<D>> {
  const host = await createHost({ hooks, services: openServices(t) });
  t.after(() => host.close({ abort: true }));
  return host;
}

const load = ({ plugins }: { readonly plugins: HostPlugins }, file: string, options: LoadOptions): Promise<unknown> =>
  plugins.load(join(PREBUILT, `${file}.wasm`), { permissions: PERMISSIONS, ...options });

/** A failure of a closed hook, by the code of the plugin's own error. */
const failed =
  (code: string) =>
  (error: unknown): boolean =>
    isMortiseError(error) && error.code === "MORTISE_HOOK_FAILED" && error.details["code"] === code;

const query = (sql: string) => ({ query: sql, normalized: sql, tables: [], is_read_only: false });

describe("HeliosProxy's plugins in the hooks of a host", () => {
  const hooks = () => ({ preQuery: standardHooks.preQuery(), route: standardHooks.route(), authenticate: standardHooks.authenticate() });

  it("rewrite one after the other, and a guard sees what was rewritten", async (t) => {
    const host = await open(t, hooks());
    await load(host, "helios_mask.rs", { name: "mask-ssn", order: 1, config: { columns: "ssn" } });
    await load(host, "helios_mask.rs", { name: "mask-email", order: 2, config: { columns: "email" } });
    await load(host, "helios_guard.c", { name: "guard", order: 3 });
    const masked = await host.hooks.preQuery(query("SELECT ssn, email FROM t"));
    assert.equal("query" in masked && masked.query, "SELECT '***' AS ssn, '***' AS email FROM t");
    // There a plugin that rewrites switches off those behind it.
    await assert.rejects(host.hooks.preQuery(query("DROP TABLE t")), { code: "MORTISE_HOOK_REJECTED", message: /not here/ });
  });

  it("have their answers read in both spellings of results", async (t) => {
    const host = await open(t, hooks());
    await load(host, "helios_guard.c", { name: "guard" }); // {"kind": …}
    await assert.rejects(host.hooks.preQuery(query("DELETE FROM t")), { code: "MORTISE_HOOK_REJECTED" });
    assert.deepEqual(await host.hooks.route(query("INSERT /* node: 2 */ INTO t VALUES (1)")), { to: "node", target: "replica-2" }); // {"action": …}
  });

  it("cannot be skipped by padding the input until the fuel is gone", async (t) => {
    const host = await open(t, hooks());
    await load(host, "helios_guard.c", { name: "guard", limits: { fuel: 300_000 } });
    assert.equal((await host.hooks.preQuery.decide(query("SELECT 1"))).action, "continue");
    const padded = `/*${"x".repeat(200_000)}*/ DROP TABLE t`;
    await assert.rejects(host.hooks.preQuery(query(padded)), failed("MORTISE_FUEL"));
  });

  it("are loaded once by a name, and run once", async (t) => {
    const host = await open(t, hooks());
    const services = openServices(t);
    const cost = { name: "cost", services, config: { budget_us: 100 } };
    await load(host, "helios_cost.ts", cost);
    await assert.rejects(load(host, "helios_cost.ts", cost), { code: "MORTISE_PLUGIN_EXISTS" });
    await host.hooks.preQuery(query("SELECT 1"));
    assert.equal(host.plugins.list().find(({ name }) => name === "cost")?.counts["preQuery"]?.calls, 1);
  });

  it("have only what they were granted, whatever they declare", async (t) => {
    const host = await open(t, { ...hooks(), cacheGet: standardHooks.cacheGet() });
    await load(host, "helios_mask.rs", { name: "mask", permissions: {} });
    await assert.rejects(host.hooks.cacheGet(query("SELECT 1")), failed("MORTISE_PERMISSION"));
  });

  it("are in hooks without a manifest: what they export tells", async (t) => {
    const host = await open(t, hooks());
    await load(host, "helios_guard.c", { name: "guard" });
    assert.deepEqual(host.plugins.list()[0]?.hooks.toSorted(), ["authenticate", "preQuery", "route"]);
  });
});

describe("Bifrost's plugins in the hooks of a gateway", () => {
  const request = { method: "GET", path: "/admin/users", headers: {}, query: {}, body: null };

  it("answer requests, whatever the generation of their names", async (t) => {
    const host = await open(t, { http: standardHooks.http() });
    await load(host, "bifrost_first.c", { name: "first" });
    const { status_code: status, body } = await host.hooks.http(request, () => assert.fail("it is not asked"));
    assert.deepEqual([status, new TextDecoder().decode(body ?? new Uint8Array(0))], [403, "no"]);
  });

  it("of four languages and three generations stand in one hook", async (t) => {
    const host = await open(t, { http: standardHooks.http({ timeoutMs: 5000 }), llm: standardHooks.llm({ timeoutMs: 5000 }) });
    for (const [order, file] of ["bifrost_first.c", "bifrost_tag.ts", "bifrost_guard.rs", "gateway.go"].entries())
      await load(host, file, {
        name: file,
        order,
        limits: { timeoutMs: 5000, memoryBytes: 256 << 20 },
        permissions: { attributes: { write: ["*"] } },
      });
    const listed = host.plugins.list();
    assert.deepEqual(new Set(listed.map(({ abi }) => abi)), new Set(["bifrost"]));
    assert.ok(listed.every(({ hooks }) => hooks.includes("http") && hooks.includes("llm")));
    const reached = { status_code: 200, headers: {}, body: null };
    const answer = await host.hooks.http({ ...request, path: "/v1/models" }, async () => reached);
    assert.equal(answer.status_code, 200);
    for (const { counts } of host.plugins.list()) assert.ok((counts["http"]?.calls ?? 0) > 0);
  });
});

/** One function, `speak`, through each interface: it replaces the value by what it is called with. */
const LINEAR = (allocate: string, free: string, says: string): string => `(module
  (memory (export "memory") 1)
  (data (i32.const 16) "${says.replaceAll('"', '\\"')}")
  (func (export "${allocate}") (param i32) (result i32) (i32.const 1024))
  (func (export "${free}") (param i32 i32))
  (func (export "get_name") (result i64) (i64.const 0))
  (func (export "speak") (param i32 i32) (result i64)
    (i64.or (i64.shl (i64.const 16) (i64.const 32)) (i64.const ${says.length}))))`;

describe("A hook of an application", () => {
  it("has plugins of all interfaces side by side, in their order", async (t) => {
    const folder = await mkdtemp(join(tmpdir(), "mortise-hooks-"));
    t.after(() => rm(folder, { recursive: true }));
    const says = (what: string): string => `{"action":"replace","value":"${what}"}`;
    const file = join(folder, "native.mjs");
    await writeFile(file, `export const speak = () => ${JSON.stringify(says("native"))};\n`);
    const digest = createHash("sha256")
      .update(await readFile(file))
      .digest("hex");
    const extism = await guest({ speak: says("extism") });
    const provider = await guest({ speak: says("querymt"), name: "", init_logging: "", config_schema: "", from_config: "" });
    const host = await open(t, { speak: hook.chain<string>() });
    await host.plugins.load(file, { name: "e", order: 5, native: [{ path: file, digest }] });
    await host.plugins.load(provider, { name: "d", order: 4 });
    await host.plugins.load(await assembleText("helios", LINEAR("alloc", "dealloc", says("helios")).replace("get_name", "other")), {
      name: "c",
      order: 3,
    });
    await host.plugins.load(await assembleText("bifrost", LINEAR("malloc", "free", says("bifrost"))), { name: "b", order: 2 });
    await host.plugins.load(extism, { name: "a", order: 1 });
    assert.deepEqual(
      host.plugins.list().map(({ name, abi }) => `${name} ${abi}`),
      ["a extism", "b bifrost", "c helios", "d querymt", "e native"],
    );
    assert.deepEqual(await host.hooks.speak.decide("nothing"), { action: "replace", value: "native", plugins: ["a", "b", "c", "d", "e"] });
  });
});
