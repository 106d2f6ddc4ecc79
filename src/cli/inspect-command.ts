// `mortise inspect`: says what a module is, without running any of it.

import { readFile, stat } from "node:fs/promises";

import { MortiseError } from "../index.ts";
import { type ModuleDescription, inspect } from "../wasm/index.ts";
import { EXIT, exitCodeOf, printFailure, toMortiseError } from "./failure.ts";
import { MISSING, fileProblem } from "./file-problem.ts";
import { describeModule } from "./inspect-report.ts";
import { jsonText, visible } from "./terminal.ts";

/** Runs the command and returns the exit code; a module that would be refused is a success: it was described. */
export async function inspectCommand(file: string, flags: { readonly json?: boolean }): Promise<number> {
  let description: ModuleDescription;
  try {
    description = inspect(await readModule(file), { source: `"${visible(file)}"` });
  } catch (error) {
    const failure = toMortiseError(error);
    if (flags.json === true) process.stdout.write(`${jsonText({ ok: false, error: failure.toJSON() })}\n`);
    else printFailure(failure);
    return exitCodeOf(failure);
  }
  process.stdout.write(flags.json === true ? `${jsonText({ ok: true, file, ...description })}\n` : describeModule(file, description));
  return EXIT.ok;
}

async function readModule(file: string): Promise<Uint8Array> {
  const source = `"${visible(file)}"`;
  try {
    const found = await stat(file);
    if (!found.isFile() && !found.isDirectory()) throw new Error("it is not a regular file");
    return await readFile(file);
  } catch (error) {
    const reason = fileProblem(error);
    if (reason === MISSING) throw new MortiseError("MORTISE_SOURCE_NOT_FOUND", { source });
    throw new MortiseError("MORTISE_SOURCE_UNREADABLE", { source, reason }, error);
  }
}
