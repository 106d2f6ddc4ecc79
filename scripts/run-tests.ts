// Runs every test file with Node's own runner, in as many processes as there are cores.

import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";

const chosen = process.argv.slice(2);
const files = chosen.length > 0 ? chosen : globSync(["src/**/*.test.ts", "test/**/*.test.ts"]).toSorted();
const { status, error } = spawnSync(process.execPath, ["--conditions=source", "--expose-gc", "--test", "--test-timeout=300000", ...files], {
  stdio: "inherit",
});
if (error !== undefined) console.error(error.message);
process.exitCode = status ?? 1;
