// C through clang and lld that are themselves WebAssembly, from npm.
import { readFileSync } from "node:fs";
import { join } from "node:path";

import { commands, runLLVM, type Tree } from "@yowasp/clang";

import type { Compilation, Toolchain } from "./toolchain-interface.ts";

const OUTPUT = "out.wasm";

export async function openC(): Promise<Toolchain> {
  // Loaded here, since a first compilation would report its progress on standard output.
  await runLLVM(undefined, {}, { fetchProgress: () => {} });
  return { version: `@yowasp/clang ${packageVersion()}`, compile };
}

/** The compiler itself reports the LLVM version only, not the build. */
function packageVersion(): string {
  const file = join(import.meta.dirname, "..", "node_modules", "@yowasp", "clang", "package.json");
  const parsed: unknown = JSON.parse(readFileSync(file, "utf8"));
  return (parsed as { version: string }).version;
}

async function compile({ entry, sources, flags }: Compilation): Promise<Uint8Array> {
  let messages = "";
  const decoder = new TextDecoder();
  const options = {
    stderr: (bytes: Uint8Array | null): void => {
      if (bytes !== null) messages += decoder.decode(bytes, { stream: true });
    },
  };
  try {
    const files: Tree = Object.fromEntries(sources);
    const result = await commands.clang([...flags, entry, "-o", OUTPUT], files, options);
    const wasm = result?.[OUTPUT];
    if (wasm instanceof Uint8Array) return wasm;
  } catch (error) {
    // oxlint-disable-next-line preserve-caught-error -- as a cause it would carry the whole file tree along
    throw new Error(`Cannot compile ${entry}: ${String(error)}\n${messages}`);
  }
  throw new Error(`Cannot compile ${entry}: no output\n${messages}`);
}
