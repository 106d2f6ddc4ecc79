// One command for everything that can be judged without running the code: format, lint, types, layers, unused code.

import { spawnSync } from "node:child_process";

const STEPS: readonly (readonly [name: string, command: string, ...args: string[]])[] = [
  ["format", "oxfmt", "--check", "src", "test", "scripts", "bench", "examples"],
  ["lint", "oxlint", "--type-aware", "src", "test", "scripts", "bench", "examples"],
  ["types", "tsc", "-p", "tsconfig.json"],
  ["layers", process.execPath, "scripts/check-layers.ts"],
  ["unused code", "knip"],
  ["build", process.execPath, "scripts/build.ts"],
  ["package shape", "publint", "--strict"],
];

let failed = 0;
for (const [name, command, ...args] of STEPS) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: "utf8", shell: process.platform === "win32" });
  if (status === 0) {
    console.log(`ok   ${name}`);
    continue;
  }
  failed++;
  console.error(`FAIL ${name}${error === undefined ? "" : `: ${error.message}`}\n${stdout ?? ""}${stderr ?? ""}`);
}
if (failed > 0) process.exit(1);
