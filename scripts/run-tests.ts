// Runs every test file in a process of its own, as many at a time as there are cores, and reports them one after the other.

import { globSync } from "node:fs";
import { availableParallelism } from "node:os";
import { relative, resolve } from "node:path";

import { runTestFile } from "./run-test-file.ts";
import { createTestReport } from "./test-report.ts";
import { openPrometheus } from "./toolchain-prometheus.ts";
import { openRedis } from "./toolchain-redis.ts";

const ROOT = resolve(import.meta.dirname, "..");
// What Node makes of the sources is kept from file to file and from run to run: small files spend half of their time on it.
process.env["NODE_COMPILE_CACHE"] ??= resolve(ROOT, "node_modules/.cache/compiled");

const chosen = process.argv.slice(2);
const files = chosen.length > 0 ? chosen : globSync(["src/**/*.test.ts", "test/**/*.test.ts"], { cwd: ROOT }).toSorted();
// Fetched here, once, rather than by test files that run side by side.
const redis = openRedis();
if ("missing" in redis) console.error(`Tests with a Redis server are skipped: ${redis.missing}`);
const prometheus = openPrometheus();
if ("missing" in prometheus) console.error(`Tests with a Prometheus server are skipped: ${prometheus.missing}`);

const report = createTestReport(process.stdout);
const waiting = files.map((file) => resolve(file));
const work = async (): Promise<void> => {
  for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
    report.add(relative(ROOT, file), await runTestFile(file)); // oxlint-disable-line no-await-in-loop -- one after the other
  }
};
await Promise.all(Array.from({ length: availableParallelism() }, work));
if (!report.end()) process.exitCode = 1;
