// Runs every test file with Node's own runner, in as many processes as there are cores.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

import { openPrometheus } from "./toolchain-prometheus.ts";
import { openRedis } from "./toolchain-redis.ts";

const chosen = process.argv.slice(2);
const files = chosen.length > 0 ? chosen : globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).toSorted();
// Fetched here, once, rather than by test files that run side by side.
const redis = openRedis();
if ("missing" in redis) console.error(`Tests with a Redis server are skipped: ${redis.missing}`);
const prometheus = openPrometheus();
if ("missing" in prometheus) console.error(`Tests with a Prometheus server are skipped: ${prometheus.missing}`);
const { status, error } = spawnSync(process.execPath, ["--conditions=source", "--expose-gc", "--test", "--test-timeout=300000", ...files], {
  stdio: "inherit",
});
if (error !== undefined) console.error(error.message);
process.exitCode = status ?? 1;
