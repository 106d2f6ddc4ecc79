// readTar: what it accepts, and that a hostile archive is refused as a whole.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import * as fc from "fast-check";

import { isMortiseError } from "../../src/api/errors.ts";
import { readTar } from "../../src/manifest/helios-tar.ts";
import { temporaryFolder } from "./modules.ts";
import { type TarEntry, base256, pax, tar, tarEntry } from "./tar.ts";

const read = (archive: Uint8Array<ArrayBuffer>): Record<string, string> =>
  Object.fromEntries(readTar(archive, "the archive").map(([name, content]) => [name, Buffer.from(content).toString()]));

describe("readTar", () => {
  const long = `${"a".repeat(90)}/${"b".repeat(120)}`;
  const cases: readonly (readonly [title: string, archive: Uint8Array<ArrayBuffer>, files: Record<string, string>])[] = [
    ["reads an archive without entries", tar(), {}],
    ["reads files, empty ones too", tar({ name: "a", content: "1" }, { name: "b" }), { a: "1", b: "" }],
    ["drops ./ in front and in between", tar({ name: "./a", content: "1" }, { name: "b/./c", content: "2" }), { a: "1", "b/c": "2" }],
    ["passes folders by", tar({ name: "d/", type: "5" }, { name: "d/a", content: "1" }), { "d/a": "1" }],
    ["takes the old type of a file", tar({ name: "a", type: "\0", content: "1" }), { a: "1" }],
    ["joins the parts of a ustar name", tar({ name: "b", prefix: "a", content: "1" }), { "a/b": "1" }],
    ["leaves the second part alone in a GNU header", tar({ name: "b", prefix: "times", magic: "ustar  \0", content: "1" }), { b: "1" }],
    ["reads a GNU long name", tar({ name: "././@LongLink", type: "L", content: `${long}\0` }, { name: "a", content: "1" }), { [long]: "1" }],
    ["passes a GNU long link by", tar({ name: "././@LongLink", type: "K", content: "x\0" }, { name: "a", content: "1" }), { a: "1" }],
    ["reads a pax name", tar(pax(["path", long], ["mtime", "1.5"]), { name: "a", content: "1" }), { [long]: "1" }],
    ["reads a pax size", tar(pax(["size", "2"]), { name: "a", content: "12", size: "00000000000\0" }), { a: "12" }],
    ["uses a pax header once", tar(pax(["path", "x"]), { name: "a" }, { name: "b" }), { x: "", b: "" }],
    ["passes a global pax header by", tar({ ...pax(["path", "x"]), type: "g" }, { name: "a", content: "1" }), { a: "1" }],
    ["reads a size of base 256", tar({ name: "a", content: "12", size: base256(2n) }), { a: "12" }],
    ["reads a size with spaces around it", tar({ name: "a", content: "12", size: "         2 \0" }), { a: "12" }],
    ["ignores what follows the end", new Uint8Array(Buffer.concat([tar({ name: "a" }), Buffer.from("rest")])), { a: "" }],
  ];
  for (const [title, archive, files] of cases) it(title, () => assert.deepEqual(read(archive), files));

  it("accepts the sum of signed bytes, which old programs wrote", () => {
    const entry = tarEntry({ name: "ä" });
    entry.fill(" ", 148, 156);
    const sum = entry.subarray(0, 512).reduce((total, byte) => total + (byte > 127 ? byte - 256 : byte), 0);
    entry.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
    assert.deepEqual(read(tar(entry)), { ä: "" });
  });

  it("reads what the program tar writes, in each of its formats", { skip: spawnSync("tar", ["--version"]).status !== 0 && "there is no tar" }, () => {
    const folder = temporaryFolder();
    const name = join("f".repeat(80), "g".repeat(80));
    mkdirSync(join(folder, "f".repeat(80)));
    writeFileSync(join(folder, name), "long");
    writeFileSync(join(folder, "a"), "x".repeat(1000));
    for (const format of ["gnu", "ustar", "pax", "v7"]) {
      const archive = join(folder, `${format}.tar`);
      const names = format === "v7" ? ["a"] : ["a", name];
      const { status, stderr } = spawnSync("tar", ["-c", `--format=${format}`, "-f", archive, "-C", folder, ...names], { encoding: "utf8" });
      assert.equal(status, 0, stderr);
      const expected = format === "v7" ? { a: "x".repeat(1000) } : { a: "x".repeat(1000), [name]: "long" };
      assert.deepEqual(read(new Uint8Array(readFileSync(archive))), expected, format);
    }
  });
});

describe("readTar refuses", () => {
  const entry: TarEntry = { name: "a", content: "1" };
  const whole = tar(entry);
  const cases: readonly (readonly [title: string, archive: Uint8Array<ArrayBuffer>, reason: RegExp])[] = [
    ["a name above the folder", tar({ name: "../a" }), /the name "\.\.\/a" leads out of the archive at byte 0$/],
    ["a name that leaves the folder on the way", tar(entry, { name: "a/../../b" }), /leads out of the archive at byte 1024$/],
    ["an absolute name", tar({ name: "/etc/passwd" }), /"\/etc\/passwd" leads out/],
    ["a name of Windows", tar({ name: "C:\\a" }), /leads out/],
    ["a backslash", tar({ name: "..\\a" }), /leads out/],
    ["a pax name that leads out", tar(pax(["path", "/x"]), entry), /"\/x" leads out/],
    ["a long name that leads out", tar({ name: "l", type: "L", content: "../x\0" }, entry), /"\.\.\/x" leads out/],
    ["an empty name", tar({ name: "" }), /a name is empty or too long/],
    ["an endless name", tar(pax(["path", "x".repeat(5000)]), entry), /a name is empty or too long/],
    ["a name that is not UTF-8", tar({ name: "a", damage: damaged(0, 0xff) }), /a name is not valid UTF-8/],
    ["a hard link", tar({ name: "a", type: "1" }), /"a" is a hard link, which is refused/],
    ["a symbolic link", tar(entry, { name: "b", type: "2" }), /"b" is a symbolic link, which is refused, at byte 1024$/],
    ["a device", tar({ name: "a", type: "3" }), /is a device/],
    ["a pipe", tar({ name: "a", type: "6" }), /is a pipe/],
    ["a sparse file of GNU", tar({ name: "a", type: "S" }), /of the unknown type "S"/],
    ["a name that is given twice", tar(entry, entry), /"a" is there twice, the second at byte 1024$/],
    ["a name that is given twice in two spellings", tar(entry, { name: "./a" }), /"a" is there twice/],
    ["a folder with content", tar({ name: "a/", content: "1" }), /the folder "a\/" has content/],
    ["a wrong checksum", tar({ name: "a", damage: (header) => (header[0] = 0x62) }), /the checksum of a header is wrong at byte 0$/],
    ["a checksum that is no number", tar({ name: "a", damage: (header) => header.fill(0x39, 148, 156) }), /is not an octal number/],
    ["a size that is no number", tar({ name: "a", size: "9999999999z\0" }), /"9999999999z\\u0000" is not an octal number/],
    ["a size beyond the archive", tar({ name: "a", size: "77777777777\0" }), /"a" has 8589934591 bytes, more than there are/],
    ["a size of base 256 beyond the archive", tar({ name: "a", size: base256(1n << 40n) }), /has 1099511627776 bytes, more than there are/],
    ["a size beyond all numbers", tar({ name: "a", size: base256((1n << 90n) + 5n) }), /a size is negative or absurd/],
    ["a negative size", tar({ name: "a", size: "\xff".repeat(12) }), /a size is negative or absurd/],
    ["a pax size beyond the archive", tar(pax(["size", "99999999999"]), entry), /has 99999999999 bytes, more than there are/],
    ["a pax size that is no number", tar(pax(["size", "-1"]), entry), /the size "-1" is not a number/],
    ["a pax record that is longer than the header", tar({ name: "p", type: "x", content: "99 path=a\n" }, entry), /a pax record is broken/],
    ["a pax record without a length", tar({ name: "p", type: "x", content: "path=a\n" }, entry), /a pax record is broken/],
    ["a pax record of no length", tar({ name: "p", type: "x", content: "0 path=a\n" }, entry), /a pax record is broken/],
    ["a pax record without a line end", tar({ name: "p", type: "x", content: "9 path=ab" }, entry), /a pax record is broken/],
    ["a pax record without a key", tar({ name: "p", type: "x", content: "5 =a\n" }, entry), /a pax record is broken/],
    [
      "a pax header that is too long",
      tar({ name: "p", type: "x", content: " ".repeat(70_000) }, entry),
      /a header has 70000 bytes, but may have 65536/,
    ],
    ["an archive cut within the content", whole.subarray(0, 600), /"a" has 1 bytes|cut off/],
    ["an archive cut within a header", whole.subarray(0, 100), /it is cut off, without the empty block that ends an archive, at byte 0$/],
    ["an archive without an end", whole.subarray(0, 1024), /it is cut off.* at byte 1024$/],
    ["nothing", new Uint8Array(0), /it is cut off/],
    ["too many entries", tar(...Array.from({ length: 1025 }, (_unused, index) => ({ name: `f${index}` }))), /more than 1024 entries/],
  ];
  for (const [title, archive, reason] of cases) {
    it(title, () => assert.throws(() => readTar(archive, "the archive"), { code: "MORTISE_MANIFEST_INVALID", message: reason }));
  }

  it("any damage with a coded error, or reads it", () => {
    const archive = tar(
      pax(["path", "name"]),
      entry,
      { name: "././@LongLink", type: "L", content: "long\0" },
      { name: "b", content: "x".repeat(600) },
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.nat(archive.length - 1), fc.nat(255)), { maxLength: 6 }), fc.nat(archive.length), (changes, length) => {
        const hostile = archive.slice(0, Math.max(length, 512));
        for (const [at, byte] of changes) if (at < hostile.length) hostile[at] = byte;
        try {
          for (const [name] of readTar(hostile, "it")) assert.ok(!name.startsWith("/") && !name.split("/").includes(".."), name);
        } catch (error) {
          assert.ok(isMortiseError(error) && error.code === "MORTISE_MANIFEST_INVALID", String(error));
        }
      }),
      { numRuns: 500 },
    );
  });
});

/** Sets one byte and makes the checksum right again. */
function damaged(at: number, byte: number): (header: Uint8Array) => void {
  return (header) => {
    header[at] = byte;
    header.fill(0x20, 148, 156);
    const sum = header.reduce((total, each) => total + each, 0);
    header.set(Buffer.from(`${sum.toString(8).padStart(6, "0")}\0 `), 148);
  };
}
