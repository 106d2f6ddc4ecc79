// The corpus: text files assembled once per process, and modules built byte by byte where no assembler would write them.
import { readdirSync, readFileSync } from "node:fs";
import loadWabt from "wabt";
import { builtModules } from "./built-modules.ts";
import { assembleWithBinaryen } from "./assemble-with-binaryen.ts";

export interface CorpusModule {
  readonly name: string;
  /** What the module is there for: the first comment of its file. */
  readonly about: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

const folder = new URL("corpus/", import.meta.url);

/** A file that needs the second assembler says so in its first line; that one drops dead code, so it is not the default. */
const binaryenMark = ";; assembler: binaryen";

const features = {
  exceptions: true,
  mutable_globals: true,
  sat_float_to_int: true,
  sign_extension: true,
  simd: true,
  threads: true,
  multi_value: true,
  tail_call: true,
  bulk_memory: true,
  reference_types: true,
  annotations: true,
  memory64: true,
  multi_memory: true,
  extended_const: true,
  relaxed_simd: true,
};

type Wabt = Awaited<ReturnType<typeof loadWabt>>;

function parseText(wabt: Wabt, name: string, source: string): ReturnType<Wabt["parseWat"]> {
  try {
    return wabt.parseWat(name, source, features);
  } catch (error) {
    // Thrown anew: the assembler is one long line, which an uncaught error of its own would print.
    throw new Error(`Cannot assemble "${name}": ${String(error)}`, { cause: error });
  }
}

function assembleWithWabt(wabt: Wabt, name: string, source: string): Uint8Array<ArrayBuffer> {
  const parsed = parseText(wabt, name, source);
  try {
    return Uint8Array.from(parsed.toBinary({ write_debug_names: true }).buffer);
  } finally {
    parsed.destroy();
  }
}

function aboutOf(source: string): string {
  const comment = source.split("\n").find((line) => line.startsWith(";; ") && line !== binaryenMark);
  return comment === undefined ? "" : comment.slice(3);
}

async function readTextModules(): Promise<CorpusModule[]> {
  const wabt = await loadWabt();
  const modules: CorpusModule[] = [];
  for (const file of readdirSync(folder).toSorted()) {
    if (!file.endsWith(".wat")) continue;
    const source = readFileSync(new URL(file, folder), "utf8");
    const name = file.slice(0, -".wat".length);
    const bytes = source.startsWith(binaryenMark) ? await assembleWithBinaryen(source) : assembleWithWabt(wabt, file, source);
    modules.push({ name, about: aboutOf(source), bytes });
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
  return assembleWithWabt(await loadWabt(), "inline.wat", source);
}
