// docs/providers.md tells every key of every provider that is shipped, and no other.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";

import { loadProvider } from "mortise";
import { readKitPrebuilt } from "../../../scripts/kits-manifest.ts";
import { kitNamed } from "../../../scripts/kits-table.ts";
import { keyTable } from "./key-tables.ts";
import { VENDORS } from "./vendors.ts";

const page = readFileSync(join(import.meta.dirname, "../../../docs/providers.md"), "utf8");

describe("The page about the providers that are shipped", () => {
  for (const { kit } of VENDORS)
    it(`has the keys of ${kit} as its schema has them`, async () => {
      await using provider = await loadProvider(readKitPrebuilt(kitNamed(kit)), { name: kit });
      const table = keyTable(provider);
      assert.ok(page.includes(`\n${table}\n`), `the page lacks this table:\n${table}`);
    });
});
