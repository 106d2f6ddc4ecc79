// What lies in or happens to a granted folder besides what guests do: pipes, devices, other programs, the kernel's folders.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { closeSync, openSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { type Server, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import { Worker } from "node:worker_threads";

import { isMortiseError } from "../../src/api/errors.ts";
import { closeFolders, openFolders } from "../../src/wasi/granted-folders.ts";
import { resolveWasi } from "../../src/wasi/options.ts";
import { type MortiseGuest, OUT, READ, errnoName, instanceOf, mortiseGuest } from "./guest.ts";
import { hostFolder } from "./host-folder.ts";

const linux = { skip: process.platform !== "linux" };

/** Runs with a guest that has one folder. */
function withGuest(path: string, work: (guest: MortiseGuest) => void): void {
  const guest = mortiseGuest({}, { [path]: "/data" });
  try {
    work(guest);
  } finally {
    guest.close();
  }
}

const descriptorsOfProcess = (): number => readdirSync("/proc/self/fd").length;

test("path_open does not open pipes, and does not wait for their other end", linux, () => {
  using folder = hostFolder();
  execFileSync("mkfifo", [join(folder.path, "pipe")]);
  withGuest(folder.path, (guest) => {
    for (const rights of [2n, 64n, 66n, 0n]) assert.equal(errnoName(guest.open("pipe", { rights })), "notcapable");
    assert.equal(errnoName(guest.open("pipe", { oflags: 1 | 8 })), "notcapable");
    assert.deepEqual(guest.stat("pipe"), { type: 0, links: 1n, size: 0n });
    assert.deepEqual(guest.list(3), [".:3", "..:3", "pipe:0"]);
    assert.equal(guest.path("path_unlink_file", "pipe"), 0);
  });
});

test("path_open does not open devices", linux, (context) => {
  using folder = hostFolder();
  try {
    execFileSync("mknod", [join(folder.path, "zero"), "c", "1", "5"], { stdio: "ignore" });
  } catch {
    context.skip("this user may not make devices");
    return;
  }
  withGuest(folder.path, (guest) => {
    assert.equal(errnoName(guest.openRead("zero")), "notcapable");
    assert.deepEqual(guest.list(3), [".:3", "..:3", "zero:2"]);
  });
});

test("path_open does not open sockets", linux, async () => {
  using folder = hostFolder();
  const server = await new Promise<Server>((resolve) => {
    const listening = createServer().listen(join(folder.path, "socket"), () => resolve(listening));
  });
  try {
    withGuest(folder.path, (guest) => assert.equal(errnoName(guest.openRead("socket")), "notcapable"));
  } finally {
    server.close();
  }
});

test("resolveWasi() does not grant the kernel's folders, and a granted root does not lead to them", linux, () => {
  for (const path of ["/proc", "/proc/self", "/sys"]) {
    assert.throws(
      () => openFolders({ [path]: "/data" }, []),
      (error) => isMortiseError(error) && error.code === "MORTISE_BAD_MOUNT",
    );
  }
  withGuest("ro:/", (guest) => {
    assert.equal(errnoName(guest.content("proc/self/status")), "notcapable");
    assert.equal(errnoName(guest.content("proc/self/root/etc/passwd")), "notcapable");
    assert.equal(errnoName(guest.openRead("proc")), "notcapable");
    assert.ok((guest.stat("etc/passwd") as { size: bigint }).size > 0n);
  });
});

test("a mount stays the folder that it was when other programs move or remove it", linux, () => {
  using folder = hostFolder({ "../other/file.txt": "other", "file.txt": "inside" });
  withGuest(folder.path, (guest) => {
    renameSync(folder.path, join(folder.outside, "moved"));
    symlinkSync("other", folder.path);
    assert.equal(guest.content("file.txt"), "inside");
    rmSync(join(folder.outside, "moved"), { recursive: true });
    assert.equal(errnoName(guest.content("file.txt")), "noent");
    assert.equal(errnoName(guest.open("new.txt", { oflags: 1 })), "noent");
    assert.deepEqual(guest.list(3), [".:3", "..:3"]);
  });
});

test("a mount that was closed is refused, also when its descriptor has come to mean another folder", linux, () => {
  using folder = hostFolder({ "../other/file.txt": "other", "file.txt": "inside" });
  const folders = openFolders({ [folder.path]: "/data" }, []);
  const guest = instanceOf({ ...resolveWasi(), folders });
  assert.equal(guest.content("file.txt"), "inside");
  closeFolders(folders);
  const other = openSync(join(folder.outside, "other"), "r");
  try {
    assert.equal(folders[0]?.mount.root.path, `/proc/self/fd/${other}`, "the number was not used again");
    assert.equal(errnoName(guest.content("file.txt")), "badf");
    assert.equal(errnoName(guest.list(3)), "badf");
    assert.equal(errnoName(guest.open("new.txt", { oflags: 1 })), "badf");
  } finally {
    closeSync(other);
    guest.close();
  }
});

test("fd_readdir lists ten thousand names, each once, while others come and go", () => {
  using folder = hostFolder();
  const names = Array.from({ length: 10_000 }, (_, index) => `file-${index}`);
  for (const name of names) writeFileSync(join(folder.path, name), "");
  withGuest(folder.path, (guest) => {
    const fd = guest.openRead(".");
    const seen: string[] = [];
    let cookie = 0n;
    for (let round = 0; ; round++) {
      assert.equal(guest.run("fd_readdir", fd, OUT + 8, 8192, cookie, OUT), 0);
      const used = guest.view.getUint32(OUT, true);
      for (let at = OUT + 8; at + 24 <= OUT + 8 + used;) {
        const length = guest.view.getUint32(at + 16, true);
        if (at + 24 + length > OUT + 8 + used) break;
        seen.push(guest.text(at + 24, length));
        cookie = guest.view.getBigUint64(at, true);
        at += 24 + length;
      }
      if (used < 8192) break;
      writeFileSync(join(folder.path, `late-${round}`), "");
      rmSync(join(folder.path, `late-${round - 3}`), { force: true });
    }
    assert.deepEqual(seen.filter((name) => name.startsWith("file-")).toSorted(), names.toSorted());
    assert.equal(new Set(seen).size, seen.length);
  });
});

test("fd_readdir keeps nothing of the process open: not at the end, not for older listings, not after closing", linux, () => {
  using folder = hostFolder({ "many/": "" });
  for (let index = 0; index < 600; index++) writeFileSync(join(folder.path, "many", `file-${index}`), "");
  withGuest(folder.path, (guest) => {
    const before = descriptorsOfProcess();
    const opened = Array.from({ length: 10 }, () => guest.openRead("many"));
    for (const fd of opened) assert.equal(guest.run("fd_readdir", fd, OUT + 8, 100, 0n, OUT), 0);
    // A listing each for the last four.
    assert.equal(descriptorsOfProcess() - before, 10 + 4);
    assert.equal((guest.list(opened[9] as number) as string[]).length, 602);
    assert.equal(descriptorsOfProcess() - before, 10 + 3);
    for (const fd of opened) assert.equal(guest.run("fd_close", fd), 0);
    assert.equal(descriptorsOfProcess(), before);
  });
});

/** Two things that take turns at being called `name`, as fast as another thread can rename them. */
const FLIP = `
  const { renameSync } = require("node:fs");
  const { workerData: { path, name, other, stop } } = require("node:worker_threads");
  while (Atomics.load(stop, 0) === 0) {
    for (const [from, to] of [[name, "aside"], [other, name], ["aside", other]]) renameSync(path + "/" + from, path + "/" + to);
    Atomics.add(stop, 1, 1);
  }
`;

/** Runs while two names are swapped by another thread, until both were seen. */
async function whileFlipping(path: string, name: string, other: string, look: () => unknown, wanted: readonly unknown[]): Promise<Set<unknown>> {
  const stop = new Int32Array(new SharedArrayBuffer(8));
  const worker = new Worker(FLIP, { eval: true, workerData: { path, name, other, stop } });
  const seen = new Set<unknown>();
  try {
    for (let round = 0; round < 300_000 && !(round > 4000 && wanted.every((item) => seen.has(item))); round++) seen.add(look());
  } finally {
    Atomics.store(stop, 0, 1);
    await new Promise((resolve) => worker.once("exit", resolve));
  }
  assert.ok(Atomics.load(stop, 1) > 0, "nothing was swapped");
  return seen;
}

const RACES: Readonly<Record<string, string>> = {
  "a folder and a link that leads out": "../outside",
  "a folder and an absolute link": "/",
};

for (const [what, link] of Object.entries(RACES)) {
  test(`path_open never reads outside while another thread swaps ${what}`, linux, async () => {
    using folder = hostFolder({ "../outside/file.txt": "outside", "place/file.txt": "inside", other: { link } });
    const guest = mortiseGuest({}, { [folder.path]: "/data" });
    try {
      const seen = await whileFlipping(folder.path, "place", "other", () => errnoName(guest.content("place/file.txt")), ["inside", "notcapable"]);
      assert.deepEqual(
        [...seen].filter((item) => !["inside", "notcapable", "noent", "inval"].includes(item as string)),
        [],
      );
    } finally {
      guest.close();
    }
  });
}

test("path_open never reads outside while another thread swaps a file and a link", linux, async () => {
  using folder = hostFolder({ "../outside.txt": "outside", "place.txt": "inside", other: { link: "../outside.txt" } });
  const guest = mortiseGuest({}, { [folder.path]: "/data" });
  try {
    const seen = await whileFlipping(folder.path, "place.txt", "other", () => errnoName(guest.content("place.txt")), ["inside", "notcapable"]);
    assert.deepEqual(
      [...seen].filter((item) => !["inside", "notcapable", "noent", "inval"].includes(item as string)),
      [],
    );
  } finally {
    guest.close();
  }
});

test("path_open never creates outside while another thread swaps a folder and a link", linux, async () => {
  using folder = hostFolder({ "../outside/": "", "place/": "", other: { link: "../outside" } });
  const guest = mortiseGuest({}, { [folder.path]: { guest: "/data", maxBytes: Number.POSITIVE_INFINITY } });
  let made = 0;
  try {
    await whileFlipping(
      folder.path,
      "place",
      "other",
      () => {
        const fd = guest.open(`place/file-${made++ % 1000}`, { oflags: 1 });
        if (fd >= 0) guest.run("fd_close", fd);
        return errnoName(Math.min(fd, 0));
      },
      ["success", "notcapable"],
    );
    assert.deepEqual(readdirSync(join(folder.outside, "outside")), []);
  } finally {
    guest.close();
  }
});

test("path_open never waits while another thread swaps a file and a pipe", linux, async () => {
  using folder = hostFolder({ "place.txt": "inside" });
  execFileSync("mkfifo", [join(folder.path, "other")]);
  const guest = mortiseGuest({}, { [folder.path]: "/data" });
  try {
    const seen = await whileFlipping(folder.path, "place.txt", "other", () => errnoName(guest.content("place.txt")), ["inside", "notcapable"]);
    assert.deepEqual(
      [...seen].filter((item) => !["inside", "notcapable", "noent"].includes(item as string)),
      [],
    );
  } finally {
    guest.close();
  }
});

test("an exhausted stack loses no descriptor and no count", linux, () => {
  using folder = hostFolder({ "folder/deep/file.txt": "inside" });
  withGuest(folder.path, (guest) => {
    const path = guest.put("folder/deep/file.txt");
    const before = descriptorsOfProcess();
    let opened = 0;
    let exhausted = 0;
    // Calls at every depth from the deepest up.
    const dive = (): void => {
      try {
        dive();
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
      }
      if (opened > 50) return;
      try {
        if (guest.start("path_open", 3, 0, ...path, 0, READ, 0n, 0, OUT) === 0) {
          opened++;
          guest.run("fd_close", guest.view.getUint32(OUT, true));
        }
      } catch (error) {
        if (!(error instanceof RangeError)) throw error;
        exhausted++;
      }
    };
    dive();
    assert.ok(opened > 50 && exhausted > 0, `opened ${opened}, exhausted ${exhausted}`);
    // What was opened where fd_close then had no room is still in the table, and goes with it.
    guest.wasi.close();
    assert.equal(descriptorsOfProcess(), before);
  });
});
