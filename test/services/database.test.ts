// Databases of the operator's: what a plugin's SQL can do to them, and for how long.

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";

import { MortiseError } from "../../src/api/errors.ts";
import type { ServiceTable } from "../../src/api/services.ts";
import { type Services, createServices } from "../../src/services/create-services.ts";
import type { CustomDatabase, CustomQueryOptions } from "../../src/services/databases.ts";
import { callOf, failure, run, runIn, text } from "./calls.ts";

const folder = mkdtempSync(join(tmpdir(), "services-database-"));
after(() => rmSync(folder, { recursive: true }));

let count = 0;

/** A new file with a table `t` of two rows, and a trigger that logs what is deleted. */
function newFile(): string {
  const path = join(folder, `${count++}.db`);
  using database = new DatabaseSync(path);
  database.exec(`
    CREATE TABLE t (a INTEGER PRIMARY KEY, b);
    INSERT INTO t VALUES (1, 'x'), (2, 9007199254740993);
    CREATE INDEX t_b ON t (b);
    CREATE TABLE gone (a);
    CREATE TRIGGER t_gone AFTER DELETE ON t BEGIN INSERT INTO gone VALUES (old.a); END;
  `);
  return path;
}

/** Looks into a file. */
function look(path: string, sql: string): unknown[] {
  using database = new DatabaseSync(path, { readOnly: true });
  return database.prepare(sql).all();
}

interface Opened {
  readonly services: Services;
  readonly reader: ServiceTable;
  readonly writer: ServiceTable;
  /** May change the schema, too. */
  readonly owner: ServiceTable;
}

/** Services over one file, for as long as a test runs. */
async function using(path: string, work: (opened: Opened) => Promise<void>, limits = {}): Promise<void> {
  const databases = { main: { kind: "sqlite", path }, own: { kind: "sqlite", path, schema: true } } as const;
  await using services = createServices({ databases, databaseLimits: { timeoutMs: 20_000, ...limits } });
  const tableOf = (plugin: string, access: "read" | "read-write"): ServiceTable => {
    const table = services.forPlugin({ plugin, permissions: { databases: { main: access, own: access } } });
    names.set(table, plugin);
    return table;
  };
  await work({ services, reader: tableOf("reader", "read"), writer: tableOf("writer", "read-write"), owner: tableOf("owner", "read-write") });
}

const names = new WeakMap<ServiceTable, string>();

async function query(table: ServiceTable, sql: string, parameters: readonly unknown[] = [], database = "main"): Promise<unknown> {
  const call = callOf({ plugin: names.get(table) ?? "p" });
  return JSON.parse(text(await runIn(call, table, "database_query", database, sql, JSON.stringify(parameters))) ?? "");
}

const rows = (...given: readonly unknown[][]): unknown => ({ columns: ["a", "b"], rows: given, changes: 0 });

/** Counts to no end. */
const ENDLESS = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";

describe("database_query on SQLite", () => {
  it("database_query gives columns, rows and how many rows were changed", () =>
    using(newFile(), async ({ reader, writer }) => {
      assert.deepEqual(await query(reader, "SELECT a, b FROM t ORDER BY a"), rows([1, "x"], [2, { $bigint: "9007199254740993" }]));
      assert.deepEqual(await query(writer, "INSERT INTO t VALUES (3, 'y'), (4, 'z')"), { columns: [], rows: [], changes: 2 });
      assert.deepEqual(await query(writer, "DELETE FROM t WHERE a = 3 RETURNING b"), { columns: ["b"], rows: [["y"]], changes: 2 }); // and the trigger's
      assert.deepEqual(await query(reader, "SELECT a, b FROM t WHERE a > 3;  -- and no more\n /* ; */ "), rows([4, "z"]));
    }));

  it("database_query carries every value there and back", () =>
    using(newFile(), async ({ reader }) => {
      const given = [null, "é\u0000\u2028", 1.5, -7, true, { $bigint: "-9223372036854775808" }, { $bytes: "AP8=" }, { $bytes: "" }];
      const answer = (await query(reader, "SELECT ?, ?, ?, ?, ?, ?, ?, ?, 9e999, -9e999", given)) as { rows: unknown[][] };
      const expected = [...given.with(4, 1), { $number: "Infinity" }, { $number: "-Infinity" }];
      assert.deepEqual(answer.rows, [expected]);
    }));

  const PARAMETERS: readonly string[] = [
    ["{}", "[", "null", "[[]]", '[{"a":1}]', "[9007199254740993]", '[{"$bigint":"9223372036854775808"}]', '[{"$bigint":"1.5"}]', '[{"$bigint":5}]'],
    ['[{"$bytes":"é"}]', '[{"$bytes":"A"}]', '[{"$bigint":"1","$bytes":""}]', '["\\ud800"]', "[1e999]", `[${"1,".repeat(1000)}1]`],
  ].flat();
  for (const parameters of PARAMETERS) {
    it(`database_query refuses the parameters ${parameters.slice(0, 40)}`, () =>
      using(newFile(), async ({ reader }) => {
        const error = await failure(() => run(reader, "database_query", "main", "SELECT ?", parameters), "MORTISE_SERVICE_ARGUMENT");
        assert.equal(error.details["argument"], "parameters");
      }));
  }

  it("database_query refuses SQL that is empty, too long, or holds NUL", () =>
    using(newFile(), async ({ reader }) => {
      for (const sql of ["", `SELECT ${"1".repeat(70_000)}`, "SELECT 1\0; DROP TABLE t"]) {
        const error = await failure(() => query(reader, sql), "MORTISE_SERVICE_ARGUMENT");
        assert.equal(error.details["argument"], "sql");
      }
    }));

  /** None of these may do anything, whoever asks. */
  const NEVER: readonly string[] = [
    [`ATTACH '${folder}/new.db' AS x`, `ATTACH '${folder}' || '/new.db' AS x`, `VACUUM INTO '${folder}/new.db'`, "VACUUM", "DETACH main"],
    ["PRAGMA user_version", "PRAGMA query_only = OFF", "PRAGMA writable_schema = ON", "PRAGMA journal_mode = DELETE", "PRAGMA hard_heap_limit = 0"],
    ["SELECT * FROM pragma_table_info('t')", "SELECT * FROM pragma_database_list", "SELECT * FROM dbstat", "SELECT * FROM sqlite_dbpage"],
    ["BEGIN", "BEGIN EXCLUSIVE", "COMMIT", "ROLLBACK", "END", "SAVEPOINT s", "RELEASE s"],
    ["SELECT load_extension('x')", "SELECT fts3_tokenizer('x')", "SELECT readfile('/etc/passwd')", `SELECT writefile('${folder}/new.db', 'x')`],
    ["CREATE TEMP TABLE n (a)", "CREATE TEMP VIEW n AS SELECT 1", "CREATE TEMP TRIGGER n AFTER INSERT ON t BEGIN SELECT 1; END"],
    ["CREATE VIRTUAL TABLE n USING fts5(a)", "ANALYZE", "SELECT 1; SELECT 2", "SELECT 1; DROP TABLE t", "SELECT 1; /* */ x"],
    ["UPDATE sqlite_master SET sql = ''", "DELETE FROM sqlite_schema", "-- nothing", ";", "nonsense", "SELECT * FROM missing"],
  ].flat();
  /** These need to write. */
  const WRITES: readonly string[] = [
    ["INSERT INTO t VALUES (9, 9)", "REPLACE INTO t VALUES (1, 9)", "UPDATE t SET b = 9", "DELETE FROM t"],
    ["WITH x AS (SELECT 9 AS n) INSERT INTO t SELECT n, n FROM x RETURNING a", "INSERT INTO t VALUES (1, 1) ON CONFLICT DO UPDATE SET b = 9"],
  ].flat();
  /** These need to change the schema. */
  const CHANGES: readonly string[] = [
    ["CREATE TABLE n (a)", "CREATE TABLE n AS SELECT * FROM t", "DROP TABLE t", "ALTER TABLE t ADD COLUMN c", "ALTER TABLE t RENAME TO n"],
    ["CREATE INDEX n ON t (b)", "DROP INDEX t_b", "REINDEX t_b", "CREATE VIEW n AS SELECT 1", "DROP TRIGGER t_gone"],
    ["CREATE TRIGGER n AFTER INSERT ON t BEGIN DELETE FROM t; END"],
  ].flat();
  const contents = "SELECT (SELECT json_group_array(a || ':' || b) FROM t) AS t, (SELECT group_concat(sql) FROM sqlite_schema) AS schema";

  it("database_query changes nothing with read, whatever the SQL", () => {
    const path = newFile();
    const before = readFileSync(path);
    return using(path, async ({ reader }) => {
      for (const database of ["main", "own"]) {
        for (const sql of [...NEVER, ...WRITES, ...CHANGES]) {
          const error = await failure(() => query(reader, sql, [], database), "MORTISE_DATABASE_FAILED");
          assert.equal(error.details["kind"], "statement", `${sql}: ${error.message}`);
        }
      }
      assert.ok(before.equals(readFileSync(path)));
      assert.ok(!readdirSync(folder).includes("new.db"));
    });
  });

  it("database_query changes rows, and rows alone, with read-write", async () => {
    const path = newFile();
    const before = look(path, contents);
    await using(path, async ({ writer }) => {
      for (const sql of [...NEVER, ...CHANGES]) {
        const error = await failure(() => query(writer, sql), "MORTISE_DATABASE_FAILED");
        assert.equal(error.details["kind"], "statement", `${sql}: ${error.message}`);
      }
      assert.deepEqual(look(path, contents), before);
      for (const sql of WRITES) await query(writer, sql);
    });
    assert.notDeepEqual(look(path, contents), before);
  });

  it("database_query changes the schema where the operator lets it, and makes the file", async () => {
    for (const sql of CHANGES) {
      await using(
        newFile(),
        async ({ owner }) => {
          await query(owner, sql, [], "own");
          await failure(() => query(owner, "SELECT load_extension('x')", [], "own"), "MORTISE_DATABASE_FAILED");
        },
        { maxProcesses: 1 },
      );
    }
    await using(join(folder, "made.db"), async ({ owner, writer }) => {
      assert.equal((await failure(() => query(writer, "SELECT 1"), "MORTISE_DATABASE_FAILED")).details["kind"], "unavailable");
      await query(owner, "CREATE TABLE n (a)", [], "own");
      for (const sql of NEVER) await failure(() => query(owner, sql, [], "own"), "MORTISE_DATABASE_FAILED");
    });
  });

  /** A query that may come while a process starts, which on a busy machine can take longer than the limit of the test. */
  async function atLast(table: ServiceTable, sql: string): Promise<unknown> {
    for (;;) {
      try {
        return await query(table, sql);
      } catch (error) {
        assert.equal((error as MortiseError).details["kind"], "time");
      }
    }
  }

  it("database_query stops what takes too long, keeps the event loop free meanwhile, and works again", () =>
    using(
      newFile(),
      async ({ reader, writer }) => {
        await atLast(reader, "SELECT 1");
        let turns = 0;
        const timer = setInterval(() => turns++, 1);
        const error = await failure(() => query(reader, ENDLESS), "MORTISE_DATABASE_FAILED");
        clearInterval(timer);
        assert.deepEqual([error.details["kind"], error.details["reason"]], ["time", "it took longer than 300 ms"]);
        assert.ok(turns > 1, `the event loop had ${turns} turns`);
        assert.deepEqual(await atLast(reader, "SELECT a, b FROM t WHERE a = 1"), rows([1, "x"]));
        // In the middle of writing, too; nothing of it stays.
        await failure(() => query(writer, `INSERT INTO gone ${ENDLESS}`), "MORTISE_DATABASE_FAILED");
        assert.deepEqual(await atLast(writer, "SELECT count(*) AS n FROM gone"), { columns: ["n"], rows: [[0]], changes: 0 });
        await atLast(writer, "INSERT INTO gone VALUES (1)");
      },
      { timeoutMs: 300 },
    ));

  it("database_query gives the call's deadline its own code, and ends with the call", () =>
    using(newFile(), async ({ reader, writer }) => {
      const statement = ["main", ENDLESS, ""] as const;
      const late = await failure(() => runIn(callOf({ timeoutMs: 50, statedMs: 60 }), reader, "database_query", ...statement), "MORTISE_TIMEOUT");
      assert.equal(late.details["limit"], 60);
      const controller = new AbortController();
      const reason = new MortiseError("MORTISE_ABORTED", { plugin: "p", function: "f" });
      const pending = runIn(callOf({ signal: controller.signal }), reader, "database_query", ...statement);
      await query(writer, "SELECT 1"); // so that it has begun: they are served in turn
      controller.abort(reason);
      assert.equal(await failure(() => pending, "MORTISE_ABORTED"), reason);
      await failure(() => runIn(callOf({ signal: controller.signal }), reader, "database_query", ...statement), "MORTISE_ABORTED");
    }));

  const LARGE: Readonly<Record<string, string>> = {
    "the result has more than 1000 rows; add a LIMIT": "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT x FROM c",
    "the result has more than 1048576 bytes": "SELECT hex(zeroblob(600000))",
    "string or blob too big": "SELECT zeroblob(9000000)",
    "it needs more than the 335544320 bytes of memory that there are for queries":
      "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 5000) SELECT count(DISTINCT x || randomblob(1000000)) FROM c",
  };
  for (const [reason, sql] of Object.entries(LARGE)) {
    it(`database_query bounds results and memory: ${reason}`, () =>
      using(
        newFile(),
        async ({ reader }) => {
          const error = await failure(() => query(reader, sql), "MORTISE_DATABASE_FAILED");
          assert.deepEqual([error.details["kind"], error.details["reason"]], ["limit", reason]);
          assert.deepEqual(await query(reader, "SELECT a, b FROM t WHERE a = 1"), rows([1, "x"]));
        },
        { timeoutMs: 20_000 },
      ));
  }

  it("database_query undoes a write whose result is too large", () =>
    using(
      newFile(),
      async ({ writer }) => {
        const error = await failure(() => query(writer, "UPDATE t SET b = 'changed' RETURNING a"), "MORTISE_DATABASE_FAILED");
        assert.equal(error.details["kind"], "limit");
        assert.deepEqual(await query(writer, "SELECT count(*) AS n FROM t WHERE b = 'changed'"), { columns: ["n"], rows: [[0]], changes: 0 });
      },
      { maxRows: 1 },
    ));

  it("database_query keeps the file from growing beyond its limit", async () => {
    const path = newFile();
    const databases = { main: { kind: "sqlite", path, maxFileBytes: 200_000 } } as const;
    await using services = createServices({ databases });
    const writer = services.forPlugin({ plugin: "p", permissions: { databases: { main: "read-write" } } });
    const error = await failure(async () => {
      for (let index = 0; index < 10; index++) await query(writer, "INSERT INTO gone VALUES (zeroblob(50000))");
    }, "MORTISE_DATABASE_FAILED");
    assert.match(error.message, /disk is full/);
    assert.ok(readFileSync(path).length <= 200_000);
    await query(writer, "DELETE FROM gone");
    await query(writer, "INSERT INTO gone VALUES (zeroblob(50000))");
  });

  it("database_query says what is wrong with a file", async () => {
    const broken = join(folder, "broken.db");
    writeFileSync(broken, "this is no database, but long enough to have a header ".repeat(40));
    for (const path of [join(folder, "missing.db"), folder, broken]) {
      await using(path, async ({ reader, writer }) => {
        for (const table of [reader, writer]) {
          const error = await failure(() => query(table, "SELECT * FROM t"), "MORTISE_DATABASE_FAILED");
          assert.equal(error.details["kind"], "unavailable", error.message);
        }
      });
    }
    assert.ok(!readdirSync(folder).includes("missing.db"));
  });

  it("database_query waits for a lock, but not for ever", async () => {
    const path = newFile();
    using other = new DatabaseSync(path);
    other.exec("BEGIN EXCLUSIVE");
    await using(
      path,
      async ({ writer }) => {
        const error = await failure(() => query(writer, "INSERT INTO gone VALUES (1)"), "MORTISE_DATABASE_FAILED");
        assert.equal(error.details["reason"], "database is locked");
        other.exec("COMMIT");
        await query(writer, "INSERT INTO gone VALUES (1)");
      },
      { timeoutMs: 20_000 },
    );
  });

  it("database_query of one plugin leaves a process for the others", () =>
    using(newFile(), async ({ reader, writer }) => {
      const controller = new AbortController();
      const call = callOf({ plugin: "reader", signal: controller.signal });
      const slow = Array.from({ length: 5 }, async () => runIn(call, reader, "database_query", "main", ENDLESS, ""));
      // Had the five taken both processes, this would wait until they were stopped.
      assert.deepEqual(await query(writer, "SELECT a, b FROM t WHERE a = 1"), rows([1, "x"]));
      controller.abort();
      for (const each of await Promise.allSettled(slow)) assert.equal(each.status, "rejected");
    }));

  it("database_query fails what is under way when the services are closed, and what comes later", async () => {
    const services = createServices({ databases: { main: { kind: "sqlite", path: newFile() } } });
    const reader = services.forPlugin({ plugin: "p", permissions: { databases: { main: "read" } } });
    await query(reader, "SELECT 1");
    const pending = query(reader, ENDLESS);
    await Promise.all([services.close(), failure(() => pending, "MORTISE_DATABASE_FAILED")]);
    assert.equal((await failure(() => query(reader, "SELECT 1"), "MORTISE_DATABASE_FAILED")).details["kind"], "unavailable");
  });

  it("database_query answers a name that the operator granted but did not define", () =>
    using(newFile(), async ({ services }) => {
      const table = services.forPlugin({ plugin: "p", permissions: { databases: { nowhere: "read" } } });
      const error = await failure(() => query(table, "SELECT 1", [], "nowhere"), "MORTISE_DATABASE_FAILED");
      assert.equal(error.details["kind"], "unavailable");
    }));
});

describe("database_query on a database of the operator's", () => {
  async function custom(work: CustomDatabase["query"], access: "read" | "read-write" = "read", limits = {}): Promise<unknown> {
    await using services = createServices({ databases: { main: { kind: "custom", query: work } }, databaseLimits: limits });
    const table = services.forPlugin({ plugin: "p", permissions: { databases: { main: access } } });
    return JSON.parse(text(await run(table, "database_query", "main", "SELECT $1", '[{"$bigint":"5"}]')) ?? "");
  }

  it("database_query hands on statement, parameters and whether it may write, and writes any value as JSON", async () => {
    let seen: readonly unknown[] = [];
    const values = [1n, 2n ** 60n, Buffer.from("x"), new Date(0), { json: [1] }, undefined, true, "\ud800", () => 0];
    const answer = await custom(async (sql, parameters, { readOnly, maxRows, plugin }) => {
      seen = [sql, parameters, readOnly, maxRows, plugin];
      return { columns: ["a"], rows: [values], changes: 3 };
    });
    assert.deepEqual(seen, ["SELECT $1", [5n], true, 1000, "p"]);
    const expected = [
      1,
      { $bigint: "1152921504606846976" },
      { $bytes: "eA==" },
      "1970-01-01T00:00:00.000Z",
      '{"json":[1]}',
      null,
      true,
      "\ufffd",
      null,
    ];
    assert.deepEqual(answer, { columns: ["a"], rows: [expected], changes: 3 });
    await custom(async (_sql, _parameters, { readOnly }) => {
      assert.equal(readOnly, false);
      return { columns: [], rows: [] };
    }, "read-write");
  });

  const FAILURES: readonly (readonly [kind: string, error: unknown])[] = [
    ["statement", new Error("syntax error\nat all")],
    ["statement", Object.assign(new Error("x"), { code: "42601" })],
    ["unavailable", Object.assign(new Error("x"), { code: "ECONNREFUSED" })],
    ["unavailable", Object.assign(new Error("x"), { code: "57P01" })],
    ["statement", "text"],
  ];
  for (const [kind, thrown] of FAILURES) {
    it(`database_query reports a failure as ${kind}: ${String(thrown).slice(0, 20)}`, async () => {
      const error = await failure(() => custom(() => Promise.reject(thrown)), "MORTISE_DATABASE_FAILED");
      assert.equal(error.details["kind"], kind);
      assert.ok(!error.message.includes("\n"));
    });
  }

  it("database_query ends a query at its deadline, and tells it", async () => {
    let options: CustomQueryOptions | undefined;
    const never = (_sql: string, _parameters: unknown, given: CustomQueryOptions): Promise<never> => {
      options = given;
      return new Promise(() => {});
    };
    const error = await failure(() => custom(never, "read", { timeoutMs: 20 }), "MORTISE_DATABASE_FAILED");
    assert.deepEqual([error.details["kind"], options?.signal.aborted], ["time", true]);
  });

  it("database_query bounds rows and bytes", async () => {
    const many = async (): Promise<{ columns: string[]; rows: number[][] }> => ({ columns: ["a"], rows: [[1], [2], [3]] });
    assert.equal((await failure(() => custom(many, "read", { maxRows: 2 }), "MORTISE_DATABASE_FAILED")).details["kind"], "limit");
    assert.equal((await failure(() => custom(many, "read", { maxResultBytes: 10 }), "MORTISE_DATABASE_FAILED")).details["kind"], "limit");
  });
});
