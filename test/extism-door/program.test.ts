import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, it } from "node:test";

import { WASI_GUEST } from "./modules.ts";
import type { Modules as DoorModules, reverse as doorReverse } from "./program/with-door.ts";
import type { Modules as PackageModules, reverse as packageReverse } from "./program/with-package.ts";
import { assemble } from "./sdks.ts";

const root = new URL("../../", import.meta.url).pathname;
const textOf = (name: string): string => readFileSync(new URL(`program/${name}.ts`, import.meta.url), "utf8");

function run(args: readonly string[], env: Readonly<Record<string, string>> = {}): { stdout: string; stderr: string; status: number | null } {
  const { stdout, stderr, status } = spawnSync(process.execPath, ["--conditions=source", "--disable-warning=ExperimentalWarning", ...args], {
    cwd: root,
    encoding: "utf8",
    env: { ...process.env, ...env, NODE_TEST_CONTEXT: "" },
  });
  return { stdout, stderr, status };
}

describe("A program for the package", () => {
  it("runs with the door after changing only the import", () => {
    assert.equal(textOf("with-door").replaceAll('"mortise/extism"', '"@extism/extism"'), textOf("with-package"));
    const theirs = run(["test/extism-door/program/with-package.ts"]);
    const ours = run(["test/extism-door/program/with-door.ts"]);
    assert.equal(theirs.status, 0, theirs.stderr);
    assert.ok(theirs.stdout.includes("ada: hello (5, 104)"), theirs.stdout);
    assert.deepEqual(ours, theirs);
  });
});

/** What was written for the package's types fits the door's: checked by the compiler. */
export const fitting: {
  readonly modules: (modules: PackageModules) => DoorModules;
  readonly context: (context: Parameters<typeof doorReverse>[0]) => Pick<Parameters<typeof packageReverse>[0], "alloc" | "hostContext" | "store">;
} = { modules: (modules) => modules, context: (context) => context };

describe("require", () => {
  const require = createRequire(import.meta.url);

  it("gives createPlugin with the other exports on it, as the package does", () => {
    const theirs = require("@extism/extism") as Record<string, unknown>;
    const ours = require("mortise/extism") as Record<string, unknown>;
    for (const sdk of [ours, theirs]) {
      assert.equal(typeof sdk, "function");
      assert.deepEqual(Object.keys(sdk).toSorted(), ["CAPABILITIES", "createPlugin", "default", "newPlugin"]);
      assert.equal(sdk["createPlugin"], sdk["newPlugin"]);
    }
    assert.equal(ours["createPlugin"], ours);
    assert.deepEqual(ours["CAPABILITIES"], theirs["CAPABILITIES"]);
  });
});

describe("A process", () => {
  const script = (sdk: string, options: string): string => `
    import createPlugin from ${JSON.stringify(sdk)};
    const functions = { u: { seen() {} } };
    const data = Buffer.from(process.env.GUEST, "base64");
    const plugin = await createPlugin({ wasm: [{ data }] }, { useWasi: true, functions, ...${options} });
    await plugin.call("say");`;
  const guest = assemble(WASI_GUEST).then((bytes) => Buffer.from(bytes).toString("base64"));

  const outputs: readonly [options: string, env: Record<string, string>, stdout: string][] = [
    ["{}", {}, ""],
    ["{ enableWasiOutput: true }", {}, "hello wasi\n"],
    ["{}", { EXTISM_ENABLE_WASI_OUTPUT: "1" }, "hello wasi\n"],
    ["{ enableWasiOutput: false }", { EXTISM_ENABLE_WASI_OUTPUT: "1" }, ""],
  ];
  for (const [options, env, stdout] of outputs) {
    it(`prints ${JSON.stringify(stdout)} of the plugin with ${options} and ${JSON.stringify(env)}, as with the package`, async () => {
      for (const sdk of ["@extism/extism", "mortise/extism"]) {
        const result = run(["--input-type=module", "--eval", script(sdk, options)], { GUEST: await guest, ...env });
        assert.equal(result.status, 0, result.stderr);
        assert.equal(result.stdout, stdout, sdk);
      }
    });
  }

  for (const options of ["{ timeoutMs: 600_000 }", "{ timeoutMs: 600_000, runInWorker: true }"]) {
    it(`ends when its work is done, though the plugin was not closed, with ${options}`, async () => {
      const { status, stderr } = run(["--input-type=module", "--eval", script("mortise/extism", options)], { GUEST: await guest });
      assert.equal(status, 0, stderr);
    });
  }
});
