// The JSON of a database proxy's hooks, as HeliosProxy's plugins speak it: every form of message and of answer.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { hook } from "../../../src/hooks/definition.ts";
import type { CachedRows, QueryContext } from "../../../src/hooks/standard/helios-types.ts";
import { standardHooks } from "../../../src/hooks/standard/standard-hooks.ts";
import { createHost } from "../../../src/manager/create-host.ts";
import { action, guest } from "../guests.ts";
import { decided, request, sent } from "./speak.ts";

const QUERY: QueryContext = { query: 'select "a"', is_read_only: true };
const QUERY_JSON = '"query":"select \\"a\\"","normalized":"select \\"a\\"","tables":[],"is_read_only":true';
const EMPTY_CONTEXT = '{"request_id":"r-1","client_id":null,"identity":null,"database":null,"branch":null,"attributes":{}}';
const ROWS: CachedRows = { columns: [{ name: "n", oid: 25 }], rows: [["1"], [null]] };
const ROWS_BYTES = [...new TextEncoder().encode('{"columns":[{"name":"n"}],"rows":[["1"],[null]]}')];

const { preQuery, postQuery, authenticate, authorize, route, cacheGet, cacheSet, rewrite, metrics, onConnect, onDisconnect, customHook } =
  standardHooks;

const CONTINUES = { action: "continue" };
const OUTPUT = "MORTISE_HOOK_OUTPUT";
const rejects = (reason: string): object => ({ action: "reject", reason, plugin: "p" });
const answers = (value: unknown): object => ({ action: "answer", value, plugin: "p" });
const replaces = (value: unknown): object => ({ action: "replace", value, plugins: ["p"] });

describe("Messages to plugins of a database proxy", () => {
  const query = { ...QUERY, normalized: "select ?", tables: ["t"] };
  const outcome = { success: true, target_node: "n1", elapsed_us: 12, response_bytes: 3, error: null };
  const outcomeJson = '{"success":true,"target_node":"n1","elapsed_us":12,"response_bytes":3,"error":null}';
  const cases: readonly (readonly [name: string, message: string, json: string])[] = [
    ["preQuery", sent(preQuery().wire, QUERY), `{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}}`],
    [
      "preQuery, with what is known",
      sent(preQuery().wire, query),
      `{"query":"select \\"a\\"","normalized":"select ?","tables":["t"],"is_read_only":true,"hook_context":${EMPTY_CONTEXT}}`,
    ],
    ["route", sent(route().wire, QUERY), `{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}}`],
    ["cacheGet", sent(cacheGet().wire, QUERY), `{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}}`],
    ["rewrite", sent(rewrite().wire, QUERY), `{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}}`],
    ["postQuery", sent(postQuery().wire, { query: QUERY, outcome }), `[{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}},${outcomeJson}]`],
    [
      "cacheSet",
      sent(cacheSet().wire, { query: QUERY, rows: ROWS }),
      `{${QUERY_JSON},"hook_context":${EMPTY_CONTEXT},"data":[${[...new TextEncoder().encode(JSON.stringify(ROWS))].join(",")}]}`,
    ],
    [
      "authenticate",
      sent(authenticate().wire, { username: "ada", client_ip: "10.0.0.1", database: null }),
      '{"headers":{},"username":"ada","password":null,"client_ip":"10.0.0.1","database":null}',
    ],
    [
      "authenticate, with all there is",
      sent(authenticate().wire, { headers: { a: "b" }, username: null, password: "p", client_ip: "::1", database: "d" }),
      '{"headers":{"a":"b"},"username":null,"password":"p","client_ip":"::1","database":"d"}',
    ],
    ["authorize", sent(authorize().wire, { identity: null, query: QUERY }), `{"identity":null,${QUERY_JSON},"hook_context":${EMPTY_CONTEXT}}`],
    [
      "onConnect",
      sent(onConnect().wire, { client_ip: "::1", username: "ada", database: null }),
      `{"client_ip":"::1","username":"ada","database":null,"hook_context":${EMPTY_CONTEXT}}`,
    ],
    [
      "onDisconnect",
      sent(onDisconnect().wire, { client_ip: "::1", username: null, database: "d" }),
      `{"client_ip":"::1","username":null,"database":"d","hook_context":${EMPTY_CONTEXT}}`,
    ],
    ["metrics", sent(metrics().wire, { queries: 5 }), `{"metrics":{"queries":5},"hook_context":${EMPTY_CONTEXT}}`],
    ["customHook", sent(customHook().wire, [1]), '{"input":[1],"context":{"request_id":"r-1","attributes":{}}}'],
  ];
  for (const [name, message, json] of cases) {
    it(`have the JSON that they know: ${name}`, () => {
      assert.equal(message, json);
      JSON.parse(message);
    });
  }

  it("tell of the session what the plugin may know", () => {
    const attributes = { client_id: "c", identity: "u1", database: "db", branch: "main", tenant_id: "t" };
    const { hook_context: context } = JSON.parse(sent(preQuery().wire, QUERY, attributes)) as { hook_context: object };
    assert.deepEqual(context, { request_id: "r-1", client_id: "c", identity: "u1", database: "db", branch: "main", attributes });
  });

  it("go to the functions that they know", () => {
    const named = { preQuery, postQuery, authenticate, authorize, route, cacheGet, cacheSet, rewrite, metrics, onConnect, onDisconnect, customHook };
    assert.deepEqual(
      Object.values(named).map((define) => define().names?.[0]),
      [
        "pre_query",
        "post_query",
        "authenticate",
        "authorize",
        "route",
        "cache_get",
        "cache_set",
        "rewrite",
        "metrics",
        "on_connect",
        "on_disconnect",
        "custom_hook",
      ],
    );
  });
});

describe("Answers of plugins of a database proxy", () => {
  const rewritten = { query: "select 2", is_read_only: false };
  const unchanged = { action: "continue", value: QUERY };

  const queryAnswers: readonly (readonly [output: unknown, decision: unknown])[] = [
    ["", unchanged],
    [{ action: "continue" }, unchanged],
    [{ kind: "continue" }, unchanged],
    [{ action: "continue", extra: 1 }, unchanged],
    [{ action: "rewrite", value: "select 2" }, replaces(rewritten)],
    [{ kind: "rewrite", sql: "select 2" }, replaces(rewritten)],
    [{ action: "block", value: "no" }, rejects("no")],
    [{ kind: "block", reason: "no" }, rejects("no")],
    [{ action: "block" }, rejects("it gave no reason")],
    [{ action: "cached", data: ROWS_BYTES }, answers(ROWS)],
    [{ kind: "cached", bytes: ROWS_BYTES }, answers(ROWS)],
    [{ action: "rewrite" }, OUTPUT],
    [{ action: "rewrite", value: 5 }, OUTPUT],
    [{ action: "Rewrite", value: "x" }, OUTPUT],
    [{ action: "allow" }, OUTPUT],
    [{ action: "continue", kind: "block" }, OUTPUT],
    [{ value: "select 2" }, OUTPUT],
    [{ action: "cached" }, OUTPUT],
    [{ action: "cached", data: "e30=" }, OUTPUT],
    [{ action: "cached", data: [256] }, OUTPUT],
    ["not json", OUTPUT],
  ];
  for (const [output, decision] of queryAnswers) {
    it(`are understood in preQuery: ${JSON.stringify(output).slice(0, 70)}`, async () => {
      assert.deepEqual(await decided(preQuery(), QUERY, output), decision);
    });
  }

  it("that rewrite are described by the application, for those behind and for itself", async () => {
    const describeQuery = (query: string): QueryContext => ({ query, normalized: "n", tables: ["u"], is_read_only: query.startsWith("select") });
    assert.deepEqual(
      await decided(preQuery({ describe: describeQuery }), QUERY, { action: "rewrite", value: "select 2" }),
      replaces({ query: "select 2", normalized: "n", tables: ["u"], is_read_only: true }),
    );
  });

  const cached: readonly (readonly [text: string, rows: unknown])[] = [
    [
      '{"columns":[{"name":"a","oid":23},{"name":"b"}],"rows":[["1",null]]}',
      {
        columns: [
          { name: "a", oid: 23 },
          { name: "b", oid: 25 },
        ],
        rows: [["1", null]],
      },
    ],
    ['{"columns":[{"name":"a","oid":null}],"rows":[]}', { columns: [{ name: "a", oid: 25 }], rows: [] }],
    ['{"columns":[],"rows":[]}', undefined],
    ['{"rows":[]}', undefined],
    ['{"columns":[{"name":"a"}]}', undefined],
    ['{"columns":[{"name":"a"}],"rows":[[]]}', undefined],
    ['{"columns":[{"name":"a"}],"rows":[["1","2"]]}', undefined],
    ['{"columns":[{"name":"a"}],"rows":[[1]]}', undefined],
    ['{"columns":[{"name":5}],"rows":[]}', undefined],
    ['{"columns":[{"name":"a","oid":-1}],"rows":[]}', undefined],
    ['{"columns":[{"name":"a"}],"rows":[],"rows":[]}', undefined],
    ["rows", undefined],
  ];
  for (const [json, rows] of cached) {
    it(`with rows are ${rows === undefined ? "refused" : "read"}: ${json}`, async () => {
      const output = { action: "cached", data: [...new TextEncoder().encode(json)] };
      assert.deepEqual(await decided(preQuery(), QUERY, output), rows === undefined ? OUTPUT : answers(rows));
    });
  }

  const identity = { user_id: "u", username: "ada", roles: ["admin"], tenant_id: "t", claims: { a: "b" } };
  const authAnswers: readonly (readonly [output: unknown, decision: unknown])[] = [
    ["", CONTINUES],
    [{ action: "defer" }, CONTINUES],
    [{ kind: "defer" }, CONTINUES],
    [{ action: "denied", message: "you know why" }, rejects("you know why")],
    [{ action: "denied" }, rejects("it gave no reason")],
    [{ action: "success", identity }, answers(identity)],
    [
      { action: "success", identity: { user_id: "u", username: "ada" } },
      answers({ user_id: "u", username: "ada", roles: [], tenant_id: null, claims: {} }),
    ],
    [
      { action: "success", identity: { user_id: "u", username: "ada", tenant_id: null, roles: null } },
      answers({ user_id: "u", username: "ada", roles: [], tenant_id: null, claims: {} }),
    ],
    [{ action: "success" }, OUTPUT],
    [{ action: "success", identity: {} }, OUTPUT],
    [{ action: "success", identity: { user_id: "", username: "" } }, OUTPUT],
    [{ action: "success", identity: { user_id: "u", username: "ada", roles: "admin" } }, OUTPUT],
    [{ action: "success", identity: { user_id: "u", username: "ada", claims: { a: 1 } } }, OUTPUT],
    [{ action: "deferred" }, OUTPUT],
  ];
  for (const [output, decision] of authAnswers) {
    it(`are understood in authenticate: ${JSON.stringify(output).slice(0, 70)}`, async () => {
      assert.deepEqual(await decided(authenticate(), { username: "ada", client_ip: "::1", database: null }, output), decision);
    });
  }

  const routeAnswers: readonly (readonly [output: unknown, decision: unknown])[] = [
    ["", CONTINUES],
    [{ action: "default" }, CONTINUES],
    [{ action: "primary" }, answers({ to: "primary" })],
    [{ kind: "standby" }, answers({ to: "standby" })],
    [{ action: "node", target: "replica-2" }, answers({ to: "node", target: "replica-2" })],
    [{ action: "branch", target: "dev" }, answers({ to: "branch", target: "dev" })],
    [{ action: "block", reason: "no in-region replica" }, rejects("no in-region replica")],
    [{ action: "block" }, rejects("it gave no reason")],
    [{ action: "node" }, OUTPUT],
    [{ action: "node", target: "" }, OUTPUT],
    [{ action: "anywhere" }, OUTPUT],
  ];
  for (const [output, decision] of routeAnswers) {
    it(`are understood in route: ${JSON.stringify(output)}`, async () => {
      assert.deepEqual(await decided(route(), QUERY, output), decision);
    });
  }

  it("are understood in the hooks that HeliosProxy itself never calls", async () => {
    const asked = { identity: null, query: QUERY };
    assert.deepEqual(await decided(authorize(), asked, { action: "allow" }), { action: "continue", value: asked });
    assert.deepEqual(await decided(authorize(), asked, { action: "deny", reason: "no" }), rejects("no"));
    assert.deepEqual(await decided(authorize(), asked, { action: "success" }), OUTPUT);
    assert.deepEqual(await decided(cacheGet(), QUERY, { action: "miss" }), CONTINUES);
    assert.deepEqual(await decided(cacheGet(), QUERY, { action: "hit", data: ROWS_BYTES }), answers(ROWS));
    assert.deepEqual(await decided(cacheGet(), QUERY, { action: "rewrite", value: "x" }), OUTPUT);
    assert.deepEqual(await decided(rewrite(), QUERY, { action: "rewrite", value: "select 2" }), replaces(rewritten));
    assert.deepEqual(await decided(rewrite(), QUERY, { action: "cached", data: ROWS_BYTES }), OUTPUT);
    assert.deepEqual(await decided(customHook(), 1, action("replace", { value: 2 })), replaces(2));
  });

  it("may write attributes of the request", async () => {
    const context = request();
    await decided(route(), QUERY, { action: "standby", attributes: { "helios.node": "n2" } }, context);
    await decided(preQuery(), QUERY, { action: "continue", attributes: { seen: "1" } }, context);
    assert.deepEqual(Object.fromEntries(context.attributes), { "helios.node": "n2", seen: "1" });
  });

  it("of those who are told are not looked at", async () => {
    await using host = await createHost({ hooks: { postQuery: postQuery({ onFailure: "closed" }) } });
    await host.plugins.load(await guest({ post_query: "anything at all" }), { name: "p" });
    await host.hooks.postQuery({ query: QUERY, outcome: { success: true, target_node: null, elapsed_us: 0, response_bytes: 0, error: null } });
    assert.equal(host.plugins.get("p")?.stats().calls, 1);
  });
});

describe("Guards of a database proxy", () => {
  it("see what rewriters before them wrote", async () => {
    await using host = await createHost({ hooks: { preQuery: preQuery(), plain: hook.all<unknown>() } });
    await host.plugins.load(await guest({ pre_query: { before: '{"action":"block","value":"', after: '"}' } }), {
      name: "z",
      filters: { preQuery: { query: { prefix: "drop" } } },
    });
    await host.plugins.load(await guest({ pre_query: action("rewrite", { value: "drop table t" }) }), { name: "a" });
    await assert.rejects(host.hooks.preQuery(QUERY), { code: "MORTISE_HOOK_FAILED" }, "its answer breaks the JSON, which is no way past it");
    await host.plugins.load(await guest({ pre_query: action("block", { value: "not here" }) }), {
      name: "z",
      replace: true,
      filters: { preQuery: { query: { prefix: "drop" } } },
    });
    await assert.rejects(host.hooks.preQuery(QUERY), { code: "MORTISE_HOOK_REJECTED" });
  });

  it("built for HeliosProxy work with its own interface", async () => {
    await using host = await createHost({ hooks: { preQuery: preQuery(), authenticate: authenticate(), route: route(), postQuery: postQuery() } });
    await host.plugins.load(new URL("../../../guests/prebuilt/helios_guard.c.wasm", import.meta.url), { name: "guard" });
    assert.deepEqual(host.plugins.list()[0]?.hooks, ["preQuery", "authenticate", "route", "postQuery"]);
    assert.equal(host.plugins.get("guard")?.abi, "helios");
    assert.equal(await host.hooks.preQuery(QUERY), QUERY);
    assert.deepEqual(await host.hooks.preQuery.decide({ query: "delete from t", is_read_only: false }), {
      action: "reject",
      reason: "a statement that changes a whole table needs a WHERE",
      plugin: "guard",
    });
    const client = { client_ip: "::1", database: null };
    assert.equal((await host.hooks.authenticate({ ...client, username: "alice" }))?.user_id, "u1");
    assert.equal(await host.hooks.authenticate({ ...client, username: "bob" }), undefined);
    await assert.rejects(host.hooks.authenticate({ ...client, username: "mallory" }), { code: "MORTISE_HOOK_REJECTED", message: /you know why$/ });
    assert.deepEqual(await host.hooks.route(QUERY), { to: "standby" });
    assert.deepEqual(await host.hooks.route({ query: "/* node: */ x", is_read_only: false }), { to: "node", target: "replica-2" });
  });
});
