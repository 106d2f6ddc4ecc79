// The hostile modules: text files assembled once per process, and modules built byte by byte where text would be no help.
import { readdirSync, readFileSync } from "node:fs";

import { BUILT_MODULES } from "./built-modules.ts";
import { assembleText, firstComment } from "../wasm/assemble.ts";

/** A hostile module. */
export interface HostileModule {
  /** What it tries, in a sentence: the first comment of its file. */
  readonly tries: string;
  readonly bytes: () => Promise<Uint8Array<ArrayBuffer>>;
}

const FOLDER = new URL("corpus/", import.meta.url);
function textModule(file: string): HostileModule {
  const source = readFileSync(new URL(file, FOLDER), "utf8");
  let assembled: Promise<Uint8Array<ArrayBuffer>> | undefined;
  return {
    tries: firstComment(source),
    bytes: () => (assembled ??= assembleText(file, source)),
  };
}

function readModules(): Map<string, HostileModule> {
  const modules = new Map<string, HostileModule>();
  const files = readdirSync(FOLDER).toSorted();
  for (const file of files) if (file.endsWith(".wat")) modules.set(file.slice(0, -".wat".length), textModule(file));
  for (const { name, tries, build } of BUILT_MODULES) modules.set(name, { tries, bytes: async () => build() });
  return modules;
}

/** All hostile modules by name. */
export const MODULES: ReadonlyMap<string, HostileModule> = readModules();
