// What is written in C against a C library: a program, here and on Node's own preview 1, and a plugin.

import assert from "node:assert/strict";
import { existsSync, openSync, closeSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { loadPlugin } from "../../src/index.ts";
import { WASI_MODULE } from "../../src/wasi/functions.ts";
import { type PathGrant, type WasiOptions, resolveWasi } from "../../src/wasi/options.ts";
import { createWasi } from "../../src/wasi/wasi.ts";
import { hostFolder } from "./host-folder.ts";

// It warns that it is an experiment, which is not news here.
process.removeAllListeners("warning");
const { WASI } = await import("node:wasi");

const module = new WebAssembly.Module(readFileSync(join(import.meta.dirname, "../../guests/prebuilt/wasi_tour.c.wasm")));

class Exit extends Error {
  readonly code: number;
  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

interface Run {
  readonly code: number;
  readonly out: string;
  readonly error: string;
}

/** Runs the program as a process would. */
function run(options: WasiOptions, paths: Readonly<Record<string, PathGrant>>): Run {
  const texts = { out: "", error: "" };
  const take = (name: keyof typeof texts) => (bytes: Uint8Array) => {
    texts[name] += new TextDecoder().decode(bytes);
  };
  const grants = resolveWasi({ ...options, stdout: take("out"), stderr: take("error") }, paths);
  let instance: WebAssembly.Instance | undefined = undefined;
  const wasi = createWasi(grants, {
    memory: () => (instance as unknown as WebAssembly.Instance).exports["memory"] as WebAssembly.Memory,
    exit: (code) => {
      throw new Exit(code);
    },
    charge: () => {},
    timeLeftMs: () => 10_000,
    canSuspend: () => false,
  });
  instance = new WebAssembly.Instance(module, { [WASI_MODULE]: wasi.functions });
  let code = 0;
  try {
    (instance.exports["_start"] as () => void)();
  } catch (error) {
    if (!(error instanceof Exit)) throw error;
    code = error.code;
  }
  wasi.close();
  grants.close();
  return { code, ...texts };
}

/** The same on Node's own preview 1. */
function runPeer(args: readonly string[], env: Record<string, string>, input: string, folder: string, files: string): Run {
  const names = ["in", "out", "error"].map((name) => join(files, name));
  writeFileSync(names[0] as string, input);
  const [stdin, stdout, stderr] = names.map((name, index) => openSync(name, index === 0 ? "r" : "w")) as [number, number, number];
  const preopens = { "/data": folder };
  const wasi = new WASI({ version: "preview1", args: [...args], env, preopens, stdin, stdout, stderr, returnOnExit: true });
  const instance = new WebAssembly.Instance(module, { [WASI_MODULE]: wasi.wasiImport as WebAssembly.ModuleImports });
  const code = wasi.start(instance);
  for (const descriptor of [stdin, stdout, stderr]) closeSync(descriptor);
  return { code, out: readFileSync(names[1] as string, "utf8"), error: readFileSync(names[2] as string, "utf8") };
}

const ARGS = ["tour", "/data", "7"];
const ENV = { LANG: "C", HOME: "/data" };
const INPUT = "first\nsecond line\n";

const EXPECTED = `argument 0: tour
argument 1: /data
argument 2: 7
environment: LANG=C
environment: HOME=/data
input 1: first
input 2: second line
read back: line 2
size: 28
cut to: 6
link: made/moved.txt
.: . .. made short
made: . .. moved.txt
through the link: line 1
.: . ..
/etc/passwd: No such file or directory
slept: yes
`;

test("a C program uses arguments, environment, input, files, folders, links and sleep", () => {
  using folder = hostFolder();
  assert.deepEqual(run({ args: ARGS, env: ENV, stdin: INPUT }, { [folder.path]: "/data" }), { code: 7, out: EXPECTED, error: "done\n" });
  assert.deepEqual(readdirSync(folder.path), []);
});

test("a C program does the same with files in memory", () => {
  const result = run({ args: ["tour", "/data"], files: { "/data/x": "" } }, {});
  assert.equal(
    result.out,
    EXPECTED.replace(/argument 2[^]*second line\n/, "")
      .replaceAll("made short", "made short x")
      .replace(".: . ..\n", ".: . .. x\n"),
  );
});

test("a C program does the same on Node's own preview 1, which lists neither . nor ..", () => {
  using folder = hostFolder();
  const peer = runPeer(ARGS, ENV, INPUT, folder.path, folder.outside);
  assert.deepEqual(peer, { code: 7, out: EXPECTED.replaceAll(": . ..", ":"), error: "done\n" });
});

test("a C program that was granted nothing is told so by its library", () => {
  const result = run({ args: ["tour", "/data"] }, {});
  assert.deepEqual(result.out.split("\n"), [
    "argument 0: tour",
    "argument 1: /data",
    "/data: No such file or directory",
    "/etc/passwd: No such file or directory",
    "slept: yes",
    "",
  ]);
});

test("a C program in a read-only folder is told so by its library", () => {
  using folder = hostFolder({ "kept.txt": "kept" });
  const result = run({ args: ["tour", "/data"] }, { [`ro:${folder.path}`]: "/data" });
  assert.match(result.out, /^notes\.txt: Read-only file system$/m);
  assert.ok(!existsSync(join(folder.path, "notes.txt")));
});

test("a C program that is over its quota is told so by its library", () => {
  using folder = hostFolder();
  const result = run({ args: ["tour", "/data"] }, { [folder.path]: { guest: "/data", maxBytes: 4096 } });
  assert.match(result.out, /^mkdir: No space left on device$/m);
});

const JOURNAL = join(import.meta.dirname, "../../guests/prebuilt/wasi_journal.c.wasm");

test("a plugin in C keeps a file in a granted folder, across instances and within its quota", async () => {
  using folder = hostFolder();
  const options = { permissions: { paths: { [folder.path]: { guest: "/journal", maxBytes: 4096 + 20 } } } };
  for (const [round, expected] of ["1", "2"].entries()) {
    await using plugin = await loadPlugin(JOURNAL, options);
    assert.equal((await plugin.call("append", `entry ${round}`)).text(), expected);
  }
  assert.equal(readFileSync(join(folder.path, "log.txt"), "utf8"), "entry 0\nentry 1\n");
  await using plugin = await loadPlugin(JOURNAL, { permissions: { paths: { [folder.path]: { guest: "/journal", maxBytes: 20 } } } });
  await assert.rejects(plugin.call("append", "x".repeat(30)), /Cannot write the log: No space left on device/);
});

test("a plugin in C finds no folder that it was not granted", async () => {
  await using plugin = await loadPlugin(JOURNAL);
  await assert.rejects(plugin.call("append", "entry"), /Cannot open the log: No such file or directory/);
});

test("a plugin in C may only read a folder that was granted for reading", async () => {
  using folder = hostFolder({ "log.txt": "kept\n" });
  await using plugin = await loadPlugin(JOURNAL, { permissions: { paths: { [`ro:${folder.path}`]: "/journal" } } });
  await assert.rejects(plugin.call("append", "entry"), /Cannot open the log: Read-only file system/);
  assert.equal(readFileSync(join(folder.path, "log.txt"), "utf8"), "kept\n");
});
