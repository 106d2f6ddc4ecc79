// The standard streams of this process, as a program that it runs sees them.

import { fstatSync, readSync, writeSync } from "node:fs";
import { isatty } from "node:tty";

/** Exit code of a program that a broken pipe ended, as shells give it: 128 and the number of the signal. */
const BROKEN_PIPE = 141;
/** How long to wait before a full pipe is tried again. */
const FULL_PIPE_MS = 1;
/** Most that is read from a file at once. */
const CHUNK_BYTES = 64 * 1024;
const EMPTY = new Uint8Array(0);

const never = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes to a standard stream at once, whatever it is: returns when the reader has taken the bytes, which is what slows a
 * program down that writes faster than its reader reads. If the reader has gone, the process ends like any other in a
 * pipe; other failures are the program's to handle.
 *
 * @param isLate true if waiting any longer is of no use
 * @throws the error of the system call
 */
export function streamWriter(fd: 1 | 2, isLate: () => boolean): (bytes: Uint8Array) => void {
  return (bytes) => {
    for (let done = 0; done < bytes.length;) {
      try {
        done += writeSync(fd, bytes, done);
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : undefined;
        if (code === "EPIPE") process.exit(BROKEN_PIPE);
        if (code !== "EAGAIN") throw error;
        // Node made the pipe one that does not wait, so that the waiting is up to us.
        if (isLate()) return;
        Atomics.wait(never, 0, 0, FULL_PIPE_MS);
      }
    }
  };
}

/** Standard input that is read as the program asks for it. */
export interface ProcessInput {
  /** Bytes, `maxBytes` at most; none at the end. */
  read(maxBytes: number): Uint8Array | Promise<Uint8Array>;
  /** Waits for nothing any more, so that the process can end. */
  close(): void;
}

/**
 * Standard input of this process. Nothing is read before the program asks, and from a file or device never more than it
 * asks for; what comes through a pipe or from a terminal comes in chunks.
 */
export function openInput(): ProcessInput {
  const stat = fstatSync(0);
  const answersAtOnce = !isatty(0) && (stat.isFile() || stat.isCharacterDevice() || stat.isDirectory());
  return answersAtOnce ? { read: readNow, close: () => {} } : new StreamInput(process.stdin);
}

function readNow(maxBytes: number): Uint8Array {
  const buffer = new Uint8Array(Math.min(maxBytes, CHUNK_BYTES));
  return buffer.subarray(0, readSync(0, buffer));
}

/** A stream that flows only while somebody waits for it. */
class StreamInput implements ProcessInput {
  readonly #stream: NodeJS.ReadStream;
  #rest: Uint8Array = EMPTY;
  #ended = false;
  #started = false;
  #waiting: { resolve(bytes: Uint8Array): void; reject(error: Error): void } | undefined;

  constructor(stream: NodeJS.ReadStream) {
    this.#stream = stream;
  }

  read(maxBytes: number): Uint8Array | Promise<Uint8Array> {
    if (this.#rest.length > 0 || this.#ended) return this.#take(maxBytes);
    return new Promise<Uint8Array>((resolve, reject) => {
      this.#waiting = { resolve: () => resolve(this.#take(maxBytes)), reject };
      this.#start();
      this.#stream.resume();
    });
  }

  close(): void {
    if (!this.#started) return;
    this.#stream.pause();
    this.#stream.unref();
  }

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    this.#stream.on("data", (chunk: Buffer) => {
      this.#stream.pause();
      this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
      this.#answer();
    });
    this.#stream.on("end", () => {
      this.#ended = true;
      this.#answer();
    });
    this.#stream.on("error", (error) => {
      const waiting = this.#waiting;
      this.#waiting = undefined;
      waiting?.reject(error);
    });
  }

  #answer(): void {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    waiting?.resolve(EMPTY);
  }

  #take(maxBytes: number): Uint8Array {
    const taken = this.#rest.subarray(0, maxBytes);
    this.#rest = this.#rest.subarray(taken.length);
    return taken;
  }
}
