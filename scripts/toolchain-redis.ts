// A Redis server for the tests: the machine's own, or Debian's, unpacked without being installed.
import { execFileSync } from "node:child_process";
import { existsSync, readdirSync } from "node:fs";
import { join } from "node:path";

import { unpackDebianPackages } from "./toolchain-debian.ts";

const PACKAGES = ["redis-server", "redis-tools"];
// What the server loads; unpacked too, since nothing is installed.
const LIBRARIES = ["libatomic1", "libjemalloc2", "liblzf1", "libssl3", "libsystemd0", "libcap2", "libgcrypt20", "libgpg-error0", "liblz4-1"];

/** A server that can be started: the program, and the environment that it needs. */
export interface RedisProgram {
  readonly program: string;
  readonly env: Readonly<Record<string, string>>;
}

/** Finds the server, or fetches it; else says why there is none. */
export function openRedis(): RedisProgram | { readonly missing: string } {
  const own: RedisProgram = { program: "redis-server", env: { PATH: process.env["PATH"] ?? "" } };
  if (runs(own)) return own;
  const unpacked = unpackDebianPackages({ name: "redis", suite: "bookworm", packages: [...PACKAGES, ...LIBRARIES] });
  if ("missing" in unpacked) return unpacked;
  const { root } = unpacked;
  const found: RedisProgram = { program: join(root, "usr", "bin", "redis-server"), env: { LD_LIBRARY_PATH: libraryFolders(root).join(":") } };
  return runs(found) ? found : { missing: "the unpacked server does not run" };
}

function runs({ program, env }: RedisProgram): boolean {
  try {
    execFileSync(program, ["--version"], { env, stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

function libraryFolders(root: string): string[] {
  return [join(root, "lib"), join(root, "usr", "lib")]
    .filter((folder) => existsSync(folder))
    .flatMap((folder) =>
      readdirSync(folder)
        .filter((name) => name.endsWith("-linux-gnu"))
        .map((name) => join(folder, name)),
    );
}
