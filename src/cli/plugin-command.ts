// `mortise plugin import`: turns another system's configuration into one of Mortise.

import { createHash } from "node:crypto";
import { readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";

import type { Command } from "commander";

import type { ImportNote } from "../config/import/draft.ts";
import type { FoundPlugin } from "../config/import/from-helios.ts";
import { MortiseError, isMortiseError } from "../index.ts";
import { readHelios } from "../manifest/helios-source.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError, usageError } from "./failure.ts";
import { fileProblem } from "./file-problem.ts";
import { jsonText, paint, visible } from "./terminal.ts";

const IMPORT_HELP = `
The file is providers.toml, .json or .yaml of QueryMT, .query/plugins.toml of
Query, config.json of Bifrost, or proxy.toml of HeliosProxy; which of them it is
shows in the file. What it says of plugins goes to stdout as mortise.toml, and
what is different here goes to stderr, note by note. Secrets in the clear become
names of environment variables; their values are printed nowhere.

Examples:
  mortise plugin import ~/.qmt/providers.toml --out mortise.toml
  mortise plugin import config.json --json | jq .notes`;

/** Files of a folder of plugins that are looked at. */
const MAX_FILES = 256;

/** Options of `mortise plugin import`. */
export interface ImportFlags {
  readonly out?: string;
  readonly json?: boolean;
}

/** Defines `mortise plugin` with its commands. */
export function definePlugin(program: Command, done: (exitCode: number) => void): void {
  program
    .command("plugin")
    .description("bring plugins from other systems")
    .command("import")
    .description("turn another system's configuration into mortise.toml")
    .argument("<file>", "the configuration")
    .option("--out <file>", "write to this file, which must not exist yet")
    .option("--json", "print one JSON object: configuration and notes")
    .addHelpText("after", IMPORT_HELP)
    .action(async (file: string, flags: ImportFlags) => done(await importCommand(file, flags)));
}

/** Runs the command and returns the exit code; notes are no failure. */
export async function importCommand(file: string, { out, json = false }: ImportFlags): Promise<number> {
  try {
    // Loaded here, since other commands do without.
    const { importFile } = await import("../config/import/import-file.ts");
    const imported = await importFile(file, listFolder);
    if (out !== undefined) await writeNew(out, imported.toml);
    if (json) process.stdout.write(`${jsonText({ ok: true, ...imported, ...(out === undefined ? {} : { out }) })}\n`);
    else {
      for (const note of imported.notes) process.stderr.write(noteText(note));
      if (out === undefined) process.stdout.write(imported.toml);
    }
    return EXIT.ok;
  } catch (error) {
    const failure = toMortiseError(error);
    if (json) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else printFailure(failure);
    return exitCodeOf(failure);
  }
}

/** The modules and artefacts of a folder, each with what its manifest says. */
async function listFolder(folder: string): Promise<FoundPlugin[] | undefined> {
  const names = await namesIn(folder);
  if (names === undefined) return undefined;
  const files = names.filter((name) => /\.(?:wasm|gz)$/.test(name)).toSorted();
  if (files.length > MAX_FILES) throw usageError(`"${folder}" has ${files.length} plugins, but ${MAX_FILES} are read at most`);
  const found: FoundPlugin[] = [];
  for (const file of files) found.push(await describe(folder, file));
  return found;
}

async function namesIn(folder: string): Promise<string[] | undefined> {
  try {
    return await readdir(folder);
  } catch {
    return undefined;
  }
}

async function describe(folder: string, file: string): Promise<FoundPlugin> {
  try {
    const { wasm, manifest } = await readHelios(join(folder, file));
    return {
      file,
      name: manifest?.name,
      digest: createHash("sha256").update(wasm).digest("hex"),
      grants: manifest?.requested.flatMap(({ grant }) => grant ?? []) ?? [],
    };
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    return { file, fault: error.message };
  }
}

/** Writes a file that is not there yet. */
async function writeNew(path: string, text: string): Promise<void> {
  try {
    await writeFile(path, text, { flag: "wx" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST")
      throw new MortiseError("MORTISE_USAGE", {
        reason: `cannot write "${path}": it exists already`,
        hint: "name another file, or move that one away",
      });
    throw new MortiseError("MORTISE_USAGE", { reason: `cannot write "${path}": ${fileProblem(error)}` }, error);
  }
}

/** Three lines: where, what and why; and what to do. */
function noteText({ place, line, column, what, why, todo }: ImportNote): string {
  const at = line === undefined ? "" : `line ${line}, column ${column ?? 1}: `;
  const where = visible(`${at}${place === "" ? "the whole file" : place}`);
  return `${paint(process.stderr, "dim", `mortise: note: ${where}`)}\n  ${visible(what)}: ${visible(why)}\n  → ${visible(todo)}\n`;
}
