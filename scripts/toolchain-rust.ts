// Rust 1.63 with the prebuilt standard library for wasm32-unknown-unknown, from Debian's bookworm suite.
import { execFile, execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";

import { unpackDebianPackages } from "./toolchain-debian.ts";
import type { Compilation, Toolchain, ToolchainState } from "./toolchain-interface.ts";

const PACKAGES = ["rustc", "libstd-rust-1.63", "libstd-rust-dev-wasm32", "lld-14"];
// What the compiler and the linker load; unpacked too, since nothing is installed.
const LIBRARIES = ["libllvm14", "libedit2", "libffi8", "libtinfo6", "libxml2", "libz3-4", "libicu72", "libbsd0", "libmd0"];

export function openRust(): Promise<ToolchainState> {
  const unpacked = unpackDebianPackages({
    name: "rust",
    suite: "bookworm",
    packages: [...PACKAGES, ...LIBRARIES],
  });
  if ("missing" in unpacked) return Promise.resolve(unpacked);
  try {
    return Promise.resolve(toolchainAt(unpacked.root));
  } catch (error) {
    return Promise.resolve({ missing: `the unpacked compiler does not run: ${String(error)}` });
  }
}

function toolchainAt(root: string): Toolchain {
  const rustc = join(root, "usr", "bin", "rustc");
  const env = { PATH: join(root, "usr", "bin"), LD_LIBRARY_PATH: libraryFolders(root).join(":") };
  const version = execFileSync(rustc, ["--version"], { env, encoding: "utf8" }).trim();
  return {
    version: version.split(" ").slice(0, 2).join(" "),
    compile: (compilation) => compile(compilation, rustc, root, env),
  };
}

function libraryFolders(root: string): string[] {
  const folders = [join(root, "lib"), join(root, "usr", "lib")];
  const triples = folders.flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith("-linux-gnu"))
      .map((name) => join(folder, name)),
  );
  return [...triples, join(root, "usr", "lib", "llvm-14", "lib")];
}

async function compile({ entry, sources, flags }: Compilation, rustc: string, root: string, env: NodeJS.ProcessEnv): Promise<Uint8Array> {
  const folder = mkdtempSync(join(tmpdir(), "guest-rust-"));
  try {
    for (const [path, text] of sources) {
      mkdirSync(dirname(join(folder, path)), { recursive: true });
      writeFileSync(join(folder, path), text);
    }
    const linker = join(root, "usr", "lib", "llvm-14", "bin", "wasm-ld");
    const target = ["--sysroot", join(root, "usr"), "--target", "wasm32-unknown-unknown", "--crate-type", "cdylib"];
    const args = [...target, "-C", `linker=${linker}`, ...flags, entry, "-o", "out.wasm"];
    await promisify(execFile)(rustc, args, { cwd: folder, env });
    return readFileSync(join(folder, "out.wasm"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
