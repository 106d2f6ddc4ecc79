// Loads a Node-API addon from bytes that were checked: the system's loader takes a file, so it gets a copy that nobody
// else can write to, in a folder of its own, which is removed at once.

import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { constants, tmpdir } from "node:os";
import { extname, join } from "node:path";

import { type NativeFile, refused } from "./grants.ts";
import { whyNoAddon } from "./library.ts";

/** Refuses what is no addon for this machine. @throws MortiseError MORTISE_NATIVE_REFUSED */
export function checkAddon({ path, bytes }: NativeFile): void {
  const reason = whyNoAddon(bytes);
  if (reason !== undefined) throw refused(path, reason);
}

/**
 * Loads an addon and gives its exports. A copy of its own keeps its static variables apart from those of other loads.
 *
 * @throws MortiseError MORTISE_NATIVE_REFUSED if the system does not load it; otherwise what its initialiser throws
 */
export function loadAddon(file: NativeFile): Readonly<Record<string, unknown>> {
  // The system makes it for this user alone.
  const folder = mkdtempSync(join(tmpdir(), "mortise-native-"));
  const copy = join(folder, `plugin${extname(file.path)}`);
  const module: { exports: Record<string, unknown> } = { exports: {} };
  try {
    writeFileSync(copy, file.bytes, { flag: "wx", mode: 0o500 });
    // Everything it needs now: a symbol that is missing would end the process at its first use.
    process.dlopen(module, copy, constants.dlopen.RTLD_NOW);
    return module.exports;
  } catch (error) {
    throw explained(error, file.path, copy);
  } finally {
    remove(folder);
  }
}

function explained(error: unknown, path: string, copy: string): unknown {
  const { code, message } = error as NodeJS.ErrnoException;
  if (code !== "ERR_DLOPEN_FAILED" && code !== "ERR_DLOPEN_DISABLED") return error;
  const hint = message.includes("failed to map segment") ? `; if "${tmpdir()}" must not hold programs, set TMPDIR to a folder that may` : "";
  return refused(path, `the system does not load it: ${message.replaceAll(copy, "the library")}${hint}`, undefined, error);
}

function remove(folder: string): void {
  try {
    rmSync(folder, { recursive: true, force: true });
  } catch {
    // Windows keeps a library's file as long as it is loaded.
    process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 0 }));
  }
}
