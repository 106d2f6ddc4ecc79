// Loads a server with wrk, in a closed loop: each connection sends its next request when it has its answer.

import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import type { PeerProgram } from "../scripts/toolchain-peers.ts";
import { usageOf } from "./row-gateway-processes.ts";

const execute = promisify(execFile);

/** Who is loaded. */
export interface Loaded {
  readonly url: string;
  readonly pid: number;
  readonly headers: Readonly<Record<string, string>>;
}

/** How. */
export interface Load {
  readonly connections: number;
  readonly seconds: number;
  readonly body: string;
}

/** What came of it. */
export interface Measured {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** CPU seconds of the loaded process tree for 1,000 requests. */
  readonly cpuPer1000: number;
  readonly rssBytes: number;
  /** Answers with another status than 2xx and 3xx, and connections that failed. */
  readonly errors: number;
}

/** Lua's texts are JSON's, as long as they are ASCII. */
const lua = (text: string): string => JSON.stringify(text);

function script({ headers }: Loaded, body: string): string {
  const all = { "content-type": "application/json", ...headers };
  return [
    'wrk.method = "POST"',
    ...Object.entries(all).map(([name, value]) => `wrk.headers[${lua(name)}] = ${lua(value)}`),
    `wrk.body = ${lua(body)}`,
    "done = function(summary, latency)",
    "  local e = summary.errors",
    '  print(string.format(\'RESULT {"requests":%d,"us":%d,"p50":%d,"p99":%d,"errors":%d}\', summary.requests, summary.duration,',
    "    latency:percentile(50), latency:percentile(99), e.connect + e.read + e.write + e.status + e.timeout))",
    "end",
    "",
  ].join("\n");
}

/** Loads a server for some seconds. */
export async function load(wrk: PeerProgram, loaded: Loaded, { connections, seconds, body }: Load): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "mortise-bench-"));
  try {
    const path = join(folder, "load.lua");
    writeFileSync(path, script(loaded, body));
    const args = ["-t1", `-c${connections}`, `-d${seconds}s`, "--timeout", "30s", "-s", path, `${loaded.url}/v1/chat/completions`];
    const before = usageOf(loaded.pid);
    const { stdout } = await execute(wrk.program, args, { env: { ...process.env, ...wrk.env } });
    const after = usageOf(loaded.pid);
    const result = JSON.parse(/^RESULT (.*)$/m.exec(stdout)?.[1] ?? "null") as {
      readonly requests: number;
      readonly us: number;
      readonly p50: number;
      readonly p99: number;
      readonly errors: number;
    };
    return {
      perSecond: (result.requests * 1e6) / result.us,
      p50Ms: result.p50 / 1000,
      p99Ms: result.p99 / 1000,
      cpuPer1000: ((after.cpuSeconds - before.cpuSeconds) * 1000) / Math.max(1, result.requests),
      rssBytes: after.rssBytes,
      errors: result.errors,
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
