// AssemblyScript through the compiler's API from npm.
import * as asc from "assemblyscript/asc";

import type { Compilation, Toolchain } from "./toolchain-interface.ts";

export function openAssemblyScript(): Promise<Toolchain> {
  return Promise.resolve({ version: `assemblyscript ${asc.version}`, compile });
}

async function compile({ entry, sources, flags }: Compilation): Promise<Uint8Array> {
  let wasm: Uint8Array | undefined;
  const messages = asc.createMemoryStream();
  const result = await asc.main([entry, "--outFile", "out.wasm", ...flags], {
    stdout: messages,
    stderr: messages,
    // Only the listed sources exist: a guest whose list is incomplete does not compile.
    readFile: (path) => sources.get(path) ?? null,
    writeFile: (_path, contents) => {
      if (contents instanceof Uint8Array) wasm = contents;
    },
    listFiles: () => null,
  });
  if (result.error !== null || wasm === undefined) {
    throw new Error(`Cannot compile ${entry}: ${result.error?.message ?? "no output"}\n${messages.toString()}`);
  }
  return wasm;
}
