// HeliosProxy plugins in three languages: what each says to the payloads of its hooks, and what it keeps in the host.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { describe, it } from "node:test";

import type { PluginOptions } from "../../src/index.ts";
import { openGuest, openServices } from "./open-guest.ts";

/** What pre_query and route are given. */
function query(sql: string, readOnly: boolean = false): object {
  const hook_context = { request_id: "r", client_id: "client-1", identity: null, database: null, branch: null, attributes: {} };
  return { query: sql, normalized: sql, tables: [], is_read_only: readOnly, hook_context };
}

function outcome(elapsedUs: number): object {
  return { success: true, target_node: null, elapsed_us: elapsedUs, response_bytes: 10, error: null };
}

const CASES: readonly (readonly [guest: string, config: PluginOptions["config"], hook: string, input: unknown, output: unknown])[] = [
  ["helios_guard.c", {}, "pre_query", query("SELECT 1"), { kind: "continue" }],
  ["helios_guard.c", {}, "pre_query", query("DELETE FROM t"), { kind: "block", reason: "a statement that changes a whole table needs a WHERE" }],
  ["helios_guard.c", {}, "pre_query", query("delete from t where id = 1"), { kind: "continue" }],
  [
    "helios_guard.c",
    {},
    "pre_query",
    query("UPDATE t SET a = 'where'"),
    { kind: "block", reason: "a statement that changes a whole table needs a WHERE" },
  ],
  ["helios_guard.c", {}, "pre_query", query("SELECT 'drop', drop_off FROM t"), { kind: "continue" }],
  ["helios_guard.c", {}, "pre_query", query("DROP TABLE t"), { kind: "block", reason: "not here" }],
  ["helios_guard.c", {}, "authenticate", { headers: {}, username: "mallory", client_ip: "::1" }, { action: "denied", message: "you know why" }],
  [
    "helios_guard.c",
    {},
    "authenticate",
    { headers: {}, username: "alice", client_ip: "::1" },
    { action: "success", identity: { user_id: "u1", username: "alice", roles: ["reader"] } },
  ],
  ["helios_guard.c", {}, "authenticate", { headers: {}, username: null, client_ip: "::1" }, undefined],
  ["helios_guard.c", {}, "route", query("SELECT 1", true), { action: "standby" }],
  ["helios_guard.c", {}, "route", query("INSERT INTO t VALUES (1)"), { action: "primary" }],
  ["helios_guard.c", {}, "route", query("INSERT /* node: 2 */ INTO t VALUES (1)"), { action: "node", target: "replica-2" }],
  ["helios_mask.rs", { columns: "ssn, email" }, "pre_query", query("SELECT id FROM t WHERE ssn = 1"), { action: "continue" }],
  [
    "helios_mask.rs",
    { columns: "ssn, email" },
    "pre_query",
    query("SELECT id, SSN, 'ssn', email FROM \"t\" WHERE ssn = 'é'"),
    { action: "rewrite", value: "SELECT id, '***' AS ssn, 'ssn', '***' AS email FROM \"t\" WHERE ssn = 'é'" },
  ],
  ["helios_mask.rs", {}, "pre_query", query("SELECT ssn FROM t"), { action: "continue" }],
  ["helios_mask.rs", { columns: "ssn" }, "pre_query", query("UPDATE t SET ssn = 1"), { action: "continue" }],
  ["helios_cost.ts", {}, "pre_query", query("SELECT 1"), undefined],
  ["helios_fixtures.c", {}, "pre_query", query("SELECT 1"), { action: "continue" }],
];

describe("HeliosProxy plugins", () => {
  for (const [guest, config, hook, input, output] of CASES) {
    it(`${guest} answers ${hook} ${JSON.stringify(input).slice(0, 70)}`, async (t) => {
      const plugin = await openGuest(t, guest, { config: config ?? {} });
      assert.equal(plugin.abi, "helios");
      for (const result of [await plugin.call(hook, JSON.stringify(input)), plugin.callSync(hook, JSON.stringify(input))])
        assert.deepEqual(result.length === 0 ? undefined : result.json(), output);
    });
  }

  it("helios_guard.c keeps a chain of digests in the host, whose memory outlives its own", async (t) => {
    const services = openServices(t);
    const plugin = await openGuest(t, "helios_guard.c", { services, name: "guard" });
    let chain = "";
    for (const elapsed of [1, 2, 3]) {
      const input = JSON.stringify([query("SELECT 1"), outcome(elapsed)]);
      assert.equal((await plugin.call("post_query", input)).length, 0);
      chain = createHash("sha256")
        .update(chain + input)
        .digest("hex");
    }
    const { kv_get } = services.forPlugin({ plugin: "guard", permissions: { kv: "read" } });
    const call = { plugin: "guard", function: "test", timeoutMs: 1000, statedMs: 1000, signal: AbortSignal.timeout(1000), context: undefined };
    assert.equal(Buffer.from((await kv_get?.run(call, "chain")) as Uint8Array).toString(), chain);
  });

  it("helios_cost.ts stops a client whose budget is used up, over all its instances", async (t) => {
    const services = openServices(t);
    const plugin = await openGuest(t, "helios_cost.ts", { services, name: "cost", config: { budget_us: 100 } });
    const ask = async (): Promise<string> => (await plugin.call("pre_query", JSON.stringify(query("SELECT 1")))).text();
    const report = (elapsed: number): Promise<unknown> =>
      plugin.call("post_query", JSON.stringify([query("SELECT '{\"success\"'"), outcome(elapsed)]));
    await report(99);
    assert.equal(await ask(), "");
    await report(1);
    assert.deepEqual(JSON.parse(await ask()), { action: "block", value: "client client-1 has used 100 us" });
  });

  it("helios_mask.rs keeps what it caches in the host", async (t) => {
    const plugin = await openGuest(t, "helios_mask.rs");
    assert.equal((await plugin.call("cache_get", "k")).length, 0);
    await plugin.call("cache_set", JSON.stringify({ key: "k", value: "välue" }));
    assert.equal((await plugin.call("cache_get", "k")).text(), "välue");
  });

  it("helios_fixtures.c gets what HeliosProxy's own functions answer", async (t) => {
    const plugin = await openGuest(t, "helios_fixtures.c");
    assert.equal((await plugin.call("env_kv", "abc")).text(), "get=-1 set=0 get=3 negative=-1 outside=-1 delete=0 delete=0 get=-1");
    // The guest's buffer takes 8 bytes.
    assert.match((await plugin.call("env_kv", "123456789")).text(), /^get=-1 set=0 get=-2 /);
    assert.equal((await plugin.call("sha256", "abc")).text(), createHash("sha256").update("abc").digest("hex"));
  });

  it("are denied what they were not granted, by its name", async (t) => {
    const mask = await openGuest(t, "helios_mask.rs", { permissions: {} });
    await assert.rejects(mask.call("cache_get", "k"), { code: "MORTISE_PERMISSION", message: /cache = / });
    const guard = await openGuest(t, "helios_guard.c", { permissions: { crypto: true } });
    await assert.rejects(guard.call("post_query", "[]"), { code: "MORTISE_PERMISSION", message: /kv = / });
  });
});
