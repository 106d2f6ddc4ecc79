// Descriptors: what was granted, rights, flags, closing and renumbering, byte by byte.

import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { test } from "node:test";

import { FILE_TYPE } from "../../src/wasi/entry.ts";
import { FolderListing, Listings, MAX_LISTING_BYTES } from "../../src/wasi/folder-listing.ts";
import { OUT, READ, errnoName, mortiseGuest } from "./guest.ts";
import { hostFolder } from "./host-folder.ts";

test("fd_prestat_get() and fd_prestat_dir_name() list files in memory first, then folders, and nothing else", () => {
  using one = hostFolder();
  using two = hostFolder();
  const guest = mortiseGuest({ files: { "/a": "" } }, { [one.path]: "/data", [`ro:${two.path}`]: "." });
  const granted: unknown[] = [];
  for (let fd = 0; fd < 8; fd++) {
    guest.bytes.fill(0x3f, OUT, OUT + 32);
    const errno = guest.run("fd_prestat_get", fd, OUT);
    if (errno !== 0) {
      assert.equal(guest.run("fd_prestat_dir_name", fd, OUT, 10), 8);
      granted.push(errnoName(-errno));
      continue;
    }
    const length = guest.view.getUint32(OUT + 4, true);
    assert.equal(guest.text(OUT, 10), `\0\0\0\0${String.fromCharCode(length)}\0\0\0??`);
    assert.equal(guest.run("fd_prestat_dir_name", fd, OUT + 16, length - 1), 37);
    assert.equal(guest.run("fd_prestat_dir_name", fd, OUT + 16, length), 0);
    granted.push(guest.text(OUT + 15, length + 2));
  }
  assert.deepEqual(granted, ["badf", "badf", "badf", "?/?", "?/data?", "?.?", "badf", "badf"]);
  const opened = guest.openRead(".");
  assert.equal(guest.run("fd_prestat_get", opened, OUT), 8);
  guest.close();
});

test("fd_fdstat_get() writes 24 bytes", () => {
  using folder = hostFolder({ "file.txt": "text" });
  const guest = mortiseGuest({}, { [`ro:${folder.path}`]: "/data" });
  const fd = guest.open("file.txt", { rights: 2n | 4n, inheriting: -1n, fdflags: 5 });
  assert.equal(guest.run("fd_fdstat_get", fd, OUT), 0);
  assert.equal(guest.text(OUT - 1, 26), `?\x04\0\x05\0\0\0\0\0\x06${"\0".repeat(7)}${"\0".repeat(8)}?`);
  assert.equal(guest.run("fd_fdstat_get", 3, OUT), 0);
  const writing =
    (1n << 6n) |
    (1n << 8n) |
    (1n << 9n) |
    (1n << 10n) |
    (1n << 16n) |
    (1n << 17n) |
    (1n << 19n) |
    (1n << 22n) |
    (1n << 24n) |
    (1n << 25n) |
    (1n << 26n);
  assert.equal(guest.view.getBigUint64(OUT + 8, true) & writing, 0n);
  assert.equal(guest.view.getBigUint64(OUT + 16, true) & writing, 0n);
  assert.equal(guest.bytes[OUT], 3);
  guest.close();
});

test("fd_filestat_get() and path_filestat_get() write 64 bytes", () => {
  using folder = hostFolder({ "file.txt": "text" });
  const guest = mortiseGuest({ clock: "precise" }, { [folder.path]: "/data" });
  const stat = statSync(`${folder.path}/file.txt`, { bigint: true });
  const expected = new Uint8Array(66).fill(0x3f);
  const view = new DataView(expected.buffer, 1);
  const values = [stat.dev, stat.ino, 4n, 1n, 4n, stat.atimeNs, stat.mtimeNs, stat.ctimeNs];
  for (const [index, value] of values.entries()) view.setBigUint64(index * 8, value, true);
  assert.equal(guest.run("fd_filestat_get", guest.openRead("file.txt"), OUT), 0);
  assert.deepEqual(guest.bytes.slice(OUT - 1, OUT + 65), expected);
  guest.bytes.fill(0x3f, OUT - 1, OUT + 65);
  assert.equal(guest.run("path_filestat_get", 3, 0, ...guest.put("file.txt"), OUT), 0);
  assert.deepEqual(guest.bytes.slice(OUT - 1, OUT + 65), expected);
  guest.close();
});

test("functions that fail write nothing", () => {
  const guest = mortiseGuest({ files: { "/file": "text" } });
  const fd = guest.openRead("file");
  const path = guest.put("nope");
  const end = guest.bytes.length;
  const list = guest.vectors([OUT + 8, 4]);
  const far = guest.vectors([OUT + 8, 4], [end, 1]);
  guest.bytes.fill(0x3f, OUT, OUT + 128);
  const calls: readonly (readonly [name: string, ...values: (number | bigint)[]])[] = [
    ["fd_read", fd, ...list, end - 3],
    ["fd_read", fd, ...far, OUT],
    ["fd_read", 99, ...list, OUT],
    ["fd_pread", fd, ...list, -1n, OUT],
    ["fd_pread", fd, ...list, 0n, end - 3],
    ["fd_seek", fd, -1n, 0, OUT],
    ["fd_seek", fd, 1n, 3, OUT],
    ["fd_seek", fd, 1n, 0, end - 7],
    ["fd_tell", fd, end - 7],
    ["fd_fdstat_get", 99, OUT],
    ["fd_filestat_get", fd, end - 63],
    ["path_filestat_get", 3, 0, ...path, OUT],
    ["path_filestat_get", 3, 2, ...path, OUT],
    ["path_readlink", 3, ...path, OUT + 8, 20, OUT],
    ["path_open", 3, 0, ...path, 0, READ, 0n, 0, OUT],
    ["path_open", 3, 2, ...path, 0, READ, 0n, 0, OUT],
    ["path_open", 3, 0, ...path, 16, READ, 0n, 0, OUT],
    ["path_open", 3, 0, ...path, 0, READ, 0n, 32, OUT],
    ["path_open", 3, 0, ...path, 3, READ, 0n, 0, OUT],
    ["path_open", 3, 0, ...path, 0, READ, 0n, 0, end - 3],
    ["fd_readdir", fd, OUT + 8, 64, 0n, OUT],
    ["fd_readdir", 3, OUT + 8, 64, 0n, end - 3],
  ];
  for (const [name, ...values] of calls) assert.notEqual(guest.run(name, ...values), 0, name);
  assert.equal(guest.text(OUT, 128), "?".repeat(128));
  // Nothing was read either, and nothing is open that was not.
  assert.equal(guest.read(fd), "text");
  assert.equal(guest.openRead("file"), fd + 1);
});

test("fd_read(), fd_pread() and path_readlink() write their result and nothing else", () => {
  const guest = mortiseGuest({ files: { "/file": "0123456789" } });
  const fd = guest.openRead("file");
  assert.equal(guest.run("fd_read", fd, ...guest.vectors([OUT + 8, 2], [OUT + 12, 3]), OUT), 0);
  assert.equal(guest.text(OUT - 1, 18), "?\x05\0\0\0????01??234??");
  assert.equal(guest.run("fd_pread", fd, ...guest.vectors([OUT + 8, 4]), 8n, OUT), 0);
  assert.equal(guest.text(OUT - 1, 18), "?\x02\0\0\0????89??234??");
  assert.equal(guest.run("path_symlink", ...guest.put("file"), 3, ...guest.put("link")), 0);
  assert.equal(guest.run("path_readlink", 3, ...guest.put("link"), OUT + 8, 3, OUT), 0);
  assert.equal(guest.text(OUT - 1, 18), "?\x03\0\0\0????fil?234??");
});

test("fd_readdir() writes entries as the interface has them, the last one cut off", () => {
  const guest = mortiseGuest({ files: { "/é": "", "/folder/x": "" } });
  const entry = (next: number, name: string, type: number): Uint8Array => {
    const text = new TextEncoder().encode(name);
    const bytes = new Uint8Array(24 + text.length);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(next), true);
    view.setUint32(16, text.length, true);
    view.setUint8(20, type);
    bytes.set(text, 24);
    return bytes;
  };
  const all = Buffer.concat([entry(1, ".", 3), entry(2, "..", 3), entry(3, "é", 4), entry(4, "folder", 3)]);
  for (const [cookie, length, from] of [
    [0n, 200, 0],
    [0n, 60, 0],
    [2n, 100, 51],
    [3n, 10, 77],
    [4n, 10, all.length],
    [5n, 10, all.length],
    [2n ** 64n - 1n, 10, all.length],
    [0n, 0, 0],
  ] as const) {
    guest.bytes.fill(0x3f, OUT, OUT + 300);
    assert.equal(guest.run("fd_readdir", 3, OUT + 8, length, BigInt.asIntN(64, cookie), OUT), 0);
    const used = Math.min(length, all.length - from);
    assert.equal(guest.view.getUint32(OUT, true), used);
    assert.deepEqual(Buffer.from(guest.bytes.slice(OUT + 8, OUT + 8 + used)), all.subarray(from, from + used));
    assert.equal(guest.text(OUT + 8 + used, 4), "????");
  }
});

test("fd_readdir() ends at four mebibytes of names, and at the deadline", () => {
  const files = Object.fromEntries(Array.from({ length: 16_000 }, (_, index) => [`/${String(index).padStart(255, "x")}`, ""]));
  const guest = mortiseGuest({ files });
  const names = guest.run("fd_readdir", 3, OUT + 8, 100_000, 14_000n, OUT);
  assert.deepEqual([names, guest.view.getUint32(OUT, true)], [0, 100_000]);
  assert.equal(guest.run("fd_readdir", 3, OUT + 8, 100_000, 15_900n, OUT), 61);
  assert.equal(guest.run("fd_readdir", 3, OUT + 8, 100_000, 15_900n, OUT), 61);
  guest.host.timeLeftMs = 0;
  assert.equal(guest.run("fd_readdir", 3, OUT + 8, 100_000, 0n, OUT), 27);
});

test("fd_fdstat_set_flags() takes append and nonblock, and refuses flags that it could not keep", () => {
  const guest = mortiseGuest({ files: { "/file": "" } });
  const fd = guest.open("file");
  const results = [0, 1, 4, 5, 2, 8, 16, 32, -1].map((flags) => errnoName(-guest.run("fd_fdstat_set_flags", fd, flags)));
  assert.deepEqual(results, ["success", "success", "success", "success", "notsup", "notsup", "notsup", "inval", "inval"]);
  assert.equal(guest.run("fd_fdstat_set_flags", 1, 4), 0);
  assert.equal(guest.run("fd_fdstat_set_flags", 1, 1), 28);
});

/** Functions by the right that each needs, as the interface has it. */
const BY_RIGHT: readonly (readonly [bit: number, name: string, ...values: (number | bigint)[]])[] = [
  [0, "fd_datasync"],
  [1, "fd_read", OUT, 0, OUT],
  [2, "fd_seek", 1n, 0, OUT],
  [3, "fd_fdstat_set_flags", 0],
  [4, "fd_sync"],
  [6, "fd_write", OUT, 0, OUT],
  [7, "fd_advise", 0n, 0n, 0],
  [8, "fd_allocate", 0n, 1n],
  [21, "fd_filestat_get", OUT],
  [22, "fd_filestat_set_size", 0n],
  [23, "fd_filestat_set_times", 0n, 0n, 0],
];

for (const [bit, name, ...values] of BY_RIGHT) {
  test(`${name}() needs its right`, () => {
    const guest = mortiseGuest({ files: { "/file": "" } });
    const all = BY_RIGHT.reduce((sum, [other]) => sum | (1n << BigInt(other)), 0n);
    const fd = guest.open("file", { rights: all });
    assert.equal(guest.run(name, fd, ...values), 0);
    assert.equal(guest.run("fd_fdstat_set_rights", fd, all & ~(1n << BigInt(bit)), 0n), 0);
    assert.equal(guest.run(name, fd, ...values), 76);
    assert.equal(guest.run("fd_fdstat_set_rights", fd, all, 0n), 76);
  });
}

const FOLDER_BY_RIGHT: readonly (readonly [bit: number, name: string, arrange: (path: [number, number]) => (number | bigint)[]])[] = [
  [9, "path_create_directory", (path) => path],
  [13, "path_open", (path) => [0, ...path, 0, READ, 0n, 0, OUT]],
  [14, "fd_readdir", () => [OUT + 8, 10, 0n, OUT]],
  [15, "path_readlink", (path) => [...path, OUT + 8, 10, OUT]],
  [16, "path_rename", (path) => [...path, 3, ...path]],
  [18, "path_filestat_get", (path) => [0, ...path, OUT]],
  [20, "path_filestat_set_times", (path) => [0, ...path, 0n, 0n, 0]],
  [25, "path_remove_directory", (path) => path],
  [26, "path_unlink_file", (path) => path],
];

for (const [bit, name, arrange] of FOLDER_BY_RIGHT) {
  test(`${name}() needs its right`, () => {
    const guest = mortiseGuest({ files: { "/file": "" } });
    assert.equal(guest.run("fd_fdstat_get", 3, OUT), 0);
    const rights = guest.view.getBigUint64(OUT + 8, true);
    const values = arrange(guest.put("nope"));
    assert.notEqual(guest.run(name, 3, ...values), 76);
    assert.equal(guest.run("fd_fdstat_set_rights", 3, rights & ~(1n << BigInt(bit)), 0n), 0);
    assert.equal(guest.run(name, 3, ...values), 76);
  });
}

test("path_open() gives a folder no right that the folder before it does not pass on", () => {
  const guest = mortiseGuest({ files: { "/folder/file": "text" } });
  const [pathOpen, readdir, read, tell] = [1n << 13n, 1n << 14n, 1n << 1n, 1n << 5n];
  assert.equal(guest.run("fd_fdstat_set_rights", 3, pathOpen, pathOpen | read), 0);
  const folder = guest.open("folder", { rights: pathOpen | readdir | read, inheriting: pathOpen | readdir | read | tell });
  assert.equal(guest.run("fd_fdstat_get", folder, OUT), 0);
  assert.deepEqual([guest.view.getBigUint64(OUT + 8, true), guest.view.getBigUint64(OUT + 16, true)], [pathOpen, pathOpen | read]);
  const file = guest.open("file", { rights: read | tell }, folder);
  assert.equal(guest.run("fd_fdstat_get", file, OUT), 0);
  assert.equal(guest.view.getBigUint64(OUT + 8, true), read);
});

test("fd_renumber() closes what had the number, and moves position and listing along", () => {
  const guest = mortiseGuest({ files: { "/a": "0123456789", "/b": "other" } });
  const one = guest.openRead("a");
  const two = guest.openRead("b");
  guest.read(one, 4);
  assert.equal(guest.run("fd_renumber", one, two), 0);
  assert.deepEqual([errnoName(guest.read(one)), guest.read(two)], ["badf", "456789"]);
  assert.equal(guest.run("fd_renumber", two, 50), 8);
  assert.equal(guest.run("fd_renumber", two, two), 0);
  assert.equal(guest.openRead("b"), one);
});

test("fd_close() closes granted folders and standard streams too, for this instance alone", () => {
  const guest = mortiseGuest({ files: { "/a": "text" } });
  for (const fd of [0, 3]) assert.equal(guest.run("fd_close", fd), 0);
  assert.equal(errnoName(guest.content("a")), "badf");
  assert.equal(guest.run("fd_close", 3), 8);
});

test("Listings keep little besides the one in use, however many folders are read", () => {
  const host = { charge: () => {}, timeLeftMs: () => Number.POSITIVE_INFINITY };
  let open = 0;
  const listings = new Listings<string>();
  const kept = new Map<string, FolderListing>();
  for (const owner of ["a", "b", "c", "d"]) {
    open++;
    const names = { next: () => ({ name: new Uint8Array(255).fill(0x78), type: FILE_TYPE.file }), close: () => void open-- };
    const listing = new FolderListing(names, host);
    listings.set(owner, listing);
    kept.set(owner, listing);
    listings.trim(owner);
    listing.from(0, owner === "a" ? 1000 : 3 << 20);
  }
  listings.trim("d");
  const bytes = [...kept].reduce((sum, [owner, listing]) => sum + (listings.get(owner) === undefined ? 0 : listing.bytes), 0);
  assert.ok(bytes <= (6 << 20) + kept.get("d")!.bytes && kept.get("d")!.bytes < MAX_LISTING_BYTES * 1.1, `${bytes}`);
  assert.deepEqual([[...kept.keys()].filter((owner) => listings.get(owner) !== undefined), open], [["c", "d"], 2]);
});
