// A program for WASI, with a folder of this machine to read and files in memory. It sees nothing else.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { isMortiseError, loadPlugin } from "mortise";

const folder = await mkdtemp(join(tmpdir(), "mortise-example-"));
await writeFile(join(folder, "poem.txt"), "A mortise is a hole.\nThe tenon fits the hole.\n");
await writeFile(join(folder, "list.txt"), "oak\nash\nelm\n");

const program = new URL("../guests/prebuilt/word_count.c.wasm", import.meta.url);

/** Runs the program on files, and prints what it writes. */
async function count(...files: readonly string[]): Promise<void> {
  const print = (bytes: Uint8Array): boolean => process.stdout.write(bytes);
  await using plugin = await loadPlugin(program, {
    permissions: { paths: { [folder]: { guest: "/data", access: "read-only" } } },
    wasi: { args: ["count", ...files], stdout: print, stderr: print, files: { "/notes/today.txt": "measure twice, cut once\n" } },
  });
  try {
    await plugin.call("_start");
  } catch (error) {
    if (!isMortiseError(error) || error.code !== "MORTISE_EXIT") throw error;
    console.log(`exit code ${String(error.details["exitCode"])}`);
  }
}

await count("/data/poem.txt", "/data/list.txt", "/notes/today.txt");
await count("/data/../../etc/passwd", "/etc/passwd");
await rm(folder, { recursive: true });
