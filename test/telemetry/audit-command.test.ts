// The command that prints an audit log.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";

import { decisions } from "../../src/api/channels.ts";
import { createAudit } from "../../src/telemetry/audit/create-audit.ts";
import { runCli } from "../cli/run-cli.ts";
import { decisionEvent } from "./events.ts";

const folder = mkdtempSync(join(tmpdir(), "telemetry-cli-"));
const path = join(folder, "audit.log");
const database = join(folder, "audit.db");
const keyed = join(folder, "keyed.log");
const HEAD = /^mortise: note: 3 entries, all of them as they were written; the last is 3, [0-9a-f]{64}\n$/;

before(async () => {
  const clock = (): number => Date.UTC(2026, 0, 2, 3, 4, 5, 678);
  for (const options of [{ sink: { file: path } }, { sink: { sqlite: database } }, { sink: { file: keyed }, key: "a key" }]) {
    await using audit = await createAudit({ ...options, clock });
    decisions.publish(decisionEvent({ reason: "no\u001b[2J" }));
    decisions.publish(decisionEvent({ request: "r-2", plugin: "other", action: "replace", reason: undefined as never, changed: ["sql"] }));
    decisions.publish(decisionEvent({ request: "r-3", action: "answer", function: "route", target: "standby", reason: undefined as never }));
    await audit.flush();
  }
});
after(() => rmSync(folder, { recursive: true, force: true }));

const LINES = [
  String.raw`2026-01-02T03:04:05.678Z  block  hook=check  plugin=p@1  sha256=dddddddddddd  request=r-1  reason="no\u001b[2J"`,
  "2026-01-02T03:04:05.678Z  rewrite  hook=check  plugin=other@1  sha256=dddddddddddd  request=r-2  changed=sql",
  "2026-01-02T03:04:05.678Z  route  hook=check  plugin=p@1  sha256=dddddddddddd  request=r-3  to=standby",
];

describe("mortise audit", () => {
  for (const [what, args, lines] of [
    ["a file", [path], LINES],
    ["a database", [database], LINES],
    ["decisions for one request", [path, "--request", "r-2"], LINES.slice(1, 2)],
    ["decisions of one plugin", [database, "--plugin", "p"], [LINES[0], LINES[2]]],
    ["nothing, if nothing fits", [path, "--plugin", "p", "--request", "r-2"], []],
  ] as const) {
    it(`prints ${what}, and that it is whole`, async () => {
      const result = await runCli(["audit", ...args]);
      assert.deepEqual([result.stdout, result.exitCode], [lines.map((line) => `${line}\n`).join(""), 0]);
      assert.match(result.stderr, HEAD);
    });
  }

  it("prints JSON lines, and the verdict at the end", async () => {
    const { stdout, stderr, exitCode } = await runCli(["audit", path, "--json", "--request", "r-1"]);
    const [entry, verdict, ...rest] = stdout
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.deepEqual([stderr, exitCode, rest], ["", 0, []]);
    assert.deepEqual([entry?.["seq"], entry?.["kind"], entry?.["request"]], [1, "block", "r-1"]);
    assert.deepEqual([verdict?.["ok"], verdict?.["entries"], verdict?.["file"]], [true, 3, path]);
  });

  it("says where a log was changed, and exits with 1", async () => {
    const changed = join(folder, "changed.log");
    writeFileSync(changed, readFileSync(path, "utf8").replace("r-2", "r-9"));
    const { stdout, stderr, exitCode } = await runCli(["audit", changed]);
    assert.deepEqual([stdout, exitCode], [`${LINES[0]}\n${LINES[2]}\n`, 1]);
    assert.equal(stderr, `mortise: MORTISE_AUDIT_BROKEN: Cannot vouch for audit log "${changed}": line 2: its hash is not that of its content\n`);
    const json = await runCli(["audit", changed, "--json"]);
    const verdict = JSON.parse(json.stdout.trimEnd().split("\n").at(-1) ?? "") as { ok: boolean; problems: unknown };
    assert.deepEqual([json.exitCode, verdict.ok, verdict.problems], [1, false, [{ line: 2, reason: "its hash is not that of its content" }]]);
  });

  it("checks with a key from a file", async () => {
    const key = join(folder, "key");
    writeFileSync(key, "a key\n");
    assert.equal((await runCli(["audit", keyed, "--key-file", key])).exitCode, 0);
    assert.equal((await runCli(["audit", keyed])).exitCode, 1);
    const missing = await runCli(["audit", keyed, "--key-file", join(folder, "none")]);
    assert.equal(missing.exitCode, 2);
    assert.match(missing.stderr, /^mortise: MORTISE_USAGE: cannot read the key file ".*": it does not exist$/m);
  });

  for (const [what, file, reason] of [
    ["is not there", join(folder, "none"), "it does not exist"],
    ["is a folder", folder, "it is a directory"],
  ] as const) {
    it(`refuses a log that ${what} with exit code 3`, async () => {
      const { stdout, stderr, exitCode } = await runCli(["audit", file]);
      assert.deepEqual([stdout, stderr, exitCode], ["", `mortise: MORTISE_AUDIT_UNREADABLE: Cannot read audit log "${file}": ${reason}\n`, 3]);
    });
  }

  it("prints help in 80 columns", async () => {
    const { stdout, exitCode } = await runCli(["audit", "--help"]);
    assert.equal(exitCode, 0);
    assert.ok(stdout.split("\n").every((line) => line.length <= 80));
  });
});
