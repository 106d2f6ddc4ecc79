// Plugins by name in one folder.

import { access } from "node:fs/promises";
import { join, resolve } from "node:path";

import type { PluginLookup } from "./options.ts";

/** Names that are files of the folder itself: no separators, nothing hidden. */
const NAME = /^[a-z0-9_][a-z0-9_.-]{0,127}$/i;
const EXTENSION = ".wasm";

/** Finds `<name>` or `<name>.wasm` in a folder; anything else is no plugin. */
export function folderLookup(folder: string): PluginLookup {
  const root = resolve(folder);
  return async (name) => {
    if (!NAME.test(name)) return undefined;
    const path = join(root, name.endsWith(EXTENSION) ? name : `${name}${EXTENSION}`);
    try {
      await access(path);
      return path;
    } catch {
      return undefined;
    }
  };
}
