// The kit in Go: a module from the module proxy, and the machine's own Go, 1.24 or newer.
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import type { Compilation, ToolchainState } from "./toolchain-interface.ts";

const FIRST_MINOR = 24;

export function openKitGo(): Promise<ToolchainState> {
  const env = { ...process.env, GOOS: "wasip1", GOARCH: "wasm", CGO_ENABLED: "0", GOFLAGS: "-mod=readonly", GOTOOLCHAIN: "local" };
  try {
    const version = execFileSync("go", ["env", "GOVERSION"], { env, encoding: "utf8" }).trim();
    const minor = Number(/^go1\.(\d+)/.exec(version)?.[1]);
    if (!(minor >= FIRST_MINOR)) return Promise.resolve({ missing: `${version} cannot export functions, 1.${FIRST_MINOR} can` });
    return Promise.resolve({ version: version.replace(/^go/, "go "), compile: (compilation) => compile(compilation, env) });
  } catch {
    return Promise.resolve({ missing: "this machine has no Go" });
  }
}

async function compile({ sources }: Compilation, env: NodeJS.ProcessEnv): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "kit-go-"));
  try {
    for (const [path, text] of sources) writeFileSync(join(folder, path), text);
    const flags = ["-buildmode=c-shared", "-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="];
    await promisify(execFile)("go", ["build", ...flags, "-o", "out.wasm", "."], { cwd: folder, env });
    return readFileSync(join(folder, "out.wasm"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
