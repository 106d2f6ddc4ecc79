// A process that runs SQLite: one statement at a time, and killed when that takes too long.

import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";

import { printable } from "../api/errors.ts";
import { READY, type SqliteAnswer, type SqliteRequest } from "./sqlite-protocol.ts";

const EXTENSION = import.meta.url.endsWith(".ts") ? ".ts" : ".js";
const MAX_STDERR_CHARS = 2000;

/** What a process tells. */
export interface SqliteListener {
  onReady(): void;
  onAnswer(answer: SqliteAnswer): void;
  /** It has ended; not told of a process that was killed. */
  onExit(reason: string): void;
}

/** One process. */
export class SqliteProcess {
  /** It has started. */
  ready = false;
  readonly #child: ChildProcess;
  #listener: SqliteListener | undefined;
  #stderr = "";

  constructor(listener: SqliteListener) {
    this.#listener = listener;
    const entry = fileURLToPath(new URL(`./sqlite-main${EXTENSION}`, import.meta.url));
    const flags = ["--max-old-space-size=128", "--disable-warning=ExperimentalWarning"];
    this.#child = spawn(process.execPath, [...flags, entry], {
      // Nothing of this process's environment is a statement's business; signals of a terminal are ours to pass on.
      env: {},
      detached: true,
      windowsHide: true,
      serialization: "advanced",
      stdio: ["ignore", "ignore", "pipe", "ipc"],
    });
    const child = this.#child;
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      this.#stderr = (this.#stderr + text).slice(0, MAX_STDERR_CHARS);
    });
    child.on("message", (message) => this.#receive(message));
    child.once("error", (error) => this.#exit(error.message));
    child.once("exit", (code, signal) =>
      this.#exit(`it ended with ${signal ?? `code ${code}`}${this.#stderr === "" ? "" : `: ${this.#stderr.trim()}`}`),
    );
    // A process that cannot be written to ends, or has; its exit says so.
    child.channel?.on("error", () => {});
    this.hold(false);
  }

  /** Whether this process stays alive for that one. */
  hold(busy: boolean): void {
    const { channel, stderr } = this.#child;
    const method = busy ? "ref" : "unref";
    this.#child[method]();
    channel?.[method]();
    (stderr as { ref?(): void; unref?(): void } | null)?.[method]?.();
  }

  send(request: SqliteRequest): void {
    this.#child.send(request, (error) => {
      if (error !== null) this.#exit(error.message);
    });
  }

  /** Ends it, whatever it is doing; nothing is told any more. */
  kill(): void {
    this.#listener = undefined;
    this.#child.kill("SIGKILL");
    this.hold(false);
  }

  #receive(message: unknown): void {
    if (message === READY) {
      this.ready = true;
      this.#listener?.onReady();
    } else this.#listener?.onAnswer(message as SqliteAnswer);
  }

  #exit(reason: string): void {
    const listener = this.#listener;
    this.kill();
    listener?.onExit(printable(reason));
  }
}
