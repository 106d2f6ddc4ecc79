// Guests that try to get out of a granted folder, or to block or exhaust the process through it.

import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";

import { linuxHandles, pathHandles } from "../../src/wasi/mount-handles.ts";
import type { PathGrant } from "../../src/wasi/options.ts";
import { type MortiseGuest, OUT, errnoName, mortiseGuest } from "./guest.ts";
import { type Content, type HostFolder, hostFolder } from "./host-folder.ts";

const SECRET = "what no guest may see";

/** Content of a granted folder with all that a guest may try its luck with. */
const CONTENT: Readonly<Record<string, Content>> = {
  "../secret.txt": SECRET,
  "../secret-folder/secret.txt": SECRET,
  "file.txt": "inside",
  "folder/file.txt": "inside",
  "folder/deep/file.txt": "inside",
  "up-link": { link: "../secret.txt" },
  "folder/up-link": { link: "../../secret.txt" },
  "folder-up-link": { link: "../secret-folder" },
  "parent-link": { link: ".." },
  "absolute-link": { link: "/etc/passwd" },
  "root-link": { link: "/" },
  "proc-link": { link: "/proc/self/root" },
  "fd-link": { link: "/proc/self/fd/0" },
  "cwd-link": { link: "/proc/self/cwd" },
  "dangling-up": { link: "../made-by-guest.txt" },
  "chain-1": { link: "chain-2" },
  "chain-2": { link: "folder/chain-3" },
  "folder/chain-3": { link: "../chain-4" },
  "chain-4": { link: "../secret.txt" },
  loop: { link: "loop" },
  "loop-a": { link: "loop-b/x" },
  "loop-b": { link: "loop-a/x" },
  "long-link": { link: "folder/../".repeat(400) },
  "inside-link": { link: "folder/../file.txt" },
};

interface Attack {
  /** What the guest gets. */
  readonly expect: unknown;
  readonly run: (guest: MortiseGuest, folder: HostFolder) => unknown;
  readonly grant?: PathGrant;
}

const bytes = (...values: readonly (number | string)[]): Uint8Array =>
  new Uint8Array(Buffer.concat(values.map((value) => (typeof value === "string" ? Buffer.from(value) : Buffer.of(value)))));
const rename = (guest: MortiseGuest, from: string, to: string, toFd = 3): number =>
  -guest.run("path_rename", 3, ...guest.put(from), toFd, ...guest.put(to));
const symlink = (guest: MortiseGuest, target: string, path: string): number =>
  -guest.run("path_symlink", ...guest.put(target), 3, ...guest.put(path));
const reads = (paths: Readonly<Record<string, string>>): Record<string, Attack> =>
  Object.fromEntries(Object.entries(paths).map(([path, expect]) => [`reads "${path}"`, { expect, run: (guest) => guest.content(path) }]));

const ATTACKS: Readonly<Record<string, Attack>> = {
  ...reads({
    "..": "notcapable",
    "../secret.txt": "notcapable",
    "./../secret.txt": "notcapable",
    "folder/../../secret.txt": "notcapable",
    "folder//..//../secret.txt": "notcapable",
    "folder/./.././../secret.txt": "notcapable",
    "folder/deep/../../../secret.txt": "notcapable",
    "../granted/file.txt": "notcapable",
    "nowhere/../../secret.txt": "noent",
    "file.txt/../../secret.txt": "notdir",
    "/etc/passwd": "notcapable",
    "//etc/passwd": "notcapable",
    "/": "notcapable",
    "...": "noent",
    "..\\secret.txt": "noent",
    "%2e%2e/secret.txt": "noent",
    "FILE.TXT": "noent",
    "file.txt ": "noent",
    "up-link": "notcapable",
    "folder/up-link": "notcapable",
    "folder-up-link/secret.txt": "notcapable",
    "parent-link/secret.txt": "notcapable",
    "parent-link/granted/file.txt": "notcapable",
    "absolute-link": "notcapable",
    "root-link/etc/passwd": "notcapable",
    "proc-link/etc/passwd": "notcapable",
    "fd-link": "notcapable",
    "cwd-link/package.json": "notcapable",
    "chain-1": "notcapable",
    loop: "loop",
    "loop-a": "loop",
    "inside-link": "inside",
    "folder/../file.txt": "inside",
    "file.txt/": "notdir",
    "file.txt/.": "notdir",
    "file.txt/..": "notdir",
    "": "noent",
  }),
  "reads a path with a NUL": { expect: "inval", run: (guest) => guest.content("file.txt\0/../../secret.txt") },
  "reads a path that is not UTF-8": { expect: "ilseq", run: (guest) => guest.content(bytes("folder/", 0xff)) },
  "spells the slash in two bytes": { expect: "ilseq", run: (guest) => guest.content(bytes("..", 0xc0, 0xaf, "secret.txt")) },
  "spells the dots in two bytes": { expect: "ilseq", run: (guest) => guest.content(bytes(0xc0, 0xae, 0xc0, 0xae, "/secret.txt")) },
  "spells a surrogate": { expect: "ilseq", run: (guest) => guest.content(bytes(0xed, 0xa0, 0x80)) },
  "hides a name behind a byte order mark": { expect: "noent", run: (guest) => guest.content("\ufefffile.txt") },
  "reads a path of 4,097 bytes": { expect: "nametoolong", run: (guest) => guest.content(`${"./".repeat(2044)}file.txt/`) },
  "reads a path of 4,096 bytes": { expect: "inside", run: (guest) => guest.content("./".repeat(2044) + "file.txt") },
  "reads a name of 256 bytes": { expect: "nametoolong", run: (guest) => guest.content("x".repeat(256)) },
  "climbs down and up a thousand times": { expect: "loop", run: (guest) => guest.content("folder/../".repeat(400) + "loop") },
  "goes through links that go down and up four hundred times": {
    expect: ["inside", "loop"],
    run: (guest) => [guest.content("long-link/file.txt"), guest.content("long-link/long-link/long-link/file.txt")],
  },
  "opens a subfolder and leaves it": {
    expect: ["notcapable", "notcapable", "notcapable", "inside"],
    run: (guest) => {
      const fd = guest.openRead("folder");
      return [
        guest.content("..", fd),
        guest.content("../file.txt", fd),
        guest.content("deep/../../file.txt", fd),
        guest.content("deep/file.txt", fd),
      ];
    },
  },
  "creates a file through a link that leads out": { expect: "notcapable", run: (guest) => guest.open("dangling-up", { oflags: 1 }) },
  "truncates a file through a link that leads out": { expect: "notcapable", run: (guest) => guest.open("up-link", { oflags: 8 }) },
  "creates files outside": {
    expect: ["notcapable", "notcapable", "notcapable", "notcapable"],
    run: (guest) => [
      guest.open("../made.txt", { oflags: 1 }),
      guest.open("parent-link/made.txt", { oflags: 1 }),
      -guest.path("path_create_directory", "../made"),
      symlink(guest, "x", "../made"),
    ],
  },
  "removes what is outside": {
    expect: ["notcapable", "notcapable", "notcapable"],
    run: (guest) => [
      -guest.path("path_unlink_file", "../secret.txt"),
      -guest.path("path_unlink_file", "folder-up-link/secret.txt"),
      -guest.path("path_remove_directory", "../secret-folder"),
    ],
  },
  "removes a link, not what it leads to": {
    expect: ["success", "noent"],
    run: (guest) => [-guest.path("path_unlink_file", "up-link"), guest.stat("up-link")],
  },
  "renames out of the folder and into it": {
    expect: ["notcapable", "notcapable", "notcapable", "busy", "notcapable"],
    run: (guest) => [
      rename(guest, "file.txt", "../file.txt"),
      rename(guest, "../secret.txt", "mine.txt"),
      rename(guest, "file.txt", "parent-link/file.txt"),
      rename(guest, ".", "folder/self"),
      rename(guest, "..", "x"),
    ],
  },
  "moves a folder into itself": {
    expect: ["inval", "inside"],
    run: (guest) => [rename(guest, "folder", "folder/deep/self"), guest.content("folder/file.txt")],
  },
  "links to what is outside": {
    expect: ["notcapable", "notcapable", "notcapable", "notcapable", "noent", "inval"],
    run: (guest) => [
      symlink(guest, "../secret.txt", "mine"),
      symlink(guest, "/etc/passwd", "mine"),
      symlink(guest, "folder/../../secret.txt", "mine"),
      symlink(guest, "..", "mine"),
      symlink(guest, "", "mine"),
      symlink(guest, "file.txt\0x", "mine"),
    ],
  },
  "prepares a link that leads out once it is moved": {
    expect: ["notcapable", "success", "success", "inside"],
    run: (guest) => [
      symlink(guest, "../file.txt", "folder/mine"),
      symlink(guest, "deep/file.txt", "folder/mine"),
      rename(guest, "folder/mine", "folder/moved"),
      guest.content("folder/moved"),
    ],
  },
  "makes a hard link": {
    expect: "notcapable",
    run: (guest) => -guest.run("path_link", 3, 1, ...guest.put("up-link"), 3, ...guest.put("mine")),
  },
  "looks at links that lead out": {
    expect: ["notcapable", "notcapable", "notcapable"],
    run: (guest) => [guest.stat("up-link", 1), guest.stat("root-link/", 0), guest.stat("folder-up-link/secret.txt", 0)],
  },
  "sets times through a link that leads out": {
    expect: "notcapable",
    run: (guest) => -guest.run("path_filestat_set_times", 3, 1, ...guest.put("up-link"), 1n, 1n, 5),
  },
  "gains rights by opening": {
    expect: ["success", "notcapable", "notcapable", "notcapable"],
    run: (guest) => {
      const fd = guest.openRead("folder");
      return [
        -guest.run("fd_fdstat_set_rights", fd, 1n << 13n, 2n),
        -guest.run("fd_fdstat_set_rights", fd, (1n << 13n) | (1n << 14n), 2n),
        guest.open("file.txt", {}, fd),
        guest.open("new.txt", { oflags: 1, rights: 2n }, fd),
      ];
    },
  },
  "gives itself rights that do not exist": { expect: "notcapable", run: (guest) => -guest.run("fd_fdstat_set_rights", 3, -1n, -1n) },
  "writes to a read-only folder": {
    grant: { guest: "/data", access: "read-only" },
    expect: ["rofs", "rofs", "rofs", "rofs", "rofs", "rofs", "rofs", "rofs", "rofs", "inside"],
    run: (guest) => [
      guest.open("file.txt"),
      guest.open("file.txt", { oflags: 8, rights: 2n }),
      guest.open("new.txt", { oflags: 1, rights: 2n }),
      -guest.path("path_create_directory", "new"),
      -guest.path("path_unlink_file", "file.txt"),
      -guest.path("path_remove_directory", "folder"),
      rename(guest, "file.txt", "other.txt"),
      symlink(guest, "file.txt", "new"),
      -guest.run("path_filestat_set_times", 3, 0, ...guest.put("file.txt"), 1n, 1n, 5),
      guest.content("file.txt"),
    ],
  },
  "writes to a file that it opened for reading": {
    grant: { guest: "/data", access: "read-only" },
    expect: ["notcapable", "notcapable", "notcapable", "notcapable", "notcapable"],
    run: (guest) => {
      const fd = guest.openRead("file.txt");
      return [
        guest.write(fd, "x"),
        -guest.run("fd_pwrite", fd, ...guest.vectors(guest.put("x")), 0n, OUT),
        -guest.run("fd_filestat_set_size", fd, 0n),
        -guest.run("fd_allocate", fd, 0n, 100n),
        -guest.run("fd_filestat_set_times", fd, 1n, 1n, 5),
      ];
    },
  },
  "opens more than it may": {
    expect: ["mfile", 5, "mfile"],
    run: (guest) => {
      for (let fd = 4; fd < 4 + 64; fd++) assert.equal(guest.openRead(fd % 2 === 0 ? "file.txt" : "folder"), fd);
      const first = guest.openRead("file.txt");
      guest.run("fd_close", 5);
      return [first, guest.openRead("file.txt"), guest.open("new.txt", { oflags: 1 })];
    },
  },
  "nests folders without end": {
    expect: "nametoolong",
    run: (guest) => {
      let fd = 3;
      for (let level = 0; level < 140; level++) {
        assert.equal(guest.path("path_create_directory", "d", fd), 0);
        const inner = guest.openRead("d", fd);
        if (fd !== 3) guest.run("fd_close", fd);
        fd = inner;
      }
      return guest.content("d/".repeat(140) + "x");
    },
  },
  "reads at positions that no number holds": {
    expect: ["inval", "inval", "inval", "", "inval"],
    run: (guest) => {
      const fd = guest.open("file.txt");
      const pread = (offset: bigint): unknown => {
        const errno = guest.run("fd_pread", fd, ...guest.vectors([OUT + 8, 10]), offset, OUT);
        return errno === 0 ? guest.text(OUT + 8, guest.view.getUint32(OUT, true)) : -errno;
      };
      return [pread(-1n), pread(2n ** 53n), pread(2n ** 63n - 1n), pread(2n ** 52n), -guest.run("fd_seek", fd, 2n ** 62n, 0, OUT)];
    },
  },
  "hands over buffers outside its memory": {
    expect: ["fault", "fault", "fault", "inval", "inval", "fault"],
    run: (guest) => {
      const fd = guest.open("file.txt");
      const end = guest.bytes.length;
      return [
        -guest.run("fd_read", fd, ...guest.vectors([OUT, 4], [end - 4, 5]), OUT),
        -guest.run("fd_read", fd, ...guest.vectors([OUT, 0xffff_ffff]), OUT),
        -guest.run("fd_write", fd, end - 12, 2, OUT),
        -guest.run("fd_write", fd, 0, 1025, OUT),
        -guest.run("fd_read", fd, 0, -1, OUT),
        -guest.run("fd_readdir", 3, OUT, -1, 0n, OUT),
      ];
    },
  },
  "hands over buffers of four gibibytes in all": {
    expect: ["inval", "success"],
    run: (guest) => {
      guest.memory.grow(56);
      const all = Array.from({ length: 1024 }, () => [0, guest.bytes.length] as const);
      const fd = guest.openRead("file.txt");
      return [-guest.run("fd_read", fd, ...guest.vectors(...all), OUT), -guest.run("fd_read", fd, ...guest.vectors(...all.slice(1)), OUT)];
    },
  },
  "hands over buffers that overlap": {
    expect: "ies",
    run: (guest) => {
      const fd = guest.openRead("file.txt");
      assert.equal(guest.run("fd_read", fd, ...guest.vectors([OUT + 8, 3], [OUT + 8, 2], [OUT + 9, 1]), OUT), 0);
      return guest.text(OUT + 8, 3);
    },
  },
};

/** What lies beside the granted folder must be as it was. */
function assertOutsideUntouched({ outside }: HostFolder): void {
  assert.deepEqual(readdirSync(outside).toSorted(), ["granted", "secret-folder", "secret.txt"]);
  assert.equal(readFileSync(join(outside, "secret.txt"), "utf8"), SECRET);
  assert.deepEqual(readdirSync(join(outside, "secret-folder")), ["secret.txt"]);
}

for (const [kind, handles] of Object.entries({ descriptors: linuxHandles, paths: pathHandles })) {
  for (const [name, { run, expect, grant = "/data" }] of Object.entries(ATTACKS)) {
    test(`a mount held by ${kind} withstands a guest that ${name}`, { skip: kind === "descriptors" && process.platform !== "linux" }, () => {
      using folder = hostFolder(CONTENT);
      const guest = mortiseGuest({}, { [folder.path]: grant }, { handles });
      try {
        const result = run(guest, folder);
        assert.deepEqual(Array.isArray(result) ? result.map(errnoName) : errnoName(result), expect);
        assertOutsideUntouched(folder);
      } finally {
        guest.close();
      }
    });
  }
}

test("path_rename() moves nothing from one grant to another", () => {
  using one = hostFolder({ "file.txt": "one" });
  using two = hostFolder({ "file.txt": "two" });
  const guest = mortiseGuest({ files: { "/file.txt": "memory" } }, { [one.path]: "/one", [two.path]: "/two" });
  for (const [from, to] of [
    [3, 4],
    [4, 3],
    [4, 5],
  ] as const) {
    assert.equal(errnoName(-guest.run("path_rename", from, ...guest.put("file.txt"), to, ...guest.put("moved.txt"))), "xdev");
    assert.equal(errnoName(-guest.run("path_rename", from, ...guest.put("file.txt"), to, ...guest.put("file.txt"))), "xdev");
  }
  assert.deepEqual(
    [3, 4, 5].map((fd) => guest.content("file.txt", fd)),
    ["memory", "one", "two"],
  );
  guest.close();
});

test("functions charge before they work, and more for more", () => {
  using folder = hostFolder({ "folder/deep/file.txt": "text" });
  const guest = mortiseGuest({}, { [folder.path]: "/data" });
  const charged = (work: () => unknown): number => {
    const before = guest.host.charged;
    work();
    return guest.host.charged - before;
  };
  const call = 32_768;
  const fd = guest.open("folder/deep/file.txt");
  assert.equal(
    charged(() => guest.stat("folder/deep/file.txt")),
    3 * call,
  );
  assert.equal(
    charged(() => guest.stat("nope")),
    call,
  );
  assert.equal(
    charged(() => guest.read(fd, 1000)),
    call + 1000,
  );
  assert.equal(
    charged(() => guest.write(fd, "12345")),
    call + 5,
  );
  assert.equal(
    charged(() => guest.run("fd_filestat_set_size", fd, 1009n)),
    call + 1000,
  );
  assert.equal(
    charged(() => guest.run("fd_filestat_set_size", fd, 1n << 25n)),
    call + (16 << 20),
  );
  assert.equal(
    charged(() => guest.list(guest.openRead("folder"))),
    call + call + 2 * 4096 + 24 * 3 + 1 + 2 + 4,
  );
  guest.close();
});
