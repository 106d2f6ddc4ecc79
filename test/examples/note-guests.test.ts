// The plugins for notes: what they make of texts, and what of plugins and permissions that are not there.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { describe, it } from "node:test";

import { isMortiseError } from "../../src/api/errors.ts";
import type { Permissions } from "../../src/api/permissions.ts";
import { hook } from "../../src/hooks/definition.ts";
import { type Host, createHost } from "../../src/manager/create-host.ts";
import { type Services, createServices } from "../../src/services/create-services.ts";

interface Note {
  readonly author: string;
  readonly text: string;
}

const hooks = { beforeSave: hook.chain<Note>() };

async function prebuilt(name: string): Promise<Uint8Array<ArrayBuffer>> {
  return new Uint8Array(await readFile(new URL(`../../guests/prebuilt/${name}.wasm`, import.meta.url)));
}

const AUTHORS = ["Ada", '"text":"a', "", '\\","text":"b'];

describe("The plugins for notes", () => {
  for (const [guest, given, expected] of [
    ["tidy.ts", "call  0123   456", "call 0123 456"],
    ["tidy.ts", " \n a\t\r\nb \n", "a b"],
    ["tidy.ts", String.raw`\n  C:\new  "q"`, String.raw`\n C:\new "q"`],
    ["tidy.ts", "é  \u{1f600}\u0001", "é \u{1f600}\u0001"],
    ["tidy.ts", "", ""],
    ["tidy.ts", "  ", ""],
    ["tidy.ts", "\\", "\\"],
    ["tidy.ts", "a  ".repeat(20_000), "a ".repeat(20_000).trimEnd()],
    ["tidy_2.ts", "  call  me", "Call me."],
    ["tidy_2.ts", "Why?", "Why?"],
    ["tidy_2.ts", "z", "Z."],
    ["tidy_2.ts", '"quoted"', '"quoted".'],
    ["tidy_2.ts", "  ", ""],
  ] as const) {
    it(`make of ${JSON.stringify(given.slice(0, 40))} what they should: ${guest}`, async () => {
      await using host = await createHost({ hooks });
      await host.plugins.load(await prebuilt(guest), { name: "tidy" });
      for (const author of AUTHORS) assert.deepEqual(await host.hooks.beforeSave({ author, text: given }), { author, text: expected });
    });
  }

  const GRANTED: Permissions = { kv: "read-write", call: ["digest:sha256"] };
  async function openStamp(services: Services, permissions: Permissions, digest: string | undefined): Promise<Host<typeof hooks>> {
    const host = await createHost({ hooks, services });
    if (digest !== undefined) await host.plugins.load(await prebuilt(digest), { name: "digest" });
    await host.plugins.load(await prebuilt("stamp.ts"), { name: "stamp", permissions });
    return host;
  }

  it("number notes on, in whatever host of the same store", async () => {
    await using services = createServices();
    for (const number of [1, 2]) {
      await using host = await openStamp(services, GRANTED, "sha256.c");
      assert.deepEqual(await host.hooks.beforeSave({ author: "Ada", text: "" }), { author: "Ada", text: "", number, digest: "e3b0c44298fc" });
    }
  });

  for (const [what, permissions, digest, code] of [
    ["without the store", { call: ["digest:sha256"] }, "sha256.c", "MORTISE_PERMISSION"],
    ["without the call", { kv: "read-write" }, "sha256.c", "MORTISE_PERMISSION"],
    ["without the plugin", GRANTED, undefined, "MORTISE_PLUGIN_CALL_REFUSED"],
    ["with a plugin that has no such function", GRANTED, "echo.c", "MORTISE_PLUGIN_CALL_FAILED"],
  ] as const satisfies readonly (readonly [string, Permissions, string | undefined, string])[]) {
    it(`save nothing ${what}`, async () => {
      await using services = createServices();
      await using host = await openStamp(services, permissions, digest);
      await assert.rejects(host.hooks.beforeSave({ author: "Ada", text: "a" }), (error) => {
        assert.ok(isMortiseError(error));
        assert.deepEqual([error.code, error.details["code"]], ["MORTISE_HOOK_FAILED", code]);
        return true;
      });
    });
  }
});
