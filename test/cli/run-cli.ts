// Runs the command in a process of its own, as a shell would.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { fileURLToPath } from "node:url";

/** The repository. */
export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

/** A command that never ends is ended then, so that its test fails. */
export const GIVE_UP_MS = 60_000;

/** Keeps what Node made of the sources, where `npm test` does not already: the processes start three times as fast. */
const COMPILE_CACHE = join(tmpdir(), "mortise-compile-cache");

/** What a process left. */
export interface CliResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stdoutBytes: Buffer;
  readonly stderr: string;
}

/** Options of {@link runCli}. */
export interface CliRun {
  readonly stdin?: string | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** Program of src/cli. @default "main" */
  readonly program?: "main" | "tour";
  /** Working directory. @default the repository */
  readonly cwd?: string;
}

/** Starts the command with the environment of this process, without what changes colours or belongs to the test runner. */
export function startCli(args: readonly string[], { env = {}, program = "main", cwd = ROOT }: CliRun = {}): ChildProcessWithoutNullStreams {
  const { FORCE_COLOR: _force, NO_COLOR: _no, NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...rest } = process.env;
  return spawn(process.execPath, ["--conditions=source", join(ROOT, `src/cli/${program}.ts`), ...args], {
    cwd,
    env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...rest, ...env },
    timeout: GIVE_UP_MS,
    killSignal: "SIGKILL",
  });
}

/** Runs the command to its end. */
export async function runCli(args: readonly string[], run: CliRun = {}): Promise<CliResult> {
  const child = startCli(args, run);
  child.stdin.on("error", () => {}); // a command that reads no input may be gone before all of it is written
  child.stdin.end(run.stdin ?? "");
  const [stdoutBytes, stderr, [exitCode, signal]] = await Promise.all([buffer(child.stdout), buffer(child.stderr), ended(child)]);
  return { exitCode, signal, stdout: stdoutBytes.toString(), stdoutBytes, stderr: stderr.toString() };
}

/** Exit code and signal. */
export async function ended(child: ChildProcessWithoutNullStreams): Promise<[number | null, NodeJS.Signals | null]> {
  const [exitCode, signal] = (await once(child, "exit")) as [number | null, NodeJS.Signals | null];
  return [exitCode, signal];
}
