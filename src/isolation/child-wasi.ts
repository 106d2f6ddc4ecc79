// WASI in a child: files and clocks are the child's own, what an operator gave as a function stays with the host.

import type { WasiOptions } from "../wasi/options.ts";
import type { ChildCalls } from "./child-calls.ts";
import type { WireWasi } from "./protocol.ts";
import { fromWire, toWire } from "./wire-values.ts";

type Bytes = string | { readonly base64: string };

/** WASI's options for the wire. `random` and `now` are for tests in the same thread and do not travel. */
export function wasiToWire(options: WasiOptions): WireWasi {
  const { stdin, stdout, stderr, outputBytes, files, fileBytes, random: _random, now: _now, ...plain } = options;
  return {
    ...plain,
    ...(outputBytes === undefined ? {} : { outputBytes: toWire(outputBytes) }),
    ...(fileBytes === undefined ? {} : { fileBytes: toWire(fileBytes) }),
    ...(stdin === undefined ? {} : { stdin: typeof stdin === "string" || stdin instanceof Uint8Array ? bytesToWire(stdin) : true }),
    stdout: stdout !== undefined,
    stderr: stderr !== undefined,
    ...(files === undefined ? {} : { files: Object.fromEntries(Object.entries(files).map(([path, content]) => [path, bytesToWire(content)])) }),
  };
}

/** WASI's options in the child. */
export function childWasi(wire: WireWasi, calls: ChildCalls): WasiOptions {
  const { stdin, stdout, stderr, outputBytes, files, fileBytes, ...plain } = wire;
  return {
    ...plain,
    ...(outputBytes === undefined ? {} : { outputBytes: Number(fromWire(outputBytes)) }),
    ...(fileBytes === undefined ? {} : { fileBytes: Number(fromWire(fileBytes)) }),
    ...(stdin === undefined ? {} : { stdin: stdin === true ? { read: (maxBytes: number) => calls.readInput(maxBytes) } : bytesFromWire(stdin) }),
    ...(stdout ? { stdout: (bytes: Uint8Array) => calls.writeOutput(1, bytes) } : {}),
    ...(stderr ? { stderr: (bytes: Uint8Array) => calls.writeOutput(2, bytes) } : {}),
    ...(files === undefined ? {} : { files: Object.fromEntries(Object.entries(files).map(([path, content]) => [path, bytesFromWire(content)])) }),
  };
}

function bytesToWire(content: string | Uint8Array): Bytes {
  return typeof content === "string" ? content : { base64: Buffer.from(content).toString("base64") };
}

function bytesFromWire(content: Bytes): string | Uint8Array {
  return typeof content === "string" ? content : Uint8Array.from(Buffer.from(content.base64, "base64"));
}
