// The prebuilt native plugins: made from the sources that are here.

import assert from "node:assert/strict";
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";

import { sha256 } from "../../scripts/guests-manifest.ts";
import { NATIVE_GUESTS } from "../../scripts/native-table.ts";
import { NATIVE_PREBUILT, compileNativeGuest, nativeCompiler, nativeSourceDigests, readNativeManifest } from "../../scripts/native.ts";

const manifest = readNativeManifest();

describe("guests/native/prebuilt", () => {
  it("has a manifest that names every plugin of the table and no other", () => {
    assert.deepEqual(
      Object.keys(manifest),
      NATIVE_GUESTS.map(({ name }) => name),
    );
  });

  for (const guest of NATIVE_GUESTS) {
    it(`has ${guest.name} as the manifest says, small, and without paths of a machine`, () => {
      const library = readFileSync(join(NATIVE_PREBUILT, guest.name));
      const entry = manifest[guest.name];
      assert.deepEqual(entry?.sources, nativeSourceDigests(guest), "sources changed: run npm run native");
      assert.deepEqual(entry.flags, guest.flags, "flags changed: run npm run native");
      assert.equal(entry.sha256, sha256(library));
      assert.equal(entry.bytes, library.length);
      assert.ok(library.length < 600_000);
      for (const path of ["/root/", "/home/", "/registry/src/", "guest-native-"]) assert.ok(!library.includes(path), path);
    });
  }

  // Rust takes a minute and the network: npm run native does that.
  for (const guest of NATIVE_GUESTS.filter(({ language }) => language === "c")) {
    it(`has the same bytes when ${guest.name} is built again`, (t) => {
      const compiler = nativeCompiler(guest);
      if (compiler !== manifest[guest.name]?.compiler) {
        t.skip(`it was built by ${manifest[guest.name]?.compiler}, and this machine has ${compiler ?? "no such compiler"}`);
        return;
      }
      assert.equal(sha256(compileNativeGuest(guest)), manifest[guest.name]?.sha256);
    });
  }
});
