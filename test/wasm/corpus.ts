// The corpus: text files assembled once per process, and modules built byte by byte where no assembler would write them.
import { readdirSync, readFileSync } from "node:fs";
import { builtModules } from "./built-modules.ts";
import { assembleText, firstComment } from "./assemble.ts";

export interface CorpusModule {
  readonly name: string;
  /** What the module is there for: the first comment of its file. */
  readonly about: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const folder = new URL("corpus/", import.meta.url);

async function readTextModules(): Promise<CorpusModule[]> {
  const modules: CorpusModule[] = [];
  for (const file of readdirSync(folder).toSorted()) {
    if (!file.endsWith(".wat")) continue;
    const source = readFileSync(new URL(file, folder), "utf8");
    const name = file.slice(0, -".wat".length);
    const bytes = await assembleText(file, source);
    modules.push({ name, about: firstComment(source), bytes });
  }
  return modules;
}

let cached: Promise<readonly CorpusModule[]> | undefined;

/** All modules of the corpus; assembled at the first call. */
export function loadCorpus(): Promise<readonly CorpusModule[]> {
  cached ??= readTextModules().then((modules) => [...modules, ...builtModules()]);
  return cached;
}

/** Assembles one module given as text, in the default assembler. */
export async function assemble(source: string): Promise<Uint8Array<ArrayBuffer>> {
  return assembleText("inline.wat", source);
}
