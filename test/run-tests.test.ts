// The runner of the tests: whatever a file does, its failure is one of the run's.

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { fileURLToPath } from "node:url";

const SCRIPTS = new URL("../scripts/", import.meta.url);
const folder = mkdtempSync(join(tmpdir(), "mortise-run-tests-"));
after(() => rmSync(folder, { recursive: true }));

/** Runs a program as if it were no test's. */
function start(args: readonly string[]): { readonly status: number | null; readonly stdout: string } {
  const { NODE_TEST_CONTEXT: _context, NODE_OPTIONS: _options, ...env } = process.env;
  return spawnSync(process.execPath, ["--conditions=source", ...args], { encoding: "utf8", env });
}

function write(name: string, text: string): string {
  const file = join(folder, `${name}.test.mjs`);
  writeFileSync(file, `import { it } from "node:test";\n${text}`);
  return file;
}

const fine = write("fine", `it("is fine", () => {}); it("may fail", { todo: true }, () => { throw new Error("not yet"); });`);
const cases: readonly (readonly [what: string, text: string, said: RegExp])[] = [
  ["has a test that fails", `it("says no", () => { throw new Error("no"); });`, /✖ says no [^]*Error: no/],
  ["crashes", `it("is fine", () => {}); it("crashes", () => process.abort());`, /✖ .*crashes\.test\.mjs/],
  ["cannot be loaded", `import "./not-there.mjs";`, /✖ .*cannot-be-loaded\.test\.mjs/],
  [
    "leaves before its tests have ended",
    `it("leaves", () => process.exit(0)); it("says no", () => { throw 1; });`,
    /the file ended before its tests had/,
  ],
  ["has no tests", "", /the file ended before its tests had, or it has none/],
  [
    "rejects after its tests",
    `it("is fine", () => void setTimeout(() => Promise.reject(new Error("late")), 5));`,
    /✖ .*rejects-after-its-tests\.test\.mjs/,
  ],
  ["waits for what never comes", `it("waits", { timeout: 20 }, () => new Promise(() => {}));`, /test timed out after 20ms/],
];

describe("npm test", () => {
  it("succeeds with tests that pass, or fail as they are known to", () => {
    const { status, stdout } = start([fileURLToPath(new URL("run-tests.ts", SCRIPTS)), fine]);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /✔ is fine [^]*tests 2\n/);
  });

  for (const [what, text, said] of cases) {
    it(`fails with a file that ${what}, and says so`, () => {
      const { status, stdout } = start([fileURLToPath(new URL("run-tests.ts", SCRIPTS)), fine, write(what.replaceAll(" ", "-"), text)]);
      assert.equal(status, 1, stdout);
      assert.match(stdout, said);
    });
  }

  it("fails with a file that holds its thread, or is held by something that it has not closed", () => {
    const held = [`it("holds", () => { for (;;); });`, `it("is held", () => void setInterval(() => {}, 1000));`];
    const files = held.map((text, index) => write(`held-${index}`, text));
    const program = `import { runTestFile } from ${JSON.stringify(new URL("run-test-file.ts", SCRIPTS))};
      for (const file of ${JSON.stringify(files)}) {
        const { events } = await runTestFile(file, 1000);
        console.log(events.filter(({ type }) => type === "test:fail").map(({ data }) => data.details.error.message).join());
      }`;
    const file = join(folder, "program.mjs");
    writeFileSync(file, program);
    assert.equal(start([file]).stdout, "The operation was aborted due to timeout\n".repeat(2));
  });
});
