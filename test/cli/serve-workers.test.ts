// `mortise serve --workers`: what they share, and what becomes of one that dies.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";

import { runCli } from "./run-cli.ts";
import { ECHO, type StartedServe, ask, configFile, startServe } from "./start-serve.ts";

const SHARED = `[store]\nkind = "sqlite"\npath = "state.db"\n${ECHO}`;

async function metricsOf(server: StartedServe): Promise<string> {
  return (await fetch(server.metrics)).text();
}

describe("mortise serve --workers", () => {
  it("shares rates, replaces a worker that dies, reloads all, and drains", async (t) => {
    const { file } = configFile(t, `${SHARED}[[gateway.rates]]\nrequests = 12\nwindow_ms = 2000000000\n`);
    const server = await startServe(t, ["--config", file, "--workers", "2"]);
    assert.match(server.output(), /a gateway to language models, in 2 processes/);
    const statuses = async (count: number): Promise<number[]> => {
      const answers = await Promise.all(Array.from({ length: count }, () => ask(server.url, "Hello", { connection: "close" })));
      return answers.map(({ status }) => status);
    };
    const before = (await statuses(8)).concat(await statuses(2));
    assert.deepEqual([...new Set(before)], [200]);
    const metrics = await metricsOf(server);
    const counted = [...metrics.matchAll(/^mortise_gateway_requests_total\{worker="(\d)",.*\} (\d+)$/gm)].map(([, worker, count]) => [
      worker,
      Number(count),
    ]);
    assert.deepEqual(
      counted.map(([worker]) => worker),
      ["1", "2"],
      "both have served",
    );
    assert.equal(
      counted.reduce((sum, [, count]) => sum + Number(count), 0),
      10,
    );
    assert.equal(metrics.match(/^# TYPE mortise_gateway_requests_total counter$/gm)?.length, 1);

    const [, pid = ""] = /pid=(\d+) worker=1/.exec(server.log()) ?? assert.fail("the log has the worker's process");
    process.kill(Number(pid), "SIGKILL");
    await server.logged(/error +a worker has died, and is replaced worker=1 signal=SIGKILL wait_ms=100\n/);
    await server.logged(/pid=\d+ worker=1\n[^]*pid=\d+ worker=1\n/);
    assert.deepEqual(
      (await statuses(4)).toSorted((a, b) => a - b),
      [200, 200, 429, 429],
      "what was counted stays counted",
    );

    writeFileSync(file, SHARED);
    server.child.kill("SIGHUP");
    await server.logged(/took over the configuration why=SIGHUP.* worker=1\n/);
    await server.logged(/took over the configuration why=SIGHUP.* worker=2\n/);
    assert.deepEqual([...new Set(await statuses(4))], [200]);

    server.child.kill("SIGTERM");
    assert.deepEqual(await server.ended, [0, null]);
    assert.match(server.log(), / stopped\n$/);
  });

  it("goes on when it speaks to a worker whose death it has not noticed", async () => {
    const program = spawn(process.execPath, ["--conditions=source", join(import.meta.dirname, "busy-primary.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    assert.equal(await text(program.stdout), 'x{worker="1"} 1\ndrained\n');
  });

  it("lets workers have state of their own only if it is told to, and ends all of them at the second signal", async (t) => {
    const server = await startServe(t, ["--config", configFile(t, ECHO).file, "--workers", "2", "--separate-state"]);
    const pids = [...server.log().matchAll(/pid=(\d+) worker=\d/g)].map(([, pid]) => Number(pid));
    assert.equal(pids.length, 2);
    process.kill(pids[0] ?? 0, "SIGSTOP");
    server.child.kill("SIGINT");
    const again = setInterval(() => server.child.kill("SIGINT"), 50);
    const ended = await server.ended; // which waits for all who have its stderr, workers too
    clearInterval(again);
    assert.deepEqual(ended, [130, null]);
  });

  it("ends with the failure of its first worker", async (t) => {
    const { file } = configFile(t, `${SHARED}[[plugins]]\nname = "p"\nsource = "none.wasm"\n`);
    const result = await runCli(["serve", "--port", "0", "--config", file, "--workers", "2"]);
    assert.equal(result.stderr.match(/MORTISE_SOURCE_NOT_FOUND/g)?.length, 1, result.stderr);
    assert.deepEqual([result.stdout, result.exitCode], ["", 3]);
  });
});
