// A child process, or a thread, that is in its guest's hands: loads anything, and on a call does what the plugin's name
// says instead of what it was told.

import { spawnSync } from "node:child_process";
import { closeSync, openSync, readFileSync, readSync, readdirSync, writeFileSync, writeSync } from "node:fs";
import { Worker, isMainThread, receiveMessageOnPort, workerData } from "node:worker_threads";

import { FrameReader, toFrame } from "../../src/isolation/frame.ts";
import type { ThreadStart } from "../../src/isolation/thread-shared.ts";

type Header = Readonly<Record<string, unknown>>;

const PIPE = 3;
const DONE = { type: "done", fuel: 0, inputBytes: 0, memoryBytes: 0, droppedLogs: 0, poisoned: false };
const forever = (): void => void Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);

const queue: Header[] = [];
const reader = isMainThread ? new FrameReader(2 ** 40, 2 ** 40) : undefined;
const start = workerData as ThreadStart | null;

function send(header: object, sections: readonly Uint8Array<ArrayBuffer>[] = []): void {
  if (start !== null) {
    start.port.postMessage([JSON.stringify(header), ...sections], []);
    Atomics.add(start.words, 1, 1);
    Atomics.notify(start.words, 1);
  } else for (const piece of toFrame(header, sections)) write(piece);
}

function write(bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length;) at += writeSync(PIPE, bytes, at);
}

function receive(): Header {
  for (;;) {
    const header = queue.shift();
    if (header !== undefined) return header;
    if (start !== null) {
      const sent = Atomics.load(start.words, 0);
      const received: { message: [string] } | undefined = receiveMessageOnPort(start.port);
      if (received === undefined) Atomics.wait(start.words, 0, sent);
      else queue.push(JSON.parse(received.message[0]) as Header);
    } else {
      const chunk = new Uint8Array(1 << 16);
      const count = readSync(PIPE, chunk);
      if (count === 0) process.exit(0);
      reader?.push(chunk.subarray(0, count), (packet) => queue.push(packet.header as Header));
    }
  }
}

const bytes = (...words: number[]): Uint8Array => new Uint8Array(Uint32Array.from(words).buffer);
const host = { type: "host", id: 1, index: 0, values: ["5n"] };

/** Ways out of a process, and what of its parent it might see. */
const ESCAPES: Readonly<Record<string, () => unknown>> = {
  "read a file": () => readFileSync("/etc/passwd", "utf8"),
  "read the parent's environment": () => readFileSync(`/proc/${process.ppid}/environ`, "utf8"),
  "read its own memory": () => openSync("/proc/self/mem", "r"),
  "list a folder": () => readdirSync("/"),
  "write a file": () => writeFileSync("/tmp/mortise-escape", "x"),
  "write its own code": () => writeFileSync(new URL(import.meta.url), "x"),
  "start a program": () => spawnSync("/bin/true").error,
  "start a thread": () => new Worker("1", { eval: true }),
  "load an addon": () => process.dlopen({ exports: {} }, "/tmp/x.node"),
  "change its prototypes": () => Object.hasOwn(Object.prototype, "__proto__"),
  "use memory": () => Array.from({ length: 24 }, () => new ArrayBuffer(64 << 20)).length,
  environment: () => Object.keys(process.env).filter((name) => !["PWD", "SHLVL", "_", "OLDPWD"].includes(name)),
  folder: () => process.cwd(),
  flags: () => process.execArgv.filter((flag) => /^--?(import|inspect|require|conditions|test|loader|r|C)/.test(flag)),
};

/** What a child does when it is called, by the plugin's name. */
const DEEDS: Readonly<Record<string, (call: Header) => void>> = {
  exit: () => process.exit(3),
  "exit-in-frame": () => {
    write(bytes(100, 0, 0x2222_2222));
    process.exit(0);
  },
  kill: () => void process.kill(process.pid, "SIGKILL"),
  abort: () => process.abort(),
  throw: () => {
    throw new Error("a defect");
  },
  "out-of-memory": () => {
    const kept: unknown[] = [];
    for (;;) kept.push(Array.from({ length: 10_000 }, (_, index) => ({ index })));
  },
  complain: () => {
    for (let line = 0; line < 10_000; line++) writeSync(2, `complaint ${line} \u001b[2J\n`);
    process.exit(1);
  },
  "close-pipe": () => {
    closeSync(PIPE);
    forever();
  },
  silent: forever,
  garbage: () => write(new Uint8Array(1 << 20).fill(0x5a)),
  "huge-header": () => write(bytes(0xffff_ffff, 0)),
  "many-sections": () => write(bytes(2, 0xffff_ffff)),
  "huge-section": () => write(Buffer.concat([bytes(2, 1, 0xffff_ffff), Buffer.from("{}")])),
  "no-json": () => write(Buffer.concat([bytes(3, 0), Buffer.from("{]}")])),
  "no-text": () => write(Buffer.concat([bytes(3, 0), Buffer.from([0x22, 0xff, 0x22])])),
  "no-object": () => send([1, 2]),
  "no-type": () => send({}),
  "type-of-prototype": () => send({ type: "toString" }),
  "another-order": ({ id }) => send({ ...DONE, id: (id as number) + 1 }),
  "booted-again": () => send({ type: "booted" }),
  "unasked-result": () => send({ type: "result", value: 1 }),
  "negative-fuel": ({ id }) => send({ ...DONE, id, fuel: -1 }),
  "text-for-memory": ({ id }) => send({ ...DONE, id, memoryBytes: "1" }),
  "missing-output": ({ id }) => send({ ...DONE, id, output: true }),
  "surplus-section": ({ id }) => send({ ...DONE, id }, [new Uint8Array(1)]),
  "large-output": ({ id }) => send({ ...DONE, id, output: true }, [new Uint8Array(1001)]),
  "unknown-error": ({ id }) => send({ ...DONE, id, error: { code: "toString", details: {} } }),
  "error-without-details": ({ id }) => send({ ...DONE, id, error: { code: "MORTISE_TRAP" } }),
  "unknown-function": () => send({ ...host, index: 2 }),
  "service-of-few-values": () => send({ ...host, index: 1 }),
  "service-of-a-number": () => send({ ...host, index: 1, values: [5, 1] }),
  "service-of-a-wide-number": () => send({ ...host, index: 1, values: ["99999999999999999999n", 1] }),
  "service-of-a-fraction": () => send({ ...host, index: 1, values: ["5n", 1.5] }),
  "function-of-prototype": () => send({ ...host, index: "constructor" }),
  "no-number": () => send({ ...host, values: ["five"] }),
  "block-of-no-argument": () => send({ ...host, blocks: [7] }, [new Uint8Array(1)]),
  "two-questions": () => {
    send({ ...host, index: 1 - 1 });
    send({ ...host, id: 2 });
  },
  "http-unasked": () => send({ type: "http", id: 1, timeoutMs: 1 }, [new Uint8Array(1)]),
  "log-flood": () => {
    for (;;) send({ type: "log", level: 2, message: "x".repeat(1000) });
  },
  "log-level": () => send({ type: "log", level: 9, message: "x" }),
  "variable-flood": ({ id }) => send({ ...DONE, id, variables: [["v", 1]] }, [new Uint8Array(5000)]),
  "variable-of-nothing": ({ id }) => send({ ...DONE, id, variables: [["v", 2]] }),
  "no-answer-to-operation": () => {
    send(host);
    forever();
  },
  "half-answer-to-operation": () => {
    send(host);
    receive();
    write(bytes(100, 0, 0x2222_2222));
    forever();
  },
  "two-answers-to-operation": () => {
    send(host);
    receive();
    const answer = Buffer.concat(toFrame({ type: "result", value: "0n" }, []));
    write(Buffer.concat([answer, answer]));
    forever();
  },
  "done-for-operation": ({ id }) => {
    send(host);
    receive();
    send({ ...DONE, id });
    forever();
  },
  /** Tries the walls, and reports which held. */
  escape: ({ id }) => {
    const held = Object.entries(ESCAPES).map(([what, tryIt]) => {
      try {
        return `${what}: ${JSON.stringify(tryIt())}`;
      } catch (error) {
        return `${what}: ${(error as NodeJS.ErrnoException).code ?? String(error)}`;
      }
    });
    send({ ...DONE, id, error: { code: "MORTISE_GUEST_ERROR", details: { reason: held.join("\n") } } });
  },
  /** Not an attack by itself: what it says must be cut down to what a child may say. */
  forge: ({ id }) => {
    const details = JSON.parse(
      `{"__proto__":{"polluted":1},"constructor":5,"plugin":"another","function":"f","reason":"\\u001b[2J","stack":{"a":1},"trace":[{"function":"x","offset":1,"more":2},5],"Upper":1}`,
    ) as object;
    send({ ...DONE, id, error: { code: "MORTISE_TRAP", details, message: "forged", cause: "forged" }, poisoned: true });
  },
};

send({ type: "booted" });
let name = "";
for (;;) {
  const order = receive();
  if (order["type"] === "load") {
    name = order["name"] as string;
    send({ ...DONE, id: order["id"] });
    // It never reads again, so that the pipe fills up.
    if (name === "deaf") forever();
  } else if (order["type"] === "create") send({ ...DONE, id: order["id"] });
  else if (order["type"] === "call") DEEDS[name]?.(order);
}
