// Quotas where other programs, several instances and holes come in.

import assert from "node:assert/strict";
import { linkSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { closeFolders, openFolders } from "../../src/wasi/granted-folders.ts";
import { resolveWasi } from "../../src/wasi/options.ts";
import { ENTRY_BYTES, MAX_ENTRIES, Quota } from "../../src/wasi/quota.ts";
import { type MortiseGuest, errnoName, instanceOf, mortiseGuest } from "./guest.ts";
import { hostFolder } from "./host-folder.ts";

function withFolder(path: string, maxBytes: number, work: (guest: MortiseGuest, quota: Quota, another: () => MortiseGuest) => void): void {
  const folders = openFolders({ [path]: { guest: "/data", maxBytes } }, []);
  const grants = { ...resolveWasi(), folders };
  const guest = instanceOf(grants);
  try {
    work(guest, folders[0]?.mount.quota as Quota, () => instanceOf(grants));
  } finally {
    guest.close();
    closeFolders(folders);
  }
}

/** Creates a file with content. */
function create(guest: MortiseGuest, path: string, content: string): unknown {
  const fd = guest.open(path, { oflags: 1 | 8 });
  if (fd < 0) return errnoName(fd);
  const written = guest.write(fd, content);
  guest.run("fd_close", fd);
  return errnoName(written);
}

test("a quota is the plugin's: instances share it, and one that is closed gives back what it had removed", () => {
  using folder = hostFolder();
  withFolder(folder.path, ENTRY_BYTES + 100, (guest, quota, another) => {
    const other = another();
    const fd = guest.open("a", { oflags: 1 });
    assert.equal(guest.write(fd, "x".repeat(100)), 100);
    assert.equal(create(other, "b", "x"), "nospc");
    assert.equal(other.path("path_unlink_file", "a"), 0);
    assert.equal(create(other, "b", "x"), "nospc");
    guest.close();
    assert.equal(quota.usedBytes, 0);
    assert.equal(create(other, "b", "x"), 1);
    other.close();
    assert.equal(quota.usedBytes, ENTRY_BYTES + 1);
  });
});

test("a quota counts what is written into the holes of a file that was there", { skip: process.platform !== "linux" }, () => {
  using folder = hostFolder({ sparse: "" });
  truncateSync(join(folder.path, "sparse"), 1 << 30);
  withFolder(folder.path, 250, (guest, quota) => {
    const fd = guest.open("sparse");
    assert.deepEqual([guest.write(fd, "x".repeat(100)), guest.write(fd, "x".repeat(100)), quota.usedBytes], [100, 100, 200]);
    guest.run("fd_close", fd);
    const again = guest.open("sparse");
    assert.deepEqual([guest.write(again, "x".repeat(100)), errnoName(guest.write(again, "x"))], [50, "nospc"]);
  });
});

test("a quota is not given back by cutting the end of a file whose holes were filled", { skip: process.platform !== "linux" }, () => {
  using folder = hostFolder({ sparse: "" });
  truncateSync(join(folder.path, "sparse"), 1 << 30);
  withFolder(folder.path, 250, (guest, quota) => {
    const fd = guest.open("sparse");
    assert.equal(guest.write(fd, "x".repeat(200)), 200);
    assert.equal(guest.run("fd_filestat_set_size", fd, 1n << 20n), 0);
    assert.deepEqual([quota.usedBytes, guest.write(fd, "x".repeat(100)), errnoName(guest.write(fd, "x"))], [200, 50, "nospc"]);
    assert.equal(guest.run("fd_filestat_set_size", fd, 0n), 0);
    assert.equal(quota.usedBytes, 0);
  });
});

test("a quota gives nothing back for a file that has another name", () => {
  using folder = hostFolder();
  withFolder(folder.path, ENTRY_BYTES + 10, (guest, quota) => {
    assert.equal(create(guest, "a", "x"), 1);
    linkSync(join(folder.path, "a"), join(folder.outside, "kept"));
    assert.equal(guest.path("path_unlink_file", "a"), 0);
    assert.equal(quota.usedBytes, ENTRY_BYTES + 1);
    assert.equal(create(guest, "b", "x"), "nospc");
  });
});

test("a quota goes on counting what another program removed", () => {
  using folder = hostFolder();
  withFolder(folder.path, 2 * ENTRY_BYTES + 10, (guest, quota) => {
    assert.equal(create(guest, "a", "x"), 1);
    rmSync(join(folder.path, "a"));
    assert.equal(create(guest, "b", "x"), 1);
    assert.equal(quota.usedBytes, 2 * ENTRY_BYTES + 2);
    assert.equal(create(guest, "c", "x"), "nospc");
  });
});

test("a quota bounds names even if it bounds no bytes", () => {
  const quota = new Quota(Number.POSITIVE_INFINITY);
  for (let index = 0; index < MAX_ENTRIES; index++) {
    quota.checkEntry();
    quota.created(`1:${index}`);
  }
  assert.throws(() => quota.checkEntry(), { errno: 51 });
  quota.removed("1:7", true);
  quota.checkEntry();
});

test("files in memory are the plugin's: instances share them, and given content does not count", () => {
  const grants = resolveWasi({ files: { "/given": "x".repeat(10_000) }, fileBytes: ENTRY_BYTES + 5 });
  const one = instanceOf(grants);
  assert.equal(create(one, "new", "12345"), 5);
  one.close();
  const two = instanceOf(grants);
  assert.equal(two.content("new"), "12345");
  assert.equal(create(two, "more", ""), "nospc");
  assert.equal(mortiseGuest({ files: { "/given": "" } }).stat("new"), -44);
});

test("a quota has no more names than what is left of them", () => {
  using folder = hostFolder();
  const grants = resolveWasi(
    {},
    { [folder.path]: { guest: "/data", maxBytes: Number.POSITIVE_INFINITY } },
    { allowances: [{ bytes: 3 * ENTRY_BYTES, entries: 2 }] },
  );
  const guest = instanceOf(grants);
  assert.deepEqual([create(guest, "a", ""), create(guest, "b", ""), create(guest, "c", "")], ["success", "success", "nospc"]);
  assert.equal(guest.path("path_unlink_file", "a"), 0);
  assert.deepEqual([create(guest, "c", "x".repeat(ENTRY_BYTES + 1)), create(guest, "d", "")], [ENTRY_BYTES, "nospc"]);
  guest.close();
  grants.close();
});
