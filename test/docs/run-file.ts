// Runs a program of the documentation in a process of its own.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

import { ROOT } from "../cli/run-cli.ts";

const run = promisify(execFile);
const TIMEOUT_MS = 60_000;

/** What a program prints to stdout; it must end well and print nothing to stderr. */
export async function outputOf(file: string): Promise<string> {
  const { FORCE_COLOR: _force, NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  const { stdout, stderr } = await run(process.execPath, ["--conditions=source", file], {
    cwd: ROOT,
    env: { ...env, NO_COLOR: "1" },
    timeout: TIMEOUT_MS,
  });
  if (stderr !== "") throw new Error(`${file} printed to stderr: ${stderr}`);
  return stdout;
}
