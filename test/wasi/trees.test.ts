// One suite for everything that guests see as files: in memory, and in folders of the host, however those are held.

import assert from "node:assert/strict";
import { describe, test } from "node:test";

import { linuxHandles, pathHandles } from "../../src/wasi/mount-handles.ts";
import { type MortiseGuest, OUT, errnoName, mortiseGuest } from "./guest.ts";
import { hostFolder } from "./host-folder.ts";

const CONTENT = { "hello.txt": "Hello, file!\n", "empty.txt": "", "folder/inner.txt": "inner", "folder/deeper/leaf.txt": "leaf" };

interface Tree {
  readonly name: string;
  readonly skip: boolean;
  /** Runs with a guest whose descriptor 3 is a folder with {@link CONTENT} and a quota. */
  with(quotaBytes: number, work: (guest: MortiseGuest) => void): void;
}

const memory: Tree = {
  name: "files in memory",
  skip: false,
  with: (fileBytes, work) => {
    const files = Object.fromEntries(Object.entries(CONTENT).map(([path, content]) => [`/${path}`, content]));
    const guest = mortiseGuest({ files, fileBytes });
    try {
      work(guest);
    } finally {
      guest.close();
    }
  },
};

const mounts = Object.entries({ descriptors: linuxHandles, paths: pathHandles }).map(([kind, handles]): Tree => ({
  name: `a folder held by ${kind}`,
  skip: kind === "descriptors" && process.platform !== "linux",
  with: (maxBytes, work) => {
    using folder = hostFolder(CONTENT);
    const guest = mortiseGuest({}, { [folder.path]: { guest: "/", maxBytes } }, { handles });
    try {
      work(guest);
    } finally {
      guest.close();
    }
  },
}));

type Step = (guest: MortiseGuest) => unknown;

const ENTRY = 4096;
const MANY = 1 << 20;
const rename = (guest: MortiseGuest, from: string, to: string): unknown => -guest.run("path_rename", 3, ...guest.put(from), 3, ...guest.put(to));
const link = (guest: MortiseGuest, target: string, path: string): unknown => -guest.run("path_symlink", ...guest.put(target), 3, ...guest.put(path));
/** Creates a file with content and closes it. */
const create = (guest: MortiseGuest, path: string, content: string): unknown => {
  const fd = guest.open(path, { oflags: 1 | 8 });
  if (fd < 0) return fd;
  const written = content === "" ? 0 : guest.write(fd, content);
  guest.run("fd_close", fd);
  return written;
};
/** Times of what was looked at last. */
const times = (guest: MortiseGuest): bigint[] => [guest.view.getBigUint64(OUT + 40, true), guest.view.getBigUint64(OUT + 48, true)];
const names = (guest: MortiseGuest, path: string): unknown => {
  const fd = guest.openRead(path);
  if (fd < 0) return fd;
  const found = guest.list(fd, 128);
  guest.run("fd_close", fd);
  return Array.isArray(found) ? found.filter((name) => !/^\.+:/.test(name)).toSorted() : found;
};

const CASES: Readonly<Record<string, readonly [run: Step, expect: unknown, quotaBytes?: number]>> = {
  "read files": [
    (guest) => ["hello.txt", "empty.txt", "folder/deeper/leaf.txt", "nope"].map((path) => guest.content(path)),
    ["Hello, file!\n", "", "leaf", "noent"],
  ],
  "list folders": [
    (guest) => [names(guest, "."), names(guest, "folder"), names(guest, "hello.txt")],
    [["empty.txt:4", "folder:3", "hello.txt:4"], ["deeper:3", "inner.txt:4"], "notdir"],
  ],
  "create, write and read": [
    (guest) => [create(guest, "folder/new.txt", "new"), guest.content("folder/new.txt"), create(guest, "nope/new.txt", "")],
    [3, "new", "noent"],
  ],
  "create exclusively": [(guest) => [guest.open("hello.txt", { oflags: 5 }), guest.open("new.txt", { oflags: 5 })], ["exist", 4]],
  "truncate when opened": [(guest) => [create(guest, "hello.txt", "Hi"), guest.content("hello.txt")], [2, "Hi"]],
  "write beyond the end": [
    (guest) => {
      const fd = guest.open("hello.txt");
      assert.equal(guest.run("fd_pwrite", fd, ...guest.vectors(guest.put("!")), 15n, OUT), 0);
      return guest.content("hello.txt");
    },
    "Hello, file!\n\0\0!",
  ],
  "show zeros where a file was shorter in between": [
    (guest) => {
      const fd = guest.open("hello.txt");
      const size = (bytes: bigint): unknown => -guest.run("fd_filestat_set_size", fd, bytes);
      return [size(10n), size(13n), guest.content("hello.txt"), size(3n), size(6n), guest.content("hello.txt")];
    },
    ["success", "success", "Hello, fil\0\0\0", "success", "success", "Hel\0\0\0"],
  ],
  "show zeros where a file was much shorter in between": [
    (guest) => {
      const fd = guest.open("hello.txt");
      const size = (bytes: bigint): unknown => -guest.run("fd_filestat_set_size", fd, bytes);
      const results = [
        size(100_000n),
        guest.run("fd_pwrite", fd, ...guest.vectors(guest.put("end")), 99_997n, OUT),
        size(2n),
        size(60_000n),
        size(99_999n),
      ];
      const content = guest.content("hello.txt") as string;
      return [...results, content.length, content.slice(0, 4), /^He\0+$/.test(content)];
    },
    ["success", "success", "success", "success", "success", 60_000, "He\0\0", true],
  ],
  "append at the end as it is now": [
    (guest) => {
      const one = guest.open("hello.txt", { fdflags: 1 });
      const two = guest.open("hello.txt", { fdflags: 1 });
      return [guest.write(one, "1"), guest.write(two, "2"), guest.write(one, "3"), guest.content("hello.txt")];
    },
    [1, 1, 1, "Hello, file!\n123"],
  ],
  "switch append mode": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [
        guest.write(fd, "J"),
        -guest.run("fd_fdstat_set_flags", fd, 1),
        guest.write(fd, "!"),
        -guest.run("fd_fdstat_set_flags", fd, 16),
        guest.content("hello.txt"),
      ];
    },
    [1, "success", 1, "notsup", "Jello, file!\n!"],
  ],
  "keep a removed file while it is open": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [-guest.path("path_unlink_file", "hello.txt"), guest.content("hello.txt"), guest.read(fd), guest.write(fd, "more")];
    },
    ["success", "noent", "Hello, file!\n", 4],
  ],
  "create nothing in a folder that was removed": [
    (guest) => {
      assert.equal(guest.path("path_create_directory", "gone"), 0);
      const fd = guest.openRead("gone");
      assert.equal(guest.path("path_remove_directory", "gone"), 0);
      return [guest.open("x", { oflags: 1 }, fd), -guest.path("path_create_directory", "x", fd)];
    },
    ["noent", "noent"],
  ],
  "create and remove folders": [
    (guest) => [
      -guest.path("path_create_directory", "new"),
      -guest.path("path_create_directory", "new/"),
      -guest.path("path_create_directory", "."),
      -guest.path("path_remove_directory", "folder"),
      -guest.path("path_remove_directory", "hello.txt"),
      -guest.path("path_remove_directory", "."),
      -guest.path("path_remove_directory", "new/"),
      -guest.path("path_remove_directory", "new"),
    ],
    ["success", "exist", "exist", "notempty", "notdir", "inval", "success", "noent"],
  ],
  "remove files": [
    (guest) => ["folder", "hello.txt/", "hello.txt", "hello.txt", "."].map((path) => -guest.path("path_unlink_file", path)),
    ["isdir", "notdir", "success", "noent", "isdir"],
  ],
  "rename files": [
    (guest) => [
      rename(guest, "hello.txt", "folder/moved.txt"),
      guest.content("folder/moved.txt"),
      rename(guest, "folder/moved.txt", "empty.txt"),
      guest.content("empty.txt"),
      rename(guest, "empty.txt", "empty.txt"),
      rename(guest, "nope", "x"),
      rename(guest, "empty.txt", "folder"),
      rename(guest, "empty.txt", "x/"),
      names(guest, "."),
    ],
    ["success", "Hello, file!\n", "success", "Hello, file!\n", "success", "noent", "isdir", "notdir", ["empty.txt:4", "folder:3"]],
  ],
  "rename folders": [
    (guest) => [
      rename(guest, "folder", "folder/deeper/self"),
      rename(guest, "folder", "folder/self"),
      rename(guest, "folder", "hello.txt"),
      -guest.path("path_create_directory", "target"),
      rename(guest, "folder", "target"),
      guest.content("target/deeper/leaf.txt"),
      -guest.path("path_create_directory", "other"),
      rename(guest, "other", "target"),
      rename(guest, "target/deeper", "other/"),
      names(guest, "other"),
      rename(guest, "other", "target/back"),
      guest.content("target/back/leaf.txt"),
    ],
    ["inval", "inval", "notdir", "success", "success", "leaf", "success", "notempty", "success", ["leaf.txt:4"], "success", "leaf"],
  ],
  "make links": [
    (guest) => ["short", "short", "hello.txt", "nope/short", "."].map((path) => link(guest, "folder/inner.txt", path)),
    ["success", "exist", "exist", "noent", "exist"],
  ],
  "follow links": [
    (guest) => {
      link(guest, "folder/inner.txt", "short");
      link(guest, "folder", "way");
      return [
        guest.content("short"),
        guest.content("way/deeper/leaf.txt"),
        names(guest, "way/"),
        guest.openRead("short", 3, 0),
        (guest.stat("way/", 0) as { type: number }).type,
      ];
    },
    ["inner", "leaf", ["deeper:3", "inner.txt:4"], "loop", 3],
  ],
  "look at links": [
    (guest) => {
      link(guest, "folder/inner.txt", "short");
      return [guest.stat("short", 0), guest.stat("short", 1)];
    },
    [
      { type: 7, links: 1n, size: 16n },
      { type: 4, links: 1n, size: 5n },
    ],
  ],
  "remove links, not what they lead to": [
    (guest) => [
      link(guest, "folder", "way"),
      -guest.path("path_unlink_file", "way"),
      guest.content("folder/inner.txt"),
      guest.content("way/inner.txt"),
    ],
    ["success", "success", "inner", "noent"],
  ],
  "create through links that lead nowhere, but not exclusively": [
    (guest) => [
      link(guest, "made", "one"),
      create(guest, "one", "text"),
      guest.content("made"),
      link(guest, "other", "two"),
      guest.open("two", { oflags: 5 }),
    ],
    ["success", 4, "text", "success", "exist"],
  ],
  "read links": [
    (guest) => {
      assert.equal(link(guest, "folder/inner.txt", "short"), -0);
      assert.equal(guest.run("path_readlink", 3, ...guest.put("short"), OUT + 8, 6, OUT), 0);
      return [guest.view.getUint32(OUT, true), guest.text(OUT + 8, 8), -guest.run("path_readlink", 3, ...guest.put("folder"), OUT + 8, 6, OUT)];
    },
    [6, "folder??", "inval"],
  ],
  "follow forty links, and no more": [
    (guest) => {
      for (let index = 0; index < 42; index++) link(guest, index === 0 ? "hello.txt" : `l${index - 1}`, `l${index}`);
      return [guest.content("l39"), guest.content("l40"), guest.content("l41")];
    },
    ["Hello, file!\n", "loop", "loop"],
  ],
  "refuse links in circles": [
    (guest) => [
      link(guest, "b", "a"),
      link(guest, "a", "b"),
      guest.content("a"),
      guest.stat("a", 1),
      guest.content("a/x"),
      -guest.path("path_unlink_file", "a"),
    ],
    ["success", "success", "loop", "loop", "loop", "success"],
  ],
  "set both times of an open file": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [-guest.run("fd_filestat_set_times", fd, 1_000_000_000n, 2_000_000_000n, 5), -guest.run("fd_filestat_get", fd, OUT), ...times(guest)];
    },
    ["success", "success", 1_000_000_000n, 2_000_000_000n],
  ],
  "set one time by path and keep the other": [
    (guest) => {
      const set = (accessed: bigint, modified: bigint, flags: number): unknown =>
        -guest.run("path_filestat_set_times", 3, 0, ...guest.put("hello.txt"), accessed, modified, flags);
      return [set(1_000_000_000n, 2_000_000_000n, 5), set(3_000_000_000n, 9n, 1), typeof guest.stat("hello.txt"), ...times(guest)];
    },
    ["success", "success", "object", 3_000_000_000n, 2_000_000_000n],
  ],
  "set times of a folder": [
    (guest) => [-guest.run("fd_filestat_set_times", 3, 1_000_000_000n, 2_000_000_000n, 5), -guest.run("fd_filestat_get", 3, OUT), ...times(guest)],
    ["success", "success", 1_000_000_000n, 2_000_000_000n],
  ],
  "refuse times that contradict each other": [
    (guest) => [3, 12, 16].map((flags) => -guest.run("fd_filestat_set_times", guest.open("hello.txt"), 0n, 0n, flags)),
    ["inval", "inval", "inval"],
  ],
  "sync files and folders": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [fd, 3].flatMap((item) => [-guest.run("fd_sync", item), -guest.run("fd_datasync", item)]);
    },
    ["success", "success", "success", "success"],
  ],
  "open one folder twice, each with a listing of its own": [
    (guest) => {
      const one = guest.openRead(".");
      const two = guest.openRead("folder/..");
      assert.equal(guest.run("fd_readdir", one, OUT + 8, 100, 0n, OUT), 0);
      const result = [(guest.list(two) as string[]).length, guest.content("hello.txt", two)];
      assert.equal(guest.run("fd_close", one), 0);
      return [...result, guest.content("hello.txt", two)];
    },
    [5, "Hello, file!\n", "Hello, file!\n"],
  ],
  "open a folder through itself, and close one of both": [
    (guest) => {
      const one = guest.openRead("folder");
      const two = guest.openRead(".", one);
      const three = guest.openRead("deeper/..", two);
      assert.equal(guest.run("fd_close", one), 0);
      assert.equal(guest.run("fd_close", three), 0);
      return [guest.content("inner.txt", two), guest.content("inner.txt", one)];
    },
    ["inner", "badf"],
  ],
  "refuse names that are too long": [
    (guest) => [
      guest.open("x".repeat(256), { oflags: 1 }),
      guest.open("é".repeat(128), { oflags: 1 }),
      guest.open("é".repeat(127), { oflags: 1 }) > 0,
    ],
    ["nametoolong", "nametoolong", true],
  ],

  // quota
  "count writing, and give back what is removed": [
    (guest) => [
      create(guest, "a", "x".repeat(600)),
      create(guest, "b", ""),
      -guest.path("path_unlink_file", "a"),
      create(guest, "b", "x".repeat(1000)),
      create(guest, "b", "x".repeat(1000)),
    ],
    [600, "nospc", "success", 1000, 1000],
    ENTRY + 1000,
  ],
  "cut a write short at the quota": [
    (guest) => [create(guest, "a", "x".repeat(600)), guest.stat("a"), guest.write(guest.open("a", { fdflags: 1 }), "y")],
    [500, { type: 4, links: 1n, size: 500n }, "nospc"],
    ENTRY + 500,
  ],
  "count growth of files that were there": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [
        guest.write(fd, "x".repeat(13)),
        guest.write(fd, "x".repeat(13)),
        guest.write(fd, "x"),
        -guest.run("fd_filestat_set_size", fd, 24n),
        -guest.run("fd_filestat_set_size", fd, 23n),
        -guest.run("fd_allocate", fd, 0n, 24n),
        -guest.run("fd_allocate", fd, 3n, 20n),
      ];
    },
    [13, 10, "nospc", "nospc", "success", "nospc", "success"],
    10,
  ],
  "count holes": [
    (guest) => {
      const fd = guest.open("hello.txt");
      const pwrite = (at: bigint): unknown => -guest.run("fd_pwrite", fd, ...guest.vectors(guest.put("x")), at, OUT);
      return [
        pwrite(2n ** 40n),
        pwrite(1013n),
        pwrite(1012n),
        pwrite(500n),
        -guest.run("fd_filestat_set_size", fd, 2n ** 40n),
        guest.stat("hello.txt"),
      ];
    },
    ["nospc", "nospc", "success", "success", "nospc", { type: 4, links: 1n, size: 1013n }],
    1000,
  ],
  "give nothing back for what was there before": [
    (guest) => {
      const fd = guest.open("hello.txt");
      return [
        -guest.run("fd_filestat_set_size", fd, 0n),
        guest.write(fd, "x".repeat(12)),
        -guest.path("path_unlink_file", "empty.txt"),
        create(guest, "new", ""),
      ];
    },
    ["success", 10, "success", "nospc"],
    10,
  ],
  "give back what a file grew by when it is cut": [
    (guest) => {
      const fd = guest.open("hello.txt");
      const size = (bytes: bigint): unknown => -guest.run("fd_filestat_set_size", fd, bytes);
      return [size(23n), size(18n), size(23n), size(24n), size(0n), size(10n), size(11n)];
    },
    ["success", "success", "success", "nospc", "success", "success", "nospc"],
    10,
  ],
  "give back what a removed file counts once it is closed": [
    (guest) => {
      const fd = guest.open("a", { oflags: 1 });
      const results = [
        guest.write(fd, "x".repeat(100)),
        -guest.path("path_unlink_file", "a"),
        create(guest, "b", ""),
        guest.write(fd, "x".repeat(50)),
      ];
      return [...results, guest.write(fd, "x"), -guest.run("fd_close", fd), create(guest, "b", "x".repeat(150))];
    },
    [100, "success", "nospc", 50, "nospc", "success", 150],
    ENTRY + 150,
  ],
  "give back what a renamed file replaces": [
    (guest) => [
      create(guest, "a", "x".repeat(100)),
      create(guest, "b", "x".repeat(100)),
      create(guest, "c", ""),
      rename(guest, "a", "b"),
      create(guest, "c", "x".repeat(100)),
      create(guest, "d", ""),
    ],
    [100, 100, "nospc", "success", 100, "nospc"],
    2 * ENTRY + 200,
  ],
  "count folders and links": [
    (guest) => [
      -guest.path("path_create_directory", "d"),
      link(guest, "x", "l"),
      -guest.path("path_create_directory", "e"),
      link(guest, "x", "m"),
      create(guest, "f", ""),
      -guest.path("path_unlink_file", "l"),
      -guest.path("path_create_directory", "e"),
      -guest.path("path_remove_directory", "d"),
      link(guest, "x", "m"),
      link(guest, "x", "n"),
    ],
    ["success", "success", "nospc", "nospc", "nospc", "success", "success", "success", "success", "nospc"],
    2 * ENTRY + 100,
  ],
  "create nothing with a quota of nothing": [
    (guest) => [
      create(guest, "a", ""),
      guest.write(guest.open("hello.txt"), "J"),
      guest.content("hello.txt"),
      guest.write(guest.open("hello.txt", { fdflags: 1 }), "x"),
    ],
    ["nospc", 1, "Jello, file!\n", "nospc"],
    0,
  ],
};

for (const tree of [memory, ...mounts]) {
  describe(tree.name, { skip: tree.skip }, () => {
    for (const [name, [run, expect, quotaBytes = MANY]] of Object.entries(CASES)) {
      test(`${tree.name} ${name}`, () => {
        tree.with(quotaBytes, (guest) => {
          const result = run(guest);
          assert.deepEqual(Array.isArray(result) ? result.map(errnoName) : errnoName(result), expect);
        });
      });
    }
  });
}
