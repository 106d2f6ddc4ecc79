// Starts `mortise serve` in a process of its own, and waits for what it says.

import type { ChildProcessWithoutNullStreams } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";

import { type CliRun, startCli } from "./run-cli.ts";

/** A server that runs. */
export interface StartedServe {
  readonly child: ChildProcessWithoutNullStreams;
  readonly url: string;
  readonly metrics: string;
  /** What it has printed so far, and what it has logged. */
  readonly output: () => string;
  readonly log: () => string;
  /** Waits until it has logged something; fails if it ends before. */
  readonly logged: (pattern: RegExp) => Promise<RegExpExecArray>;
  /** Exit code and signal. */
  readonly ended: Promise<[code: number | null, signal: NodeJS.Signals | null]>;
}

/** Starts it at a port that is free unless the arguments name one, and waits until it is there. The test's end ends it. */
export async function startServe(t: Pick<TestContext, "after">, args: readonly string[], run: CliRun = {}): Promise<StartedServe> {
  const port = args.includes("--port") ? [] : ["--port", "0"];
  const child = startCli(["serve", ...port, ...args], run);
  t.after(() => child.kill("SIGKILL"));
  let output = "";
  let log = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const ended = once(child, "close") as StartedServe["ended"];
  const wait = async (of: () => string, stream: "stdout" | "stderr", pattern: RegExp): Promise<RegExpExecArray> => {
    for (;;) {
      const found = pattern.exec(of());
      if (found !== null) return found;
      const isOpen = await Promise.race([once(child[stream], "data").then(() => true), ended.then(() => false)]);
      if (!isOpen && !pattern.test(of()))
        throw new Error(
          `The server ended without ${String(pattern)}: ${output.slice(-1000)}${log.replaceAll(/.*info  request.*\n/g, "").slice(-3000)}`,
        );
    }
  };
  const logged: StartedServe["logged"] = (pattern) => wait(() => log, "stderr", pattern);
  const isJson = args.includes("--json-logs");
  const [, url = "", metrics = ""] = isJson
    ? await logged(/"url":"([^"]+)","metrics":"([^"]+)"/)
    : await wait(() => output, "stdout", /Anthropic's interface +(\S+)\n +metrics +(\S+)\n[^]*again, at once/);
  return { child, url, metrics, output: () => output, log: () => log, logged, ended };
}

/** A folder for the time of a test, with a configuration. */
export function configFile(t: Pick<TestContext, "after">, text: string): { readonly folder: string; readonly file: string } {
  const folder = mkdtempSync(join(tmpdir(), "mortise-serve-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, "mortise.toml");
  writeFileSync(file, text);
  return { folder, file };
}

/** The configuration with which most tests begin. */
export const ECHO = `[[gateway.providers]]\nname = "echo"\nsource = "builtin:echo"\nmodels = ["echo"]\n`;

/** Asks for a completion. */
export async function ask(url: string, prompt = "Hello", headers: Readonly<Record<string, string>> = {}, model = "echo"): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ model, messages: [{ role: "user", content: prompt }] }),
  });
}
