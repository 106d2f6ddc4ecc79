// The fourth part of the tour: a program that reads files, of a folder that it is granted or not.

import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";

import { type PathGrant, loadPlugin } from "../index.ts";
import { toMortiseError } from "./failure.ts";
import { milliseconds } from "./quantities.ts";
import type { SelfCheck } from "./self-check.ts";

/** Columns of the rows. */
export const FOLDER_COLUMNS = ["granted", "counts", "exit code", "after"] as const;

/** What the tour shows of one run. */
export interface FolderRow {
  readonly cells: readonly string[];
  readonly note: string;
}

const NAME = "README.md";

interface Run {
  readonly granted: boolean;
  readonly path: string;
  /** Whether it may be read. */
  readonly readable: boolean;
}

const RUNS: readonly Run[] = [
  { granted: false, path: `/guests/${NAME}`, readable: false },
  { granted: true, path: `/guests/${NAME}`, readable: true },
  { granted: true, path: `/guests/../${NAME}`, readable: false },
];

/** Runs the program on every path. */
export async function runFolderReader(program: URL, folder: URL, check: SelfCheck): Promise<FolderRow[]> {
  const text = await readFile(new URL(NAME, folder), "utf8");
  const counts = [text.split("\n").length - 1, text.match(/\S+/g)?.length ?? 0, Buffer.byteLength(text)].join(" ");
  const rows: FolderRow[] = [];
  for (const run of RUNS) rows.push(await runReader(program, folder, run, counts, check));
  return rows;
}

async function runReader(program: URL, folder: URL, { granted, path, readable }: Run, counts: string, check: SelfCheck): Promise<FolderRow> {
  const decoder = new TextDecoder();
  let said = "";
  const listen = (bytes: Uint8Array): void => void (said += decoder.decode(bytes, { stream: true }));
  const paths: Record<string, PathGrant> = granted ? { [fileURLToPath(folder)]: { guest: "/guests", access: "read-only" } } : {};
  await using plugin = await loadPlugin(program, { permissions: { paths }, wasi: { args: ["word_count", path], stdout: listen, stderr: listen } });
  const began = performance.now();
  let exitCode: unknown = 0;
  try {
    await plugin.call("_start");
  } catch (error) {
    const failure = toMortiseError(error);
    exitCode = failure.code === "MORTISE_EXIT" ? failure.details["exitCode"] : failure.code;
  }
  const note = said.trim().replaceAll(/\s+/g, " ");
  const right = readable ? exitCode === 0 && note === `${counts} ${path}` : exitCode === 1 && note.startsWith(`word_count: ${path}: `);
  check.expect(right, `the program ended with ${String(exitCode)} and said "${note}"`);
  return { cells: [granted ? "guests, for reading" : "nothing", path, String(exitCode), milliseconds(performance.now() - began)], note };
}
