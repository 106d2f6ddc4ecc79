// Nothing is granted that was not named: every service, with and without its permission.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import type { Permissions } from "../../src/api/permissions.ts";
import { RequestContext } from "../../src/api/request.ts";
import type { ServiceValue } from "../../src/api/services.ts";
import { createServices } from "../../src/services/create-services.ts";
import { bytes, callOf, failure, runIn } from "./calls.ts";

interface Case {
  readonly values: readonly ServiceValue[];
  /** What is not enough, if there is a lesser permission. */
  readonly less?: Permissions;
  readonly enough?: Permissions;
  /** What the message says would grant it. */
  readonly line?: string;
}

const NONE = bytes("");
const CASES: Readonly<Record<string, Case>> = {
  kv_get: { values: ["k"], enough: { kv: "read" }, line: 'kv = "read"' },
  kv_exists: { values: ["k"], enough: { kv: "read" }, line: 'kv = "read"' },
  kv_list: { values: ["", "", 1], enough: { kv: "read" }, line: 'kv = "read"' },
  kv_set: { values: ["k", NONE, 0n], less: { kv: "read" }, enough: { kv: "read-write" }, line: 'kv = "read-write"' },
  kv_delete: { values: ["k"], less: { kv: "read" }, enough: { kv: "read-write" }, line: 'kv = "read-write"' },
  kv_compare_and_set: { values: ["k", NONE, NONE, 0n], less: { kv: "read" }, enough: { kv: "read-write" }, line: 'kv = "read-write"' },
  kv_increment: { values: ["k", 1n, 0n], less: { kv: "read" }, enough: { kv: "read-write" }, line: 'kv = "read-write"' },
  cache_get: { values: ["k"], enough: { cache: "read" }, line: 'cache = "read"' },
  cache_exists: { values: ["k"], enough: { cache: "read" }, line: 'cache = "read"' },
  cache_set: { values: ["k", NONE, 0n], less: { cache: "read" }, enough: { cache: "read-write" }, line: 'cache = "read-write"' },
  cache_delete: { values: ["k"], less: { cache: "read" }, enough: { cache: "read-write" }, line: 'cache = "read-write"' },
  metric_add: { values: ["m", "", 1], enough: { metrics: true }, line: "metrics = true" },
  metric_set: { values: ["m", "", 1], enough: { metrics: true }, line: "metrics = true" },
  metric_observe: { values: ["m", "", 1], enough: { metrics: true }, line: "metrics = true" },
  time_ms: { values: [], enough: { clock: true }, line: "clock = true" },
  random: { values: [4], enough: { crypto: true }, line: "crypto = true" },
  hash: { values: ["sha256", NONE], enough: { crypto: true }, line: "crypto = true" },
  hmac: { values: ["sha256", NONE, NONE], enough: { crypto: true }, line: "crypto = true" },
  database_query: {
    values: ["main", "SELECT 1", ""],
    less: { databases: { other: "read-write" } },
    enough: { databases: { main: "read" } },
    line: 'databases = { "main" = "read" }',
  },
  attribute_get: {
    values: ["tenant"],
    less: { attributes: { write: ["*"] } },
    enough: { attributes: { read: ["ten*"] } },
    line: 'attributes = { read = ["tenant"] }',
  },
  attribute_set: {
    values: ["tenant", "x"],
    less: { attributes: { read: ["*"] } },
    enough: { attributes: { write: ["tenant"] } },
    line: 'attributes = { write = ["tenant"] }',
  },
  http_request: { values: ["{}", NONE], line: 'hosts = ["HOST"]' },
  log: { values: [2, "x"] },
  config_get: { values: ["k"] },
  request_id: { values: [] },
};

const databases = { main: { kind: "custom", query: async () => ({ columns: [], rows: [] }) } } as const;
const call = callOf({ context: new RequestContext() });

describe("Services.forPlugin", () => {
  it("gives exactly the services that are listed here", async () => {
    await using services = createServices();
    assert.deepEqual(Object.keys(services.forPlugin({ plugin: "p" })).toSorted(), Object.keys(CASES).toSorted());
  });

  for (const [name, { values, less, enough, line }] of Object.entries(CASES)) {
    it(`lets a plugin call ${name} ${line === undefined ? "always" : `with ${line}, and not otherwise`}`, async () => {
      await using services = createServices({ databases });
      const plain = services.forPlugin({ plugin: "p" });
      if (line === undefined) await runIn(call, plain, name, ...values);
      else {
        for (const permissions of [{}, ...(less === undefined ? [] : [less])]) {
          const error = await failure(() => runIn(call, services.forPlugin({ plugin: "p", permissions }), name, ...values), "MORTISE_PERMISSION");
          assert.equal(error.details["grant"], line);
        }
      }
      if (enough !== undefined) await runIn(call, services.forPlugin({ plugin: "p", permissions: enough }), name, ...values);
    });
  }

  it("denies before it looks at anything else, and at once", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p" });
    for (const [name, { values, line }] of Object.entries(CASES))
      if (line !== undefined) assert.throws(() => table[name]?.run(call, ...values), { code: "MORTISE_PERMISSION" }, name);
  });

  it("gives a table in which no other name is anything", async () => {
    await using services = createServices();
    const table = services.forPlugin({ plugin: "p" });
    for (const name of ["constructor", "toString", "__proto__"]) assert.equal(table[name], undefined, name);
    assert.ok(Object.isFrozen(table) && Object.values(table).every((service) => Object.isFrozen(service)));
  });

  it("does not take inherited names for databases", async () => {
    await using services = createServices({ databases });
    const table = services.forPlugin({ plugin: "p", permissions: { databases: { main: "read" } } });
    await failure(() => runIn(call, table, "database_query", "constructor", "SELECT 1", ""), "MORTISE_PERMISSION");
  });

  const NAMES: readonly unknown[] = ["", "\ud800", "x".repeat(257), 7, undefined];
  it("refuses plugin names that are no name", async () => {
    await using services = createServices();
    for (const plugin of NAMES) await failure(() => services.forPlugin({ plugin: plugin as string }), "MORTISE_INVALID_OPTION");
  });

  it("refuses options that are wrong", async () => {
    await using services = createServices();
    await failure(() => services.forPlugin({ plugin: "p", logLevel: "loud" as "info" }), "MORTISE_INVALID_OPTION");
    await failure(() => services.forPlugin({ plugin: "p", quotas: { kvKeys: -1 } }), "MORTISE_INVALID_OPTION");
    await failure(() => services.forPlugin({ plugin: "p", quotas: { keys: 1 } as object }), "MORTISE_INVALID_OPTION");
    await failure(() => createServices({ cacheBytes: 0 }), "MORTISE_INVALID_OPTION");
    await failure(() => createServices({ hashAlgorithms: ["crc32"] }), "MORTISE_INVALID_OPTION");
    await failure(() => createServices({ databaseLimits: { rows: 1 } as object }), "MORTISE_INVALID_OPTION");
    await failure(() => createServices({ databases: { a: { kind: "sqlite", path: ":memory:" } } }), "MORTISE_INVALID_OPTION");
    await failure(() => createServices({ databases: { a: { kind: "mysql" } as never } }), "MORTISE_INVALID_OPTION");
  });

  it("finds keys, cache and metrics again under the same name, and forget drops the last two", async () => {
    await using services = createServices();
    const permissions = { kv: "read-write", cache: "read-write", metrics: true } as const;
    const one = services.forPlugin({ plugin: "p", permissions });
    await runIn(call, one, "kv_set", "k", bytes("1"), 0n);
    await runIn(call, one, "cache_set", "k", bytes("1"), 0n);
    await runIn(call, one, "metric_add", "m", "", 1);
    const two = services.forPlugin({ plugin: "p", permissions });
    assert.deepEqual([await runIn(call, two, "kv_exists", "k"), await runIn(call, two, "cache_exists", "k")], [1, 1]);
    services.forget("p");
    const three = services.forPlugin({ plugin: "p", permissions });
    assert.deepEqual([await runIn(call, three, "kv_exists", "k"), await runIn(call, three, "cache_exists", "k")], [1, 0]);
    assert.deepEqual(services.metrics.snapshot().metrics, []);
  });
});
