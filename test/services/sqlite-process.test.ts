// Processes that run SQLite belong to the host: they end with it, and do not keep it.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, describe, it } from "node:test";
import { pathToFileURL } from "node:url";

const folder = mkdtempSync(join(tmpdir(), "services-process-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "a.db");
new DatabaseSync(path).close();

/** A host that runs queries and never closes its services; it prints the processes it has started. */
const HOST = `
  import { readFileSync } from "node:fs";
  import { createServices } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "../../src/services/create-services.ts")).href)};
  const services = createServices({ databases: { main: { kind: "sqlite", path: ${JSON.stringify(path)} } }, databaseLimits: { timeoutMs: 60_000 } });
  const table = services.forPlugin({ plugin: "p", permissions: { databases: { main: "read" } } });
  const call = { plugin: "p", function: "f", timeoutMs: 60_000, statedMs: 60_000, signal: new AbortController().signal };
  await table.database_query.run(call, "main", "SELECT 1", "");
  if (process.argv[2] === "endless") {
    const sql = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    void table.database_query.run(call, "main", sql, "");
  }
  console.log(readFileSync("/proc/self/task/" + process.pid + "/children", "utf8").trim());
`;

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

describe("Processes for SQLite", { skip: process.platform === "linux" ? false : "processes are listed by Linux alone" }, () => {
  for (const kind of ["endless", "idle"]) {
    it(`end with the host: ${kind === "endless" ? "killed while a query runs" : "that has nothing more to do"}`, async () => {
      const host = spawn(process.execPath, ["--input-type=module", "--eval", HOST, kind], { stdio: ["ignore", "pipe", "inherit"] });
      const exited = new Promise((resolve) => host.once("exit", (code, signal) => resolve(signal ?? code)));
      const printed = await new Promise<string>((resolve) => host.stdout.setEncoding("utf8").once("data", resolve));
      const pids = printed.trim().split(/\s+/).map(Number);
      assert.ok(pids.length > 0 && pids.every((pid) => pid > 0), printed);
      if (kind === "endless") {
        assert.ok(pids.every(isAlive));
        host.kill("SIGKILL");
      }
      assert.equal(await exited, kind === "endless" ? "SIGKILL" : 0);
      while (pids.some(isAlive)) await new Promise((resolve) => setImmediate(resolve));
    });
  }
});
