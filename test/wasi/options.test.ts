// What users may grant, and what is refused when a plugin is loaded.

import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { isMortiseError } from "../../src/api/errors.ts";
import { openFolders } from "../../src/wasi/granted-folders.ts";
import { type PathGrant, type WasiOptions, resolveWasi } from "../../src/wasi/options.ts";
import { hostFolder } from "./host-folder.ts";

/** What an error says of the option. */
function optionOf(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    if (isMortiseError(error)) return error.code === "MORTISE_INVALID_OPTION" ? error.details["option"] : error.code;
    throw error;
  }
  return "accepted";
}

const clock = { realtimeNs: () => 0n, monotonicNs: () => 0n, block: () => {} };

const REFUSED: readonly (readonly [options: unknown, option: string])[] = [
  [null, "wasi"],
  [[], "wasi"],
  [{ argz: [] }, "wasi.argz"],
  [{ args: "a" }, "wasi.args"],
  [{ args: ["a", 1] }, "wasi.args[1]"],
  [{ args: ["a\0b"] }, "wasi.args[0]"],
  [{ env: ["A=1"] }, "wasi.env"],
  [{ env: { A: 1 } }, "wasi.env.A"],
  [{ env: { "A=B": "" } }, "wasi.env.A=B"],
  [{ env: { "": "" } }, "wasi.env."],
  [{ env: { A: "\0" } }, "wasi.env.A"],
  [{ clock: "fine" }, "wasi.clock"],
  [{ stdin: 1 }, "wasi.stdin"],
  [{ stdin: {} }, "wasi.stdin"],
  [{ stdout: "log" }, "wasi.stdout"],
  [{ stderr: {} }, "wasi.stderr"],
  [{ random: 4 }, "wasi.random"],
  [{ outputBytes: -1 }, "wasi.outputBytes"],
  [{ outputBytes: 1.5 }, "wasi.outputBytes"],
  [{ fileBytes: "1" }, "wasi.fileBytes"],
  [{ terminal: 1 }, "wasi.terminal"],
  [{ descriptors: 5000 }, "wasi.descriptors"],
  [{ descriptors: Number.NaN }, "wasi.descriptors"],
  [{ now: {} }, "wasi.now.realtimeNs"],
  [{ now: { ...clock, block: 1 } }, "wasi.now.block"],
  [{ files: [] }, "wasi.files"],
  [{ files: { "/a": 1 } }, 'wasi.files["/a"]'],
  [{ files: { a: "" } }, 'wasi.files["a"]'],
  [{ files: { "/": "" } }, 'wasi.files["/"]'],
  [{ files: { "/a/": "" } }, 'wasi.files["/a/"]'],
  [{ files: { "/a//b": "" } }, 'wasi.files["/a//b"]'],
  [{ files: { "/a/../b": "" } }, 'wasi.files["/a/../b"]'],
  [{ files: { "/./a": "" } }, 'wasi.files["/./a"]'],
  [{ files: { "/a\0": "" } }, 'wasi.files["/a\0"]'],
  [{ files: { [`/${"x".repeat(256)}`]: "" } }, `wasi.files["/${"x".repeat(256)}"]`],
  [{ files: { "/a": "", "/a/b": "" } }, 'wasi.files["/a/b"]'],
];

for (const [options, option] of REFUSED) {
  test(`resolveWasi() refuses ${JSON.stringify(options).slice(0, 60)}`, () => {
    assert.equal(
      optionOf(() => resolveWasi(options as WasiOptions)),
      option,
    );
  });
}

test("resolveWasi() accepts every option, and none", () => {
  const all: Required<WasiOptions> = {
    args: ["a"],
    env: { A: "b=c" },
    clock: "precise",
    stdin: "text",
    stdout: () => {},
    stderr: () => {},
    outputBytes: Number.POSITIVE_INFINITY,
    terminal: true,
    files: { "/a": "", "/b/c": new Uint8Array(1) },
    fileBytes: 0,
    descriptors: 0,
    random: () => {},
    now: clock,
  };
  resolveWasi(all).close();
  resolveWasi().close();
  resolveWasi({}, {}).close();
});

const REFUSED_PATHS: readonly (readonly [grant: unknown, option: RegExp | string])[] = [
  [1, /^permissions\.paths\["[^"]+"\]$/],
  ["", /paths/],
  ["/a/../b", /paths/],
  ["a\0", /paths/],
  [{ guest: "/a", acces: "read-only" }, /\.acces$/],
  [{ guest: "/a", access: "all" }, /\.access$/],
  [{ guest: "/a", maxBytes: -1 }, /\.maxBytes$/],
  [{ guest: "/a", maxBytes: "1" }, /\.maxBytes$/],
  [{}, /paths/],
];

for (const [grant, option] of REFUSED_PATHS) {
  test(`resolveWasi() refuses to grant a folder as ${JSON.stringify(grant)}`, () => {
    using folder = hostFolder();
    assert.match(String(optionOf(() => resolveWasi({}, { [folder.path]: grant as PathGrant }))), new RegExp(option));
  });
}

test("resolveWasi() refuses folders that are not there, are no folders, or contradict each other, and keeps none open", () => {
  using folder = hostFolder({ "file.txt": "" });
  const count = (): number => (process.platform === "linux" ? readdirSync("/proc/self/fd").length : 0);
  const before = count();
  const file = join(folder.path, "file.txt");
  const cases: readonly (readonly [paths: Record<string, PathGrant>, expected: string])[] = [
    [{ [folder.path]: "/a", [join(folder.path, "nope")]: "/b" }, "MORTISE_BAD_MOUNT"],
    [{ [folder.path]: "/a", [file]: "/b" }, "MORTISE_BAD_MOUNT"],
    [{ [folder.path]: "/a", [join(file, "x")]: "/b" }, "MORTISE_BAD_MOUNT"],
    [{ [folder.path]: "/a", [folder.outside]: "/a" }, `permissions.paths["${folder.outside}"]`],
    [{ [folder.path]: "/" }, `permissions.paths["${folder.path}"]`],
    [{ "": "/a" }, "permissions.paths"],
    [{ "ro:": "/a" }, "permissions.paths"],
    [{ [`ro:${folder.path}`]: { guest: "/a", access: "read-write" } }, `permissions.paths["ro:${folder.path}"].access`],
  ];
  for (const [paths, expected] of cases)
    assert.equal(
      optionOf(() => resolveWasi({ files: { "/x": "" } }, paths)),
      expected,
    );
  assert.equal(count(), before);
});

test("MORTISE_BAD_MOUNT says why", () => {
  using folder = hostFolder({ "file.txt": "" });
  const message = (path: string, handles?: string): string => {
    try {
      openFolders({ [path]: "/a" }, [], handles);
    } catch (error) {
      return (error as Error).message;
    }
    return "";
  };
  assert.equal(message(join(folder.path, "nope")), `Cannot grant the folder "${folder.path}/nope": it does not exist`);
  assert.equal(message(join(folder.path, "file.txt")), `Cannot grant the folder "${folder.path}/file.txt": it is not a folder`);
  assert.equal(message(folder.path, "granting folders needs /proc"), `Cannot grant the folder "${folder.path}": granting folders needs /proc`);
});

test("resolveWasi() copies what it is given", () => {
  const content = new Uint8Array([0x61]);
  const grants = resolveWasi({ files: { "/a": content } });
  content[0] = 0x62;
  const file = grants.files?.lookup("a")?.open({ read: true, write: false, truncate: false });
  const target = new Uint8Array(4);
  assert.equal(file?.read(target, 1, 3, 0), 1);
  assert.deepEqual([...target], [0, 0x61, 0, 0]);
});
