// What can happen to the file of the SQLite store, and to the processes that share it.

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";

import { type SqliteStoreOptions, createSqliteStore } from "../../src/services/store/sqlite-store.ts";

const one = Buffer.from("1");
const MODULE = new URL("../../src/services/store/sqlite-store.ts", import.meta.url).href;

function folderFor(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "store-file-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Runs code in processes of their own, with `store` open, all from the same moment on. */
async function inProcesses(count: number, path: string, code: string): Promise<ChildProcess[]> {
  const program = `import { createSqliteStore } from ${JSON.stringify(MODULE)};
    import { once } from "node:events";
    console.log("ready");
    await once(process.stdin, "data");
    process.stdin.destroy();
    const store = createSqliteStore({ path: ${JSON.stringify(path)}, busyTimeoutMs: 60_000 });
    const one = Buffer.from("1");
    ${code}`;
  const args = ["--conditions=source", "--input-type=module", "-e", program];
  const children = Array.from({ length: count }, () => spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] }));
  await Promise.all(children.map((child) => once(child.stdout, "data")));
  for (const child of children) child.stdin.end("go");
  return children;
}

function unavailable(reason: RegExp): (error: unknown) => boolean {
  return (error) => {
    const { code, message } = error as { code?: string; message: string };
    assert.equal(code, "MORTISE_STORE_UNAVAILABLE");
    assert.match(message, reason);
    return true;
  };
}

/** The file is whole, and what it says of namespaces is what they hold. */
function checkFile(path: string): void {
  const database = new DatabaseSync(path);
  try {
    assert.deepEqual(Object.values(database.prepare("PRAGMA integrity_check").get() ?? {}), ["ok"]);
    const counted = database
      .prepare("SELECT namespace, count(*) AS keys, sum(length(key) + length(value)) AS bytes FROM entries GROUP BY 1 ORDER BY 1")
      .all();
    assert.deepEqual(database.prepare("SELECT * FROM totals ORDER BY namespace").all(), counted);
  } finally {
    database.close();
  }
}

test("createSqliteStore() answers at once, never with a promise", (context) => {
  const store = createSqliteStore({ path: join(folderFor(context), "store.db") });
  context.after(() => store.close());
  const answers = [
    store.set("space", "n", one),
    store.get("space", "n"),
    store.increment("space", "n", 1n),
    store.compareAndSet("space", "n", one, one),
    store.list("space", { limit: 1 }),
    store.usage("space"),
    store.delete("space", "n"),
    store.clear("space"),
  ];
  for (const answer of answers) assert.ok(!(answer instanceof Promise));
});

test("createSqliteStore() keeps keys, values and expiries over a restart", async (context) => {
  const path = join(folderFor(context), "store.db");
  let now = 1000;
  const open = (): ReturnType<typeof createSqliteStore> => createSqliteStore({ path, clock: () => now, durable: true });
  const first = open();
  first.set("space", "stays", one);
  first.set("space", "goes", one, { ttlMs: 1000 });
  await first.close();
  now = 1999;
  const second = open();
  assert.deepEqual(second.list("space", { limit: 10 }), ["goes", "stays"]);
  now = 2000;
  assert.deepEqual(second.list("space", { limit: 10 }), ["stays"]);
  assert.deepEqual(second.usage("space"), { keys: 1, bytes: 6 });
  await second.close();
  checkFile(path);
});

test(
  "createSqliteStore() makes files that nobody else can read, and leaves the permissions of those that exist",
  { skip: process.platform === "win32" },
  async (context) => {
    const folder = folderFor(context);
    const mask = process.umask(0);
    context.after(() => process.umask(mask));
    const path = join(folder, "store.db");
    const store = createSqliteStore({ path });
    store.set("space", "key", one);
    for (const file of [path, `${path}-wal`, `${path}-shm`]) assert.equal(statSync(file).mode & 0o777, 0o600, file);
    await store.close();
    chmodSync(path, 0o640);
    const again = createSqliteStore({ path });
    again.set("space", "key", one);
    await again.close();
    assert.equal(statSync(path).mode & 0o777, 0o640);
  },
);

test("createSqliteStore() refuses what is not a file of its own, and does not touch it", (context) => {
  const folder = folderFor(context);
  const at = (name: string): string => join(folder, name);
  const foreign = new DatabaseSync(at("foreign.db"));
  foreign.exec("CREATE TABLE theirs (x)");
  foreign.close();
  const newer = new DatabaseSync(at("newer.db"));
  newer.exec("PRAGMA application_id = 0x6d6f7274; PRAGMA user_version = 99; CREATE TABLE x (y)");
  newer.close();
  writeFileSync(at("text.db"), "this is text, and longer than a header of SQLite would be. ".repeat(100));
  mkdirSync(at("folder.db"));
  symlinkSync(at("nowhere/target"), at("dangling.db"));
  const cases: readonly (readonly [name: string, reason: RegExp])[] = [
    ["foreign.db", /database of another program/],
    ["newer.db", /version 99, but this program knows version 1/],
    ["text.db", /damaged, or no database/],
    ["folder.db", /does not name a file/],
    ["missing/store.db", /cannot be made \(ENOENT\)/],
    ["dangling.db", /does not name a file/],
  ];
  for (const [name, reason] of cases) {
    const before = name === "foreign.db" || name === "text.db" ? readFileSync(at(name)) : undefined;
    assert.throws(() => createSqliteStore({ path: at(name) }), unavailable(reason), name);
    if (before !== undefined) assert.deepEqual(readFileSync(at(name)), before);
  }
});

test("createSqliteStore() refuses options that make no sense", () => {
  const bad: readonly Partial<SqliteStoreOptions>[] = [
    {},
    { path: "" },
    { path: "a\0b" },
    { path: "x", busyTimeoutMs: -1 },
    { path: "x", busyTimeoutMs: 0.5 },
  ];
  for (const options of bad) assert.throws(() => createSqliteStore(options as SqliteStoreOptions), { code: "MORTISE_INVALID_OPTION" });
});

test("createSqliteStore() takes a path for a path, also one that means something to SQLite", (context) => {
  const folder = folderFor(context);
  const before = process.cwd();
  process.chdir(folder);
  try {
    const store = createSqliteStore({ path: ":memory:" });
    store.set("space", "key", one);
    void store.close();
    assert.ok(statSync(join(folder, ":memory:")).size > 0);
  } finally {
    process.chdir(before);
  }
});

test("createSqliteStore() opens a new file in several processes at the same moment", async (context) => {
  const path = join(folderFor(context), "store.db");
  const children = await inProcesses(8, path, `store.increment("space", "n", 1n); await store.close();`);
  for (const [code] of await Promise.all(children.map((child) => once(child, "exit")))) assert.equal(code, 0);
  const store = createSqliteStore({ path });
  assert.equal(store.increment("space", "n", 0n), 8n);
  await store.close();
  checkFile(path);
});

test("createSqliteStore() waits for a process that is writing to a new file, where SQLite itself does not", async (context) => {
  const path = join(folderFor(context), "store.db");
  const code = `const { DatabaseSync } = require("node:sqlite");
    const database = new DatabaseSync(${JSON.stringify(path)});
    database.exec("BEGIN IMMEDIATE; CREATE TABLE x (y)");
    console.log("ready");
    setTimeout(() => { database.exec("ROLLBACK"); database.close(); }, 100);`;
  const child = spawn(process.execPath, ["-e", code], { stdio: ["ignore", "pipe", "inherit"] });
  await once(child.stdout, "data");
  const store = createSqliteStore({ path, busyTimeoutMs: 30_000 });
  store.set("space", "key", one);
  await store.close();
  checkFile(path);
});

test("createSqliteStore() loses no update when processes write to one file at once", async (context) => {
  const path = join(folderFor(context), "store.db");
  const code = `
    const quota = { maxKeys: 50, maxBytes: 1e6 };
    for (let turn = 0; turn < 1500; turn++) {
      store.increment("space", "sum", 1n);
      for (;;) {
        const old = store.get("space", "compared");
        if (store.compareAndSet("space", "compared", old, Buffer.from(String(Number(old ? Buffer.from(old).toString() : 0) + 1)))) break;
      }
      try { store.set("full", process.pid + " " + turn, one, { quota }); } catch (error) { if (error.code !== "MORTISE_STORE_QUOTA") throw error; }
    }
    await store.close();`;
  const children = await inProcesses(2, path, code);
  for (const [exit] of await Promise.all(children.map((child) => once(child, "exit")))) assert.equal(exit, 0);
  const store = createSqliteStore({ path });
  assert.equal(store.increment("space", "sum", 0n), 3000n);
  assert.equal(Buffer.from(store.get("space", "compared") ?? []).toString(), "3000");
  assert.equal(store.usage("full").keys, 50);
  await store.close();
  checkFile(path);
});

test("createSqliteStore() loses nothing that was done when a process is killed while it writes", async (context) => {
  const path = join(folderFor(context), "store.db");
  const [child] = await inProcesses(
    1,
    path,
    `for (let turn = 1; ; turn++) { store.set("space", "k" + (turn % 100), Buffer.alloc(turn % 5000)); store.increment("space", "n", 1n); console.log(turn); }`,
  );
  let done = 0;
  for await (const line of createInterface(child?.stdout as NodeJS.ReadableStream)) {
    done = Number(line);
    if (done === 300) child?.kill("SIGKILL");
  }
  const store = createSqliteStore({ path });
  assert.ok(done >= 300);
  assert.ok(store.increment("space", "n", 0n) >= BigInt(done));
  store.set("space", "after", one);
  await store.close();
  checkFile(path);
});

test("a file that another process keeps locked gives a code, and works again when it is free", async (context) => {
  const path = join(folderFor(context), "store.db");
  const store = createSqliteStore({ path, busyTimeoutMs: 20 });
  context.after(() => store.close());
  store.set("space", "key", one);
  const holder = new DatabaseSync(path);
  holder.exec("BEGIN IMMEDIATE");
  assert.throws(() => store.set("space", "key", Buffer.from("2")), unavailable(/keeps the file locked/));
  assert.throws(() => store.increment("space", "n", 1n), unavailable(/keeps the file locked/));
  assert.deepEqual(store.get("space", "key"), new Uint8Array(one), "reading goes on");
  holder.exec("ROLLBACK");
  holder.close();
  store.set("space", "key", Buffer.from("2"));
  assert.equal(store.increment("space", "n", 1n), 1n);
});

test("a damaged file gives a code, from every operation that meets the damage", async (context) => {
  const path = join(folderFor(context), "store.db");
  const first = createSqliteStore({ path });
  for (let index = 0; index < 500; index++) first.set("space", `key ${index}`, Buffer.alloc(200, index));
  await first.close();
  const content = readFileSync(path);
  content.fill(0xaa, 4096 * 3);
  writeFileSync(path, content);
  const store = createSqliteStore({ path });
  context.after(() => store.close());
  assert.throws(() => store.list("space", { limit: 1000 }), unavailable(/damaged/));
  assert.throws(
    () => {
      for (let index = 0; index < 500; index++) store.set("space", `key ${index}`, one);
    },
    unavailable(/damaged/),
  );
});

/** Mounts a file system of its own in memory; says why it cannot. */
function mountSmall(folder: string): string | undefined {
  const { status, error } = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], { stdio: "ignore" });
  return status === 0 ? undefined : `mounting a small disk needs root (${error?.message ?? `status ${status}`})`;
}

test("a full disk gives a code, damages nothing, and is over when there is room", (context) => {
  const folder = folderFor(context);
  const why = mountSmall(folder);
  if (why !== undefined) return context.skip(why);
  const path = join(folder, "store.db");
  try {
    const store = createSqliteStore({ path });
    store.set("space", "key", one);
    writeFileSync(join(folder, "filler"), Buffer.alloc(600 << 10));
    let written = 0;
    assert.throws(
      () => {
        for (;;) {
          store.set("big", `key ${written}`, Buffer.alloc(20_000, written));
          written++;
        }
      },
      unavailable(/disk is full|cannot be read or written/),
    );
    assert.ok(written > 0);
    assert.deepEqual(store.get("space", "key"), new Uint8Array(one), "reading goes on");
    assert.equal(store.list("big", { limit: 1000 }).length, written, "what failed is not there");
    assert.throws(() => store.set("big", "another", Buffer.alloc(200_000)), unavailable(/disk is full|cannot be read or written/));
    assert.deepEqual(store.usage("big").keys, written);
    unlinkSync(join(folder, "filler"));
    store.set("big", "another", Buffer.alloc(20_000));
    assert.equal(store.increment("space", "n", 1n), 1n);
    assert.equal(store.usage("big").keys, written + 1);
    void store.close();
    checkFile(path);
  } finally {
    execFileSync("umount", [folder]);
  }
});

test("a file that cannot be written to gives a code", (context) => {
  const folder = folderFor(context);
  const why = mountSmall(folder);
  if (why !== undefined) return context.skip(why);
  const path = join(folder, "store.db");
  try {
    const store = createSqliteStore({ path });
    store.set("space", "key", one);
    void store.close();
    execFileSync("mount", ["-o", "remount,ro", folder]);
    assert.throws(() => createSqliteStore({ path }), unavailable(/cannot be/));
    execFileSync("mount", ["-o", "remount,rw", folder]);
    const again = createSqliteStore({ path });
    assert.deepEqual(again.get("space", "key"), new Uint8Array(one));
    void again.close();
    checkFile(path);
  } finally {
    execFileSync("umount", [folder]);
  }
});
