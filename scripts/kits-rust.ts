// The kits in Rust: crates from the registry, and Rust 1.85 with its standard library's sources from Debian's bookworm
// suite. Debian has no prebuilt standard library of that version for WebAssembly, so each build makes its own.
import { execFile, execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { promisify } from "node:util";

import { toolchainFolder, unpackDebianPackages } from "./toolchain-debian.ts";
import type { Compilation, ToolchainState } from "./toolchain-interface.ts";

const NAME = "kits-rust";
const PACKAGES = ["rustc-web", "cargo-web", "rust-web-src", "libstd-rust-web-1.85", "libstd-rust-web-dev", "lld-19", "wasi-libc"];
// What compiler, package manager and linker load; unpacked too, since nothing is installed.
const LIBRARIES = ["libllvm19", "libhttp-parser2.9", "libpcre3"];

export type RustTarget = "wasm32-unknown-unknown" | "wasm32-wasip1";

export function openKitRust(target: RustTarget): Promise<ToolchainState> {
  // Build scripts and macros run on this machine and need a linker for it.
  if (!existsSync("/usr/bin/cc")) return Promise.resolve({ missing: "this machine has no C compiler for build scripts" });
  const unpacked = unpackDebianPackages({ name: NAME, suite: "bookworm", packages: [...PACKAGES, ...LIBRARIES] });
  if ("missing" in unpacked) return Promise.resolve(unpacked);
  const { root } = unpacked;
  const bin = join(root, "usr", "bin");
  const env = {
    HOME: toolchainFolder(NAME),
    PATH: [bin, "/usr/bin", "/bin"].join(delimiter),
    LD_LIBRARY_PATH: ["lib", "usr/lib"].map((folder) => join(root, folder, "x86_64-linux-gnu")).join(delimiter),
    CARGO_HOME: join(toolchainFolder(NAME), "cargo"),
    // Building the standard library is a switch of unreleased compilers only.
    RUSTC_BOOTSTRAP: "1",
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: join(root, "usr", "lib", "llvm-19", "bin", "wasm-ld"),
    CARGO_TARGET_WASM32_WASIP1_LINKER: join(root, "usr", "lib", "llvm-19", "bin", "wasm-ld"),
    RUSTFLAGS: FLAGS[target],
  };
  try {
    const version = execFileSync(join(bin, "rustc"), ["--version"], { env, encoding: "utf8" });
    return Promise.resolve({
      version: `${version.split(" ").slice(0, 2).join(" ")} ${target}`,
      compile: (compilation) => compile(compilation, target, root, env),
    });
  } catch (error) {
    return Promise.resolve({ missing: `the unpacked compiler does not run: ${String(error)}` });
  }
}

/** The folder of wasi-libc, as a link beside the sources: an absolute path would change the bytes. */
const LIBC = "wasi-libc";

const FLAGS: Readonly<Record<RustTarget, string>> = {
  // Without places in the code: they would carry this machine's paths.
  "wasm32-unknown-unknown": "-Zlocation-detail=none",
  "wasm32-wasip1": `-Zlocation-detail=none -C link-self-contained=no -L native=${LIBC}`,
};

async function compile({ sources }: Compilation, target: RustTarget, root: string, env: NodeJS.ProcessEnv): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "kit-rust-"));
  try {
    for (const [path, text] of sources) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    symlinkSync(join(root, "usr", "lib", "wasm32-wasi"), join(folder, LIBC));
    const args = ["build", "--release", "--locked", "-Zbuild-std=std,panic_abort", "--target", target];
    await promisify(execFile)("cargo", args, { cwd: folder, env, maxBuffer: 1 << 24 });
    const built = join(folder, "target", target, "release");
    const name = readdirSync(built).find((file) => file.endsWith(".wasm"));
    if (name === undefined) throw new Error("cargo built no module");
    return readFileSync(join(built, name));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
