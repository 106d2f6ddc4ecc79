// Where the input of a call comes from: an option's text, a file, or stdin.

import { readFile } from "node:fs/promises";
import { buffer } from "node:stream/consumers";

import { usageError } from "./failure.ts";
import { fileProblem } from "./file-problem.ts";
import { visible } from "./terminal.ts";

/** The ways to give an input; one at most. */
export interface InputFlags {
  readonly input?: string;
  readonly inputFile?: string;
  /** The argument after the function, which can only be `-`. */
  readonly dash?: string;
}

/**
 * Reads the input; undefined if none was given.
 *
 * @throws MortiseError MORTISE_USAGE
 */
export async function readInput({ input, inputFile, dash }: InputFlags): Promise<string | Uint8Array | undefined> {
  if (dash !== undefined && dash !== "-") throw usageError(`unexpected argument '${dash}'`, "give text with --input, a file with --input-file");
  const given = [input === undefined ? "" : "--input", inputFile === undefined ? "" : "--input-file", dash ?? ""].filter((way) => way !== "");
  if (given.length > 1) throw usageError(`the input was given twice, by ${given.join(" and ")}`, "give one of --input TEXT, --input-file FILE and -");
  if (input !== undefined) return input;
  if (dash === "-" || inputFile === "-") return explain("stdin", buffer(process.stdin));
  return inputFile === undefined ? undefined : explain(`the input file "${visible(inputFile)}"`, readFile(inputFile));
}

async function explain(what: string, contents: Promise<Uint8Array>): Promise<Uint8Array> {
  try {
    return await contents;
  } catch (error) {
    throw usageError(`cannot read ${what}: ${fileProblem(error)}`);
  }
}
