// The same calls on Node's own preview 1 and on ours, over folders with the same content: what differs is listed here.

import assert from "node:assert/strict";
import { test } from "node:test";
import { type Content, hostFolder } from "./host-folder.ts";
import { Guest, OUT, READ, errnoName, mortiseGuest } from "./guest.ts";

// It warns that it is an experiment, which is not news here.
process.removeAllListeners("warning");
const { WASI } = await import("node:wasi");

const ARGS = ["program", "--flag", "ünïcode"];
const ENV = { NAME: "value", EMPTY: "" };

const CONTENT: Readonly<Record<string, Content>> = {
  "hello.txt": "Hello, file!\n",
  "empty.txt": "",
  "folder/inner.txt": "inner",
  "folder/deeper/leaf.txt": "leaf",
  "bare/": "",
  "link.txt": { link: "hello.txt" },
  "link-folder": { link: "folder" },
  dangling: { link: "nowhere" },
  loop: { link: "loop" },
};

type Scenario = (guest: Guest, path: string) => unknown;

/** Errno as names, anything else as it is. */
function named(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(named);
  return errnoName(value);
}

function peerGuest(path: string): Guest {
  const wasi = new WASI({ version: "preview1", args: ARGS, env: ENV, preopens: { "/data": path }, returnOnExit: true });
  const memory = new WebAssembly.Memory({ initial: 8 });
  wasi.initialize({ exports: { memory } });
  return new Guest(memory, wasi.wasiImport as Record<string, unknown>);
}

/** Errors are positive from functions that are called directly. */
const call = (guest: Guest, name: string, ...values: (number | bigint)[]): number => -guest.run(name, ...values);

const SAME: Readonly<Record<string, Scenario>> = {
  "args_sizes_get and args_get": (guest) => [
    call(guest, "args_sizes_get", OUT, OUT + 4),
    guest.text(OUT, 12),
    call(guest, "args_get", OUT + 16, OUT + 64),
    guest.text(OUT + 12, 120),
  ],
  "environ_sizes_get and environ_get": (guest) => [
    call(guest, "environ_sizes_get", OUT, OUT + 4),
    guest.text(OUT, 12),
    call(guest, "environ_get", OUT + 16, OUT + 64),
    guest.text(OUT + 12, 120),
  ],
  "fd_prestat_get and fd_prestat_dir_name": (guest) => [
    call(guest, "fd_prestat_get", 3, OUT),
    guest.bytes[OUT],
    guest.text(OUT + 4, 8),
    call(guest, "fd_prestat_dir_name", 3, OUT, 5),
    guest.text(OUT, 12),
    call(guest, "fd_prestat_get", 4, OUT),
    call(guest, "fd_prestat_dir_name", 4, OUT, 5),
  ],
  "path_open and fd_read of a file": (guest) => [guest.content("hello.txt"), guest.content("empty.txt"), guest.content("folder/inner.txt")],
  "path_open through links": (guest) => [
    guest.content("link.txt"),
    guest.content("link-folder/inner.txt"),
    guest.content("dangling"),
    guest.content("loop"),
  ],
  "path_open of what is not there": (guest) => [guest.openRead("nope"), guest.openRead("nope/more"), guest.openRead("hello.txt/more")],
  "path_open above the folder": (guest) => [
    guest.openRead("/etc/passwd"),
    guest.openRead("/data/hello.txt"),
    guest.openRead(".."),
    guest.openRead("../granted/hello.txt"),
    guest.openRead("folder/../../x"),
  ],
  "path_open with .. inside": (guest) => [guest.content("folder/../hello.txt"), guest.content("./folder/./deeper/../inner.txt")],
  "path_open with every combination of creating flags": (guest) => {
    const results: unknown[] = [];
    for (const path of ["hello.txt", "fresh.txt", "folder"]) {
      for (const oflags of [1, 4, 5, 8, 9, 13]) {
        const fd = guest.open(path, { oflags, lookup: 0 });
        results.push([path, oflags, fd < 0 ? fd : "open"]);
        if (fd >= 0) guest.run("fd_close", fd);
        if (path === "fresh.txt") guest.path("path_unlink_file", path);
      }
    }
    return results;
  },
  "path_open of a folder": (guest) => [guest.openRead("folder"), guest.content("inner.txt", 4), guest.content("deeper/leaf.txt", 4)],
  "path_open of a folder for writing": (guest) => [guest.open("folder")],
  "path_open with O_DIRECTORY": (guest) => [guest.open("hello.txt", { oflags: 2, rights: READ }), guest.open("folder", { oflags: 2, rights: READ })],
  "fd_write, fd_seek, fd_tell and fd_read": (guest) => {
    const fd = guest.open("work.txt", { oflags: 1 });
    return [
      fd,
      guest.write(fd, "0123456789"),
      call(guest, "fd_tell", fd, OUT),
      guest.view.getBigUint64(OUT, true),
      call(guest, "fd_seek", fd, -4n, 1, OUT),
      guest.view.getBigUint64(OUT, true),
      guest.read(fd),
      call(guest, "fd_seek", fd, -10n, 2, OUT),
      guest.read(fd, 3),
      call(guest, "fd_seek", fd, 2n, 0, OUT),
      guest.read(fd, 3),
      call(guest, "fd_seek", fd, -100n, 1, OUT),
      call(guest, "fd_seek", fd, 0n, 7, OUT),
      call(guest, "fd_seek", fd, 5n, 2, OUT),
      guest.write(fd, "!"),
      guest.content("work.txt"),
    ];
  },
  "fd_read into several buffers": (guest) => {
    const fd = guest.openRead("hello.txt");
    return [call(guest, "fd_read", fd, ...guest.vectors([OUT + 16, 3], [OUT + 32, 0], [OUT + 48, 5], [OUT + 64, 20]), OUT), guest.text(OUT, 96)];
  },
  "fd_write from several buffers": (guest) => {
    const fd = guest.open("w.txt", { oflags: 1 });
    return [
      call(guest, "fd_write", fd, ...guest.vectors(guest.put("one "), guest.put(""), guest.put("two")), OUT),
      guest.text(OUT, 8),
      guest.content("w.txt"),
    ];
  },
  "fd_pread and fd_pwrite": (guest) => {
    const fd = guest.open("hello.txt");
    return [
      call(guest, "fd_pread", fd, ...guest.vectors([OUT + 16, 4]), 7n, OUT),
      guest.text(OUT, 24),
      call(guest, "fd_pwrite", fd, ...guest.vectors(guest.put("J")), 0n, OUT),
      guest.text(OUT, 24),
      call(guest, "fd_pread", fd, ...guest.vectors([OUT + 16, 4]), 100n, OUT),
      guest.text(OUT, 24),
      guest.read(fd),
    ];
  },
  "append mode": (guest) => {
    const fd = guest.open("hello.txt", { fdflags: 1 });
    return [guest.write(fd, "more\n"), guest.write(fd, "and more\n"), guest.content("hello.txt")];
  },
  "fd_filestat_set_size and fd_allocate": (guest) => {
    const fd = guest.open("hello.txt");
    return [
      call(guest, "fd_filestat_set_size", fd, 5n),
      guest.content("hello.txt"),
      call(guest, "fd_filestat_set_size", fd, 8n),
      guest.content("hello.txt"),
      call(guest, "fd_allocate", fd, 4n, 10n),
      guest.stat("hello.txt"),
      call(guest, "fd_allocate", fd, 0n, 1n),
      guest.stat("hello.txt"),
    ];
  },
  "fd_filestat_set_times and path_filestat_set_times": (guest) => {
    const fd = guest.open("hello.txt");
    const times = (): bigint[] => [guest.view.getBigUint64(OUT + 40, true), guest.view.getBigUint64(OUT + 48, true)];
    return [
      call(guest, "fd_filestat_set_times", fd, 1_000_000_000n, 2_000_000_000n, 1 | 4),
      call(guest, "fd_filestat_get", fd, OUT),
      times(),
      call(guest, "path_filestat_set_times", 3, 1, ...guest.put("link.txt"), 3_000_000_000n, 4_000_000_000n, 1 | 4),
      call(guest, "fd_filestat_get", fd, OUT),
      times(),
      call(guest, "path_filestat_set_times", 3, 0, ...guest.put("link.txt"), 5_000_000_000n, 6_000_000_000n, 1 | 4),
      guest.stat("link.txt", 0),
      times(),
      call(guest, "fd_filestat_set_times", fd, 1n, 1n, 3),
      call(guest, "fd_filestat_set_times", fd, 1n, 1n, 12),
    ];
  },
  path_filestat_get: (guest) => ["hello.txt", "link.txt", "dangling", "nope", "loop"].map((path) => [guest.stat(path, 0), guest.stat(path, 1)]),
  "path_create_directory and path_remove_directory": (guest) => [
    -guest.path("path_create_directory", "made"),
    -guest.path("path_create_directory", "made"),
    -guest.path("path_create_directory", "hello.txt"),
    -guest.path("path_create_directory", "no/such"),
    -guest.path("path_remove_directory", "made"),
    -guest.path("path_remove_directory", "made"),
    -guest.path("path_remove_directory", "folder"),
    -guest.path("path_remove_directory", "hello.txt"),
  ],
  path_unlink_file: (guest) => [
    -guest.path("path_unlink_file", "hello.txt"),
    -guest.path("path_unlink_file", "hello.txt"),
    -guest.path("path_unlink_file", "link-folder"),
    -guest.path("path_unlink_file", "dangling"),
    guest.content("folder/inner.txt"),
  ],
  path_rename: (guest) => {
    const rename = (from: string, to: string): number => call(guest, "path_rename", 3, ...guest.put(from), 3, ...guest.put(to));
    return [
      rename("hello.txt", "folder/moved.txt"),
      guest.content("folder/moved.txt"),
      rename("hello.txt", "x"),
      rename("folder/moved.txt", "empty.txt"),
      guest.content("empty.txt"),
      rename("folder", "bare"),
      guest.content("bare/inner.txt"),
      rename("bare", "bare/deeper/bare"),
      rename("bare", "empty.txt"),
      rename("empty.txt", "bare"),
      rename("link.txt", "renamed-link"),
      guest.stat("renamed-link"),
    ];
  },
  "path_symlink and path_readlink": (guest) => {
    const readlink = (path: string, length: number): unknown[] => {
      guest.bytes.fill(0x3f, OUT, OUT + 64);
      return [call(guest, "path_readlink", 3, ...guest.put(path), OUT + 8, length, OUT), guest.text(OUT, 17)];
    };
    return [
      call(guest, "path_symlink", ...guest.put("hello.txt"), 3, ...guest.put("new-link")),
      guest.content("new-link"),
      readlink("new-link", 20),
      call(guest, "path_symlink", ...guest.put("x"), 3, ...guest.put("new-link")),
      readlink("hello.txt", 20)[0],
      readlink("nope", 20)[0],
    ];
  },
  "fd_renumber and fd_close": (guest) => {
    const first = guest.openRead("hello.txt");
    const second = guest.openRead("folder/inner.txt");
    return [
      first,
      second,
      call(guest, "fd_renumber", first, second),
      guest.read(second),
      call(guest, "fd_close", first),
      call(guest, "fd_renumber", 90, second),
      call(guest, "fd_renumber", second, second),
      call(guest, "fd_close", second),
      call(guest, "fd_close", second),
      call(guest, "fd_close", 99),
      guest.openRead("hello.txt"),
    ];
  },
  fd_fdstat_set_rights: (guest) => {
    const fd = guest.open("hello.txt");
    return [
      call(guest, "fd_fdstat_set_rights", fd, 2n, 0n),
      guest.read(fd, 5),
      guest.write(fd, "x"),
      call(guest, "fd_fdstat_set_rights", fd, 66n, 0n),
      call(guest, "fd_fdstat_set_rights", fd, 2n, 2n),
    ];
  },
  fd_fdstat_get: (guest) => {
    const fd = guest.open("hello.txt", { rights: 2n | 64n | 4n, inheriting: 0n, fdflags: 1 });
    return [call(guest, "fd_fdstat_get", fd, OUT), guest.view.getUint8(OUT), guest.text(OUT + 8, 24)];
  },
  fd_readdir: (guest) => {
    const names = guest.list(guest.openRead("folder"), 200);
    return Array.isArray(names) ? names.filter((name) => !name.startsWith(".")).toSorted() : names;
  },
  "fd_sync, fd_datasync and fd_advise": (guest) => {
    const fd = guest.open("hello.txt");
    return [
      call(guest, "fd_sync", fd),
      call(guest, "fd_datasync", fd),
      call(guest, "fd_advise", fd, 0n, 10n, 1),
      call(guest, "fd_advise", fd, 0n, 10n, 9),
    ];
  },
  "bad descriptors": (guest) =>
    [
      ["fd_read", 50, OUT, 0, OUT],
      ["fd_write", 50, OUT, 0, OUT],
      ["fd_close", 50],
      ["fd_tell", 50, OUT],
      ["fd_seek", 50, 0n, 0, OUT],
      ["fd_sync", 50],
      ["fd_datasync", 50],
      ["fd_fdstat_get", 50, OUT],
      ["fd_fdstat_set_flags", 50, 0],
      ["fd_fdstat_set_rights", 50, 0n, 0n],
      ["fd_filestat_get", 50, OUT],
      ["fd_filestat_set_size", 50, 0n],
      ["fd_filestat_set_times", 50, 0n, 0n, 0],
      ["fd_advise", 50, 0n, 0n, 0],
      ["fd_pread", 50, OUT, 0, 0n, OUT],
      ["fd_pwrite", 50, OUT, 0, 0n, OUT],
      ["fd_readdir", 50, OUT, 10, 0n, OUT],
    ].map(([name, ...values]) => [name, call(guest, name as string, ...(values as number[]))]),
  sched_yield: (guest) => [call(guest, "sched_yield")],
};

/** What Node does, and what we do instead. */
const DIFFERENT: Readonly<Record<string, readonly [scenario: Scenario, theirs: unknown, ours: unknown]>> = {
  "an address outside the memory is `fault`, as the interface says": [
    (guest) => {
      const fd = guest.open("hello.txt");
      const end = guest.bytes.length;
      return [
        call(guest, "fd_read", fd, ...guest.vectors([end - 4, 8]), OUT),
        call(guest, "fd_tell", fd, end - 4),
        call(guest, "random_get", end - 4, 8),
        call(guest, "path_open", 3, 0, end - 4, 8, 0, READ, 0n, 0, OUT),
        call(guest, "fd_filestat_get", fd, -8),
      ];
    },
    ["overflow", "overflow", "overflow", "overflow", "inval"],
    ["fault", "fault", "fault", "fault", "fault"],
  ],
  "a link that is not to be followed is not opened": [
    (guest) => {
      const fd = guest.openRead("link.txt", 3, 0);
      return fd < 0 ? fd : "opened";
    },
    "opened",
    "loop",
  ],
  "a folder lists . and .. as well": [(guest) => guest.list(guest.openRead("bare")), [], [".:3", "..:3"]],
  "a file is no folder, before its rights are looked at": [(guest) => guest.list(guest.openRead("hello.txt")), "notcapable", "notdir"],
  "a hard link is refused": [(guest) => call(guest, "path_link", 3, 0, ...guest.put("hello.txt"), 3, ...guest.put("hard")), "success", "notcapable"],
  "a link that leads up is not created, wherever it ends": [
    (guest) => call(guest, "path_symlink", ...guest.put("folder/../x"), 3, ...guest.put("new")),
    "success",
    "notcapable",
  ],
  "files that write through to the disk are not supported": [(guest) => Math.min(0, guest.open("hello.txt", { fdflags: 2 })), "success", "notsup"],
  "a buffer for a granted folder's name that is too small": [(guest) => call(guest, "fd_prestat_dir_name", 3, OUT, 2), -42, "nametoolong"],
  "sockets are looked up as descriptors first": [(guest) => call(guest, "sock_shutdown", 50, 3), "notsup", "badf"],
  "clocks of processor time tell the time since the start": [
    (guest) => [2, 3].map((id) => [call(guest, "clock_time_get", id, 0n, OUT), guest.view.getBigUint64(OUT, true) >= 1_000_000_000n]),
    [
      ["success", false],
      ["success", false],
    ],
    [
      ["success", true],
      ["success", true],
    ],
  ],
};

for (const [name, [scenario, expectedTheirs, expectedOurs]] of Object.entries(DIFFERENT)) {
  test(`createWasi() differs from Node's preview 1: ${name}`, () => {
    using theirs = hostFolder(CONTENT);
    using ours = hostFolder(CONTENT);
    const guest = mortiseGuest({ args: ARGS, env: ENV }, { [ours.path]: "/data" });
    try {
      assert.deepEqual([named(scenario(peerGuest(theirs.path), theirs.path)), named(scenario(guest, ours.path))], [expectedTheirs, expectedOurs]);
    } finally {
      guest.close();
    }
  });
}

for (const [name, scenario] of Object.entries(SAME)) {
  test(`createWasi() does what Node's preview 1 does: ${name}`, () => {
    using theirs = hostFolder(CONTENT);
    using ours = hostFolder(CONTENT);
    const guest = mortiseGuest({ args: ARGS, env: ENV }, { [ours.path]: "/data" });
    try {
      assert.deepEqual(named(scenario(guest, ours.path)), named(scenario(peerGuest(theirs.path), theirs.path)));
    } finally {
      guest.close();
    }
  });
}
