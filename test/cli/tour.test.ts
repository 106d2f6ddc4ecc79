// The tour: shows what it promises, plainly in a pipe, and its commands work.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { describe, it } from "node:test";

import { ROOT, runCli } from "./run-cli.ts";

describe("The tour in a pipe", async () => {
  const began = performance.now();
  const { stdout, stderr, exitCode } = await runCli([], { program: "tour" });
  const tookMs = performance.now() - began;

  it("finds everything as it should be, in a few seconds", () => {
    assert.deepEqual([stderr, exitCode], ["", 0]);
    assert.match(stdout, /All 24 checks passed in [\d.]+ s\n/);
    assert.ok(tookMs < 20_000, `it took ${tookMs} ms`);
  });

  it("has no escape codes and no box drawing, in 80 columns", () => {
    assert.ok(!stdout.includes("\u001b"));
    assert.doesNotMatch(stdout, /[\u2500-\u259f]/);
    assert.deepEqual(
      stdout.split("\n").filter((line) => line.length > 80 || line !== line.trimEnd()),
      [],
    );
  });

  it("shows four plugins with size, time, fuel and memory", () => {
    for (const row of [
      /AssemblyScript {2}[\d.]+ KiB {2}count_vowels +[\d.]+ ms +[\d.]+ [kM] +[\d.]+ [KM]iB\n {4}\{"count":/,
      /C +[\d.]+ KiB {2}sha256 +[\d.]+ ms +[\d.]+ [kM] +[\d.]+ [KM]iB\n {4}\{"sha256":"/,
      /Rust +[\d.]+ KiB {2}top_words +[\d.]+ ms +[\d.]+ [kM] +[\d.]+ [KM]iB\n {4}\[\{"word":"/,
      /Go +[\d.]+ MiB {2}readability +[\d.]+ ms +[\d.]+ [kM] +[\d.]+ MiB\n {4}\{"sentences":/,
    ]) {
      assert.match(stdout, row);
    }
  });

  it("shows how three hostile plugins are stopped, and that the next call works", () => {
    assert.match(stdout, /loops for ever {2}MORTISE_TIMEOUT .* ms +.* works\n/);
    assert.match(stdout, /grows for ever {2}MORTISE_MEMORY_LIMIT .* ms +.* works\n/);
    assert.match(stdout, /call bomb +MORTISE_TIMEOUT .* ms +.* works\n/);
    assert.match(stdout, /The event loop went on: \d+ ticks/);
  });

  it("shows a plugin's requests refused, allowed, and led astray", () => {
    assert.match(stdout, /\n {2}nothing {4}\/hello {4}MORTISE_PERMISSION +[\d.]+ ms\n/);
    assert.match(stdout, /\n {2}127\.0\.0\.1 {2}\/hello {4}200 +[\d.]+ ms\n {4}Hello from the tour's own server\n/);
    assert.match(stdout, /\n {2}127\.0\.0\.1 {2}\/away +MORTISE_HTTP_DENIED +[\d.]+ ms\n {4}HTTP to "169\.254\.169\.254" is not allowed: /);
  });

  it("shows a program without files, with a folder, and unable to leave it", () => {
    assert.match(stdout, /\n {2}nothing +\/guests\/README\.md +1 +[\d.]+ ms\n {4}word_count: /);
    assert.match(stdout, /\n {2}guests, for reading +\/guests\/README\.md +0 +[\d.]+ ms\n {4}\d+ \d+ \d+ \/guests\/README\.md\n/);
    assert.match(stdout, /\n {2}guests, for reading +\/guests\/\.\.\/README\.md +1 +[\d.]+ ms\n {4}word_count: /);
  });

  it("suggests four commands that do what it says", () => {
    const commands = stdout
      .replaceAll(/\\\n\s+/g, "")
      .split("\n")
      .filter((line) => line.includes("npm run"));
    const codes = commands.map((command) => {
      const direct = command.replace("npm run -s mortise --", `'${process.execPath}' --conditions=source src/cli/main.ts`);
      const { status, stdout: shown, stderr: said } = spawnSync("sh", ["-c", direct], { cwd: ROOT, encoding: "utf8" });
      return [status, /^(interface|\{"count":5|[\d ]+ {2}\/docs\/errors\.md$|mortise: MORTISE_FUEL)/m.test(shown + said)];
    });
    assert.deepEqual(codes, [
      [0, true],
      [0, true],
      [0, true],
      [1, true],
    ]);
  });
});
