// Go 1.24, the first that exports functions from a wasip1 library, from Debian's trixie suite.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { toolchainFolder, unpackDebianPackages } from "./toolchain-debian.ts";
import type { Compilation, Toolchain, ToolchainState } from "./toolchain-interface.ts";

export function openGo(): Promise<ToolchainState> {
  const packages = ["golang-1.24-go", "golang-1.24-src"];
  const unpacked = unpackDebianPackages({ name: "go", suite: "trixie", packages });
  if ("missing" in unpacked) return Promise.resolve(unpacked);
  try {
    return Promise.resolve(toolchainAt(unpacked.root));
  } catch (error) {
    return Promise.resolve({ missing: `the unpacked compiler does not run: ${String(error)}` });
  }
}

function toolchainAt(root: string): Toolchain {
  const goroot = join(root, "usr", "lib", "go-1.24");
  const go = join(goroot, "bin", "go");
  const env = environment(goroot);
  const version = execFileSync(go, ["env", "GOVERSION"], { env, encoding: "utf8" }).trim();
  return {
    version: version.replace(/^go/, "go "),
    compile: (compilation) => compile(compilation, go, env),
  };
}

/** Nothing of the machine's own Go: neither its settings nor its caches, and no network. */
function environment(goroot: string): NodeJS.ProcessEnv {
  const folder = toolchainFolder("go");
  return {
    HOME: join(folder, "home"),
    PATH: join(goroot, "bin"),
    GOROOT: goroot,
    GOPATH: join(folder, "path"),
    GOCACHE: join(folder, "cache"),
    GOENV: "off",
    GOFLAGS: "",
    GOPROXY: "off",
    GOTOOLCHAIN: "local",
    GOOS: "wasip1",
    GOARCH: "wasm",
    CGO_ENABLED: "0",
  };
}

async function compile({ entry, sources, flags }: Compilation, go: string, env: NodeJS.ProcessEnv): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "guest-go-"));
  try {
    for (const [path, text] of sources) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const cwd = join(folder, dirname(entry));
    await promisify(execFile)(go, ["build", ...flags, "-o", "out.wasm", "."], { cwd, env });
    return readFileSync(join(cwd, "out.wasm"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
