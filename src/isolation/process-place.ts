// Runs plugins in processes of their own: packets over a pipe, under Node's permission model and the system's limits.

import { type ChildProcess, spawn } from "node:child_process";
import { readSync, writeSync } from "node:fs";
import type { Socket } from "node:net";
import { fileURLToPath } from "node:url";

import { printable } from "../api/errors.ts";
import { childEntry, childFiles } from "./child-entry.ts";
import { FrameReader, toFrame } from "./frame.ts";
import type { Loss, Place, PlaceConfig, PlaceListener } from "./place.ts";
import { type Order, ProtocolError, type Section } from "./protocol.ts";
import type { RawPacket } from "./report.ts";

/** File descriptor of the pipe in the child. */
export const CHILD_PIPE = 3;
/** Bytes of standard error that are kept for the message about a child that ended. */
const MAX_STDERR = 4096;
const MIB = 1 << 20;
const KIB = 1024;
/** Milliseconds between two looks at the pipe for an answer that does not come at once. */
const POLL_MS = 0.05;
const SPIN_MS = 0.2;

/**
 * Starts a process; it reports `booted` when it is up.
 *
 * @param entry the module that it runs; for tests
 */
export function startProcess(config: PlaceConfig, entry: URL = childEntry("process")): Place {
  return new ProcessPlace(config, entry);
}

class ProcessPlace implements Place {
  readonly kind = "process";
  readonly exited: Promise<void>;
  over = false;
  readonly #child: ChildProcess;
  readonly #pipe: Socket;
  readonly #reader: FrameReader;
  #listener: PlaceListener | undefined;
  #stderr = "";
  readonly #chunk = Buffer.allocUnsafeSlow(1 << 16);

  constructor(config: PlaceConfig, entry: URL) {
    this.#reader = new FrameReader(config.packetBytes);
    const [command, ...args] = commandLine(config, fileURLToPath(entry));
    this.#child = spawn(command, args, {
      // Nothing of this process's environment, folder, terminal or descriptors is a plugin's business.
      env: {},
      cwd: "/",
      detached: true,
      stdio: ["ignore", "ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    this.#pipe = this.#child.stdio[CHILD_PIPE] as Socket;
    this.#pipe.on("data", (chunk: Buffer) => this.#receive(chunk));
    this.#pipe.on("error", () => {});
    this.#pipe.once("end", () => this.#endOfPipe());
    this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      if (this.#stderr.length < MAX_STDERR) this.#stderr += text.slice(0, MAX_STDERR - this.#stderr.length);
    });
    let failure: Error | undefined;
    this.#child.once("error", (error) => (failure = error));
    this.exited = new Promise((resolve) => {
      // After the exit, and after everything that the child had written.
      this.#child.once("close", (code, signal) => {
        this.#lose(failure === undefined ? explain(code, signal, this.#stderr) : { reason: printable(failure.message), outOfMemory: false });
        resolve();
      });
    });
    this.release();
  }

  listen(listener: PlaceListener): void {
    this.#listener = listener;
  }

  send(order: Order, sections: readonly Section[] = []): void {
    if (this.over) return;
    const pieces = toFrame(order, sections);
    if (pieces.length > 1) this.#pipe.cork();
    for (const piece of pieces) this.#pipe.write(piece);
    if (pieces.length > 1) this.#pipe.uncork();
  }

  exchange(order: Order, sections: readonly Section[], stallMs: number): RawPacket | undefined {
    const fd = descriptorOf(this.#pipe);
    if (fd === undefined || this.over) return undefined;
    const end = performance.now() + stallMs;
    const spinUntil = performance.now() + SPIN_MS;
    // The child waits for an answer and has read all that was sent, so that the pipe is free in both directions.
    for (const piece of toFrame(order, sections)) {
      for (let at = 0; at < piece.length;) {
        const written = attempt(() => writeSync(fd, piece, at));
        if (written !== undefined) at += written;
        else if (!pause(end, spinUntil)) return undefined;
      }
    }
    const packets: RawPacket[] = [];
    for (;;) {
      const count = attempt(() => readSync(fd, this.#chunk, 0, this.#chunk.length, null));
      if (count === 0) return undefined;
      if (count !== undefined) this.#reader.push(this.#chunk.subarray(0, count), (found) => packets.push(found));
      if (packets.length > 1) throw new ProtocolError("two packets where one was asked for");
      if (packets.length === 1) return packets[0];
      if (count === undefined && !pause(end, spinUntil)) return undefined;
    }
  }

  /** A process that computes looks at nothing but its own clock. */
  interrupt(): boolean {
    return false;
  }

  hold(): void {
    this.#child.ref();
    this.#pipe.ref();
  }

  release(): void {
    // Whoever closes waits for the end of what was killed.
    if (this.over) return;
    this.#child.unref();
    this.#pipe.unref();
    (this.#child.stderr as Socket | null)?.unref();
  }

  kill(): void {
    this.over = true;
    this.#listener = undefined;
    this.#child.kill("SIGKILL");
    // Until it is gone: whoever closes waits for that.
    this.#child.ref();
    this.#pipe.destroy();
    this.#child.stderr?.destroy();
  }

  #receive(chunk: Buffer): void {
    if (this.over) return;
    try {
      this.#reader.push(chunk, (packet) => this.#listener?.onPacket(packet));
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      const listener = this.#listener;
      this.kill();
      listener?.onLoss({ reason: `it broke the protocol: ${printable(error.message)}`, outOfMemory: false });
    }
  }

  /** The pipe is closed: either the child is gone, and its exit says why, or it is not to be left alone. */
  #endOfPipe(): void {
    this.#child.kill("SIGKILL");
  }

  #lose(loss: Loss): void {
    if (this.over) return;
    this.over = true;
    this.#listener?.onLoss(loss);
  }
}

/** What to run: Node under the system's limits, where there is a shell to set them, and under its permission model. */
function commandLine(config: PlaceConfig, entry: string): [string, ...string[]] {
  const list = (flag: string, paths: readonly string[]): string[] => paths.map((path) => `--${flag}=${path}`);
  const node = [
    process.execPath,
    "--permission",
    ...list("allow-fs-read", [
      entry,
      ...childFiles(),
      ...config.readPaths,
      ...(config.readPaths.length > 0 ? ["/proc/self/fd/", "/proc/self/fdinfo/"] : []),
    ]),
    ...list("allow-fs-write", [...config.writePaths, ...(config.writePaths.length > 0 ? ["/proc/self/fd/"] : [])]),
    `--max-old-space-size=${Math.ceil(config.heapBytes / MIB)}`,
    "--no-warnings",
    "--disable-sigusr1",
    "--disable-proto=delete",
    entry,
  ];
  if (process.platform === "win32") return node as [string, ...string[]];
  // No core dumps either: an engine that runs out of memory aborts.
  const script = `ulimit -c 0; ulimit -d ${Math.ceil(config.dataBytes / KIB)}; exec "$@"`;
  return ["/bin/sh", "-c", script, "sh", ...node];
}

function explain(code: number | null, signal: NodeJS.Signals | null, stderr: string): Loss {
  const outOfMemory = /out of memory|OutOfMemory|Cannot allocate memory|std::bad_alloc/i.test(stderr);
  const ended = signal === null ? `it exited with code ${code}` : `it was ended by ${signal}`;
  const said = stderr.trim() === "" ? "" : `; it said: ${printable(stderr.trim())}`;
  return { reason: ended + said, outOfMemory };
}

/** The descriptor under a socket; there is no public way to it. */
function descriptorOf(socket: Socket): number | undefined {
  const { _handle: handle } = socket as unknown as { readonly _handle?: { readonly fd?: unknown } };
  return typeof handle?.fd === "number" && handle.fd >= 0 ? handle.fd : undefined;
}

/** What a system call that may not block gave; undefined if it would have blocked. */
function attempt(work: () => number): number | undefined {
  const { stackTraceLimit } = Error;
  // Most attempts fail, and a stack would cost more than the call.
  Error.stackTraceLimit = 0;
  try {
    return work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "EAGAIN" || code === "EWOULDBLOCK") return undefined;
    return 0;
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

const nap = new Int32Array(new SharedArrayBuffer(4));

/** Waits for a moment; false if the time is over. */
function pause(end: number, spinUntil: number): boolean {
  const now = performance.now();
  if (now >= end) return false;
  if (now > spinUntil) Atomics.wait(nap, 0, 0, POLL_MS);
  return true;
}
