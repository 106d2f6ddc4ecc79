// Starts examples/server.ts in a process of its own, and waits for what it prints.

import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";

import { GIVE_UP_MS, ROOT } from "../cli/run-cli.ts";

const FILE = join(ROOT, "examples", "server.ts");

/** A server that runs. */
export interface StartedServer {
  readonly child: ChildProcessWithoutNullStreams;
  /** What it has printed so far, and what to stderr. */
  readonly output: () => string;
  readonly errors: () => string;
  /** Waits until it has printed something; fails if it ends before. */
  readonly said: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Exit code and signal. */
  readonly ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** Starts the server at ports that are free, unless `env` says otherwise. */
export function startServer(env: Readonly<Record<string, string>> = {}): StartedServer {
  const { PORT: _port, METRICS_PORT: _metrics, FORCE_COLOR: _force, NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...rest } = process.env;
  const child = spawn(process.execPath, ["--conditions=source", FILE], {
    cwd: ROOT,
    env: { NODE_COMPILE_CACHE: join(tmpdir(), "mortise-compile-cache"), ...rest, ...env },
    timeout: GIVE_UP_MS,
    killSignal: "SIGKILL",
  });
  let output = "";
  let errors = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const ended = once(child, "close") as StartedServer["ended"];
  const said = async (pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(output);
      if (found !== null) return found;
      const isOpen = await Promise.race([once(child.stdout, "data").then(() => true), ended.then(() => false)]);
      if (!isOpen && !pattern.test(output)) throw new Error(`The server ended without ${String(pattern)}: ${output}${errors}`);
    }
  };
  return { child, output: () => output, errors: () => errors, said, ended };
}
