// The hostile modules: text files assembled once per process, and modules built byte by byte where text would be no help.
import { readdirSync, readFileSync } from "node:fs";

import loadWabt from "wabt";

import { BUILT_MODULES } from "./built-modules.ts";
import { assembleWithBinaryen } from "../wasm/assemble-with-binaryen.ts";

/** A hostile module. */
export interface HostileModule {
  /** What it tries, in a sentence: the first comment of its file. */
  readonly tries: string;
  readonly bytes: () => Promise<Uint8Array<ArrayBuffer>>;
}

const FOLDER = new URL("corpus/", import.meta.url);
/** First line of a file that wabt cannot assemble. */
const BINARYEN_MARK = ";; assembler: binaryen";

const FEATURES = {
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
};

async function assembleWithWabt(file: string, source: string): Promise<Uint8Array<ArrayBuffer>> {
  const wabt = await loadWabt();
  let parsed: ReturnType<typeof wabt.parseWat>;
  try {
    parsed = wabt.parseWat(file, source, FEATURES);
  } catch (error) {
    // Thrown anew and alone: the assembler is one long line, which an error of its own would print.
    // oxlint-disable-next-line preserve-caught-error
    throw new Error(`Cannot assemble "${file}": ${String(error)}`);
  }
  try {
    return Uint8Array.from(parsed.toBinary({ write_debug_names: true }).buffer);
  } finally {
    parsed.destroy();
  }
}

function textModule(file: string): HostileModule {
  const source = readFileSync(new URL(file, FOLDER), "utf8");
  const comment = source.split("\n").find((line) => line.startsWith(";; ") && line !== BINARYEN_MARK);
  let assembled: Promise<Uint8Array<ArrayBuffer>> | undefined;
  return {
    tries: comment?.slice(3) ?? "",
    bytes: () => (assembled ??= source.startsWith(BINARYEN_MARK) ? assembleWithBinaryen(source) : assembleWithWabt(file, source)),
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
