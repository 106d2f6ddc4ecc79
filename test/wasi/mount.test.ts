// A mounted folder by itself: what it refuses even if something before it should fail to, or another program comes between.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { linkSync, readFileSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import type { Entry } from "../../src/wasi/entry.ts";
import { ERRNO } from "../../src/wasi/errno.ts";
import { type HandleKind, linuxHandles, pathHandles } from "../../src/wasi/mount-handles.ts";
import { openMount, mountRoot } from "../../src/wasi/mount.ts";
import { ENTRY_BYTES } from "../../src/wasi/quota.ts";
import { hostFolder } from "./host-folder.ts";

const READ = { read: true, write: false, truncate: false };
const WRITE = { read: true, write: true, truncate: false };
const KINDS: Readonly<Record<string, HandleKind>> = process.platform === "linux" ? { linuxHandles, pathHandles } : { pathHandles };

/** What is there by a name. */
function find(root: Entry, name: string): Entry {
  const entry = root.lookup(name);
  assert.ok(entry !== undefined, name);
  return entry;
}

for (const [kind, handles] of Object.entries(KINDS)) {
  test(`openMount() with ${kind} changes nothing in a folder that is granted for reading`, () => {
    using folder = hostFolder({ "file.txt": "kept", "folder/": "", other: "" });
    const root = mountRoot(openMount(folder.path, handles, true, Number.POSITIVE_INFINITY));
    const file = find(root, "file.txt");
    const changes: Readonly<Record<string, () => unknown>> = {
      open: () => file.open(WRITE),
      truncate: () => file.open({ read: true, write: false, truncate: true }),
      setTimes: () => file.setTimes({ accessedNs: 1n, modifiedNs: 1n }),
      createFile: () => root.createFile("new", WRITE),
      createFolder: () => root.createFolder("new"),
      createLink: () => root.createLink("new", "file.txt"),
      removeFile: () => root.removeFile("file.txt", file),
      removeFolder: () => root.removeFolder("folder", find(root, "folder")),
      rename: () => root.rename("file.txt", file, root, "new", undefined),
    };
    for (const [name, change] of Object.entries(changes)) assert.throws(change, { errno: ERRNO.rofs }, name);
    assert.deepEqual(readdirSync(folder.path).toSorted(), ["file.txt", "folder", "other"]);
    assert.equal(readFileSync(join(folder.path, "file.txt"), "utf8"), "kept");
  });

  test(`createFile() with ${kind} creates nothing through a link that came between`, () => {
    using folder = hostFolder({ "link.txt": { link: "../made.txt" }, "here.txt": { link: "file.txt" }, "file.txt": "kept" });
    const root = mountRoot(openMount(folder.path, handles, false, Number.POSITIVE_INFINITY));
    for (const name of ["link.txt", "here.txt", "file.txt"]) assert.throws(() => root.createFile(name, WRITE), { code: "EEXIST" });
    assert.deepEqual(readdirSync(folder.outside), ["granted"]);
  });

  test(`open() with ${kind} opens what was looked up, or nothing`, () => {
    using folder = hostFolder({ "../secret.txt": "secret", "file.txt": "first", "second.txt": "second", "third.txt": "third" });
    const root = mountRoot(openMount(folder.path, handles, false, Number.POSITIVE_INFINITY));
    const path = join(folder.path, "file.txt");
    const swaps = [
      () => renameSync(join(folder.path, "second.txt"), path),
      () => {
        rmSync(path);
        symlinkSync("../secret.txt", path);
      },
      () => {
        rmSync(path);
        linkSync(join(folder.outside, "secret.txt"), path);
      },
    ];
    for (const swap of swaps) {
      writeFileSync(join(folder.path, "fresh"), "first");
      renameSync(join(folder.path, "fresh"), path);
      const entry = find(root, "file.txt");
      swap();
      let found = "nothing";
      try {
        const target = new Uint8Array(16);
        found = Buffer.from(target.subarray(0, entry.open(READ).read(target, 0, 16, 0))).toString();
      } catch {
        // Also a fine answer.
      }
      assert.equal(found, handles === linuxHandles ? "first" : "nothing");
      entry.close();
    }
  });

  test(`rename() with ${kind} gives nothing back where both names are of one file`, () => {
    using folder = hostFolder();
    const mount = openMount(folder.path, handles, false, Number.POSITIVE_INFINITY);
    const root = mountRoot(mount);
    root.createFile("a", WRITE).close();
    // As on file systems for which "a" and "A" are one name.
    root.rename("a", find(root, "a"), root, "A", find(root, "a"));
    assert.equal(mount.quota.usedBytes, ENTRY_BYTES);
    root.removeFile("A", find(root, "A"));
    assert.equal(mount.quota.usedBytes, 0);
  });
}

test("linuxHandles.sameMount() tells what is mounted inside from what is not", { skip: process.platform !== "linux" }, () => {
  using folder = hostFolder({ "file.txt": "", "folder/file.txt": "", link: { link: "file.txt" } });
  const root = linuxHandles.hold(folder.path);
  const same = (path: string): boolean => {
    const handle = linuxHandles.hold(path);
    try {
      return linuxHandles.sameMount(handle, root);
    } finally {
      handle.close();
    }
  };
  assert.deepEqual(
    ["", "file.txt", "folder/file.txt", "link"].map((name) => same(join(folder.path, name))),
    [true, true, true, true],
  );
  assert.deepEqual(["/proc/version", "/proc/self/status"].map(same), [false, false]);
  root.close();
});

/** Runs in namespaces of its own, where it may mount. */
const IN_NAMESPACE = `
  const { openMount, mountRoot } = await import(process.argv[1]);
  const { linuxHandles } = await import(process.argv[2]);
  const root = mountRoot(openMount(process.argv[3], linuxHandles, true, 0));
  for (const name of ["own.txt", "bound.txt"]) {
    try {
      root.lookup(name).open({ read: true, write: false, truncate: false });
      console.log(name, "opened");
    } catch (error) {
      console.log(name, error.errno);
    }
  }`;
const canMount = process.platform === "linux" && spawnSync("unshare", ["-rm", "mount", "--bind", "/proc/version", "/proc/version"]).status === 0;

test("lookup() refuses a single file of another file system that is mounted inside", { skip: !canMount }, () => {
  using folder = hostFolder({ "own.txt": "", "bound.txt": "" });
  const urls = ["mount.ts", "mount-handles.ts"].map((file) => new URL(`../../src/wasi/${file}`, import.meta.url).href);
  const script = 'mount --bind /proc/version "$1/bound.txt" && exec "$2" --conditions=source --input-type=module -e "$3" "$4" "$5" "$1"';
  const { stdout, stderr } = spawnSync("unshare", ["-rm", "sh", "-c", script, "sh", folder.path, process.execPath, IN_NAMESPACE, ...urls]);
  assert.equal(stdout.toString(), `own.txt opened\nbound.txt ${ERRNO.notcapable}\n`, stderr.toString());
});

test("lookup() takes a file of another device for one of the folder where nothing is mounted, as overlays have it", () => {
  using folder = hostFolder({ "file.txt": "kept", "folder/": "" });
  const otherDevice = (same: boolean): HandleKind => ({
    ...pathHandles,
    hold: (path) => {
      const handle = pathHandles.hold(path);
      return path === folder.path ? handle : { ...handle, stat: Object.assign(handle.stat, { dev: handle.stat.dev + 1n }) };
    },
    sameMount: () => same,
  });
  const names = (same: boolean): unknown[] => {
    const root = mountRoot(openMount(folder.path, otherDevice(same), true, 0));
    return ["file.txt", "folder"].map((name) => {
      try {
        return root.lookup(name)?.type;
      } catch (error) {
        return (error as { errno: unknown }).errno;
      }
    });
  };
  assert.deepEqual([names(true), names(false)], [[4, ERRNO.notcapable], [ERRNO.notcapable, ERRNO.notcapable]]); // prettier-ignore
});

test("pathHandles.open() opens no file whose folder has become a link to another that has the same file", () => {
  using folder = hostFolder({ "../outside/file.txt": "same", "inside/": "" });
  linkSync(join(folder.outside, "outside", "file.txt"), join(folder.path, "inside", "file.txt"));
  const root = mountRoot(openMount(folder.path, pathHandles, false, 0));
  const file = find(find(root, "inside"), "file.txt");
  rmSync(join(folder.path, "inside"), { recursive: true });
  symlinkSync("../outside", join(folder.path, "inside"));
  assert.throws(() => file.open(READ), { errno: ERRNO.stale });
});
