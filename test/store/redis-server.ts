// A Redis server of its own for a test, on a socket in a temporary folder.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

import { createClient } from "@redis/client";

import { type RedisProgram, openRedis } from "../../scripts/toolchain-redis.ts";

const found = openRedis();
/** Why there is no server on this machine; false if there is one. */
export const skip: string | false = "missing" in found ? `no redis-server: ${found.missing}` : false;

export interface RedisServer extends AsyncDisposable {
  readonly url: string;
  readonly process: ChildProcess;
  /** Ends it without a word, as a crash would. */
  kill(): Promise<void>;
  /** Starts it again, with the data that it had written. */
  start(): Promise<void>;
  /** Sends one command over a connection of its own. */
  command(...args: string[]): Promise<unknown>;
}

export async function startRedis(...settings: string[]): Promise<RedisServer> {
  const folder = mkdtempSync(join(tmpdir(), "store-redis-"));
  const path = join(folder, "socket");
  const args = ["--port", "0", "--unixsocket", path, "--dir", folder, "--save", "", ...settings];
  let child = await launch(found as RedisProgram, args);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return {
    url: `unix://${path}`,
    get process() {
      return child;
    },
    kill,
    async start() {
      child = await launch(found as RedisProgram, args);
    },
    async command(...command) {
      const client = createClient({ socket: { path, tls: false } });
      await client.connect();
      try {
        return await client.sendCommand(command);
      } finally {
        client.destroy();
      }
    },
    async [Symbol.asyncDispose]() {
      await kill();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function launch({ program, env }: RedisProgram, args: readonly string[]): Promise<ChildProcess> {
  const child = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
  const lines: string[] = [];
  for await (const line of createInterface(child.stdout)) {
    lines.push(line);
    if (!/ready to accept connections/i.test(line)) continue;
    child.stdout.resume();
    return child;
  }
  throw new Error(`redis-server ended:\n${lines.join("\n")}`);
}
