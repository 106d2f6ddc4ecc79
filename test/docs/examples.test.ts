// Every program under examples/ prints what the file beside it says. UPDATE_SAMPLES=1 writes those files anew.

import assert from "node:assert/strict";
import { globSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { describe, it } from "node:test";

import { ROOT } from "../cli/run-cli.ts";
import { PAGES } from "./pages.ts";
import { outputOf } from "./run-file.ts";

const names = globSync("examples/*.ts", { cwd: ROOT }).map((path) => basename(path, ".ts"));
/** Does not end by itself: it has tests of its own, test/examples/server.test.ts. */
const SERVER = "server";

describe("The examples", () => {
  for (const name of names.filter((each) => each !== SERVER)) {
    it(`print what they should: ${name}`, async () => {
      const output = await outputOf(join(ROOT, "examples", `${name}.ts`));
      const sample = join(ROOT, "examples", `${name}.txt`);
      if (process.env["UPDATE_SAMPLES"] === "1") await writeFile(sample, output);
      assert.equal(output, (await readFile(sample, "utf8")).replaceAll("\r\n", "\n"));
    });
  }

  it("are there, each with its output, and each is named in the README", () => {
    assert.ok(names.length > 0);
    const samples = globSync("examples/*.txt", { cwd: ROOT }).map((path) => basename(path, ".txt"));
    assert.deepEqual(samples.toSorted(), names.toSorted());
    const readme = PAGES.find(({ path }) => path === "README.md")?.text ?? "";
    assert.deepEqual(
      names.filter((name) => !readme.includes(`(examples/${name}.ts)`)),
      [],
    );
  });
});
