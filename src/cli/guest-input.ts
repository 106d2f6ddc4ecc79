// Where the input of a call comes from: an option's text, a file, or stdin.

import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";

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

/** An input that is still to be read; undefined if none was given. */
export type NamedInput = { readonly text: string } | { readonly what: string; readonly open: () => Readable } | undefined;

/**
 * Tells what the input is; nothing is read yet.
 *
 * @throws MortiseError MORTISE_USAGE
 */
export function nameInput({ input, inputFile, dash }: InputFlags): NamedInput {
  if (dash !== undefined && dash !== "-") throw usageError(`unexpected argument '${dash}'`, "give text with --input, a file with --input-file");
  const given = [input === undefined ? "" : "--input", inputFile === undefined ? "" : "--input-file", dash ?? ""].filter((way) => way !== "");
  if (given.length > 1) throw usageError(`the input was given twice, by ${given.join(" and ")}`, "give one of --input TEXT, --input-file FILE and -");
  if (input !== undefined) return { text: input };
  if (dash === "-" || inputFile === "-") return { what: "stdin", open: () => process.stdin };
  return inputFile === undefined ? undefined : { what: `the input file "${visible(inputFile)}"`, open: () => createReadStream(inputFile) };
}

/**
 * Reads an input, no more of it than `maxBytes`.
 *
 * @throws MortiseError MORTISE_USAGE
 */
export async function readInput(input: NamedInput, maxBytes: number): Promise<string | Uint8Array | undefined> {
  if (input === undefined) return undefined;
  if ("text" in input) return input.text;
  try {
    return await readAtMost(input.open(), maxBytes);
  } catch (error) {
    throw usageError(`cannot read ${input.what}: ${fileProblem(error)}`);
  }
}

async function readAtMost(stream: AsyncIterable<Uint8Array>, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  for await (const piece of stream) {
    pieces.push(piece);
    size += piece.length;
    if (size >= maxBytes) break;
  }
  return Buffer.concat(pieces, Math.min(size, maxBytes));
}
