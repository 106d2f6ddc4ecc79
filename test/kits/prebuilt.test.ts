// The prebuilt modules of the kits: made from the sources that are here, and from these alone.

import assert from "node:assert/strict";
import { describe, it } from "node:test";

import { sha256 } from "../../scripts/guests-manifest.ts";
import { compileKit, openKit } from "../../scripts/kits.ts";
import { kitEntry, readKitManifest, readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { KITS } from "../../scripts/kits-table.ts";
import { isMissing } from "../../scripts/toolchain-interface.ts";

const manifest = readKitManifest();

describe("The manifest of the kits' modules", () => {
  it("names every kit of the table and no other", () => {
    assert.deepEqual(
      Object.keys(manifest),
      KITS.map(({ name }) => name),
    );
  });

  for (const kit of KITS) {
    it(`describes ${kit.name}.wasm and the sources that are here now`, () => {
      const entry = manifest[kit.name];
      assert.ok(entry !== undefined);
      assert.deepEqual(entry, kitEntry(kit, entry.compiler, readKitPrebuilt(kit)), "run npm run kits -- --write");
    });

    it(`has no path of a machine in ${kit.name}.wasm`, () => {
      const text = Buffer.from(readKitPrebuilt(kit)).toString("latin1");
      assert.deepEqual(text.match(/\/(?:home|root|tmp|work|Users)\/[\w./-]+|registry\/src|\.toolchains/g), null);
    });
  }

  it("lists no module above 1 MB except Go's", () => {
    const large = Object.entries(manifest).filter(([name, { bytes }]) => bytes > 1_000_000 && !/\bgo$/.test(name));
    assert.deepEqual(large, []);
  });
});

describe("A kit's plugin built again", () => {
  for (const kit of KITS.filter(({ cheap }) => cheap)) {
    it(`has the same bytes in ${kit.name}`, async () => {
      const toolchain = await openKit(kit);
      assert.ok(!isMissing(toolchain));
      assert.equal(toolchain.version, manifest[kit.name]?.compiler);
      assert.equal(sha256(await compileKit(kit, toolchain)), manifest[kit.name]?.sha256, "run npm run kits -- --write");
    });
  }
});
