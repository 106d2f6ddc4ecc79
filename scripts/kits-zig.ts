// Zig from PyPI's package `ziglang`, fetched by pip and unpacked into `.toolchains`.
import { execFile, execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { toolchainFolder } from "./toolchain-debian.ts";
import type { Compilation, ToolchainState } from "./toolchain-interface.ts";

const VERSION = "0.17.0";
const FLAGS = ["-target", "wasm32-freestanding", "-O", "ReleaseSmall", "-fno-entry", "-rdynamic", "-fstrip"];

export function openKitZig(): Promise<ToolchainState> {
  const folder = toolchainFolder("kits-zig");
  const zig = join(folder, "ziglang", "zig");
  try {
    if (!existsSync(zig)) fetchZig(folder);
    const version = execFileSync(zig, ["version"], { encoding: "utf8" }).trim();
    return Promise.resolve({ version: `zig ${version}`, compile: (compilation) => compile(compilation, zig) });
  } catch (error) {
    return Promise.resolve({ missing: `fetching it by pip failed: ${String(error).split("\n")[0] ?? ""}` });
  }
}

function fetchZig(folder: string): void {
  mkdirSync(folder, { recursive: true });
  const work = mkdtempSync(join(folder, "fetch-"));
  try {
    const quiet = { cwd: work, stdio: ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"] };
    execFileSync("python3", ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:", `ziglang==${VERSION}`], quiet);
    const wheel = readdirSync(work).find((file) => file.endsWith(".whl"));
    if (wheel === undefined) throw new Error("pip gave no wheel");
    execFileSync("python3", ["-m", "zipfile", "-e", wheel, "unpacked"], quiet);
    chmodSync(join(work, "unpacked", "ziglang", "zig"), 0o755);
    // Renamed last: a folder that exists is whole.
    renameSync(join(work, "unpacked", "ziglang"), join(folder, "ziglang"));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

async function compile({ sources }: Compilation, zig: string): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "kit-zig-"));
  try {
    for (const [path, text] of sources) writeFileSync(join(folder, path), text);
    const cache = join(toolchainFolder("kits-zig"), "cache");
    const args = ["build-exe", "plugin.zig", ...FLAGS, "--global-cache-dir", cache, "--cache-dir", "cache", "-femit-bin=out.wasm"];
    await promisify(execFile)(zig, args, { cwd: folder });
    return readFileSync(join(folder, "out.wasm"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
