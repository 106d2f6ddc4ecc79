// Runs a part of a row in a process of its own.

import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);
const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));

/** Starts a child process for a part and returns the JSON value it prints. */
export async function runChild(part: string, ...values: readonly string[]): Promise<unknown> {
  const { stdout } = await execute(process.execPath, ["--no-warnings", "--conditions=source", "--expose-gc", CHILD, part, ...values]);
  return JSON.parse(stdout);
}
