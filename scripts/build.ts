// Compiles src/ to dist/ as it is published; starts from an empty folder, so that nothing stale is packed.

import { spawnSync } from "node:child_process";
import { rmSync } from "node:fs";

rmSync("dist", { recursive: true, force: true });
const { status, error } = spawnSync("tsc", ["-p", "tsconfig.build.json"], { stdio: "inherit", shell: process.platform === "win32" });
if (error !== undefined) console.error(error.message);
process.exitCode = status ?? 1;
