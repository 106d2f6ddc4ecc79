// A Prometheus server for the tests: the machine's own, or Debian's, unpacked without being installed.
import { execFileSync } from "node:child_process";
import { join } from "node:path";

import { unpackDebianPackages } from "./toolchain-debian.ts";

/** Finds the server, or fetches it; else says why there is none. */
export function openPrometheus(): { readonly program: string } | { readonly missing: string } {
  if (runs("prometheus")) return { program: "prometheus" };
  const unpacked = unpackDebianPackages({ name: "prometheus", suite: "bookworm", packages: ["prometheus"] });
  if ("missing" in unpacked) return unpacked;
  const program = join(unpacked.root, "usr", "bin", "prometheus");
  return runs(program) ? { program } : { missing: "the unpacked server does not run" };
}

function runs(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
