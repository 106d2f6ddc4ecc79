// Servers in processes of their own, and what they take of the machine.

import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, readdirSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

import type { Question, ServeOptions } from "./row-gateway-serve.ts";

/** Ticks of the kernel's clock in a second, which Linux fixes at 100 for programs. */
const TICKS = 100;
/** Milliseconds for a server to answer for the first time. */
const START_MS = 90_000;
const OUTPUT_CHARS = 4000;

const file = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

/** A server that listens. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** Ends it. */
  stop(): Promise<void>;
}

/** A gateway of ours. */
export interface GatewayProcess extends ServerProcess {
  ask(question: Question): Promise<unknown>;
}

/** What is started. */
export interface ServerCommand {
  readonly program: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts a server that is told its port, and waits until it answers. @throws Error with its last words */
export async function startServer({ program, args, env = {} }: ServerCommand, port: number): Promise<ServerProcess> {
  const child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  const note = (piece: Buffer): void => {
    output = `${output}${piece.toString()}`.slice(-OUTPUT_CHARS);
  };
  child.stdout.on("data", note);
  child.stderr.on("data", note);
  const url = `http://127.0.0.1:${port}`;
  const server = { url, pid: child.pid ?? 0, stop: () => stopped(child) };
  for (const until = performance.now() + START_MS; performance.now() < until; await wait(200)) {
    if (child.exitCode !== null) throw new Error(`it ended: ${output.trim().split("\n").at(-1) ?? ""}`);
    if (await answers(url)) return server;
  }
  await server.stop();
  throw new Error(`it did not answer within ${START_MS / 1000} s`);
}

async function answers(url: string): Promise<boolean> {
  try {
    await (await fetch(url, { signal: AbortSignal.timeout(2000) })).arrayBuffer();
    return true;
  } catch {
    return false;
  }
}

/** Starts the stand-in for model servers. */
export async function startUpstream(behaviour: object, port = 0): Promise<ServerProcess> {
  const args = [file("../test/gateway/stand-in/main.ts"), "--port", String(port), "--behaviour", JSON.stringify(behaviour)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
  const url = await new Promise<string>((resolve, reject) => {
    child.stdout.once("data", (line: Buffer) => resolve(line.toString().trim()));
    child.once("exit", () => reject(new Error("the stand-in ended")));
  });
  return { url, pid: child.pid ?? 0, stop: () => stopped(child) };
}

/** Starts a gateway of ours, by a Node with these options. */
export async function startGateway(options: ServeOptions, nodeOptions: readonly string[] = []): Promise<GatewayProcess> {
  const args = ["--no-warnings", "--conditions=source", "--expose-gc", ...nodeOptions, file("row-gateway-serve.ts"), JSON.stringify(options)];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const next = (): Promise<{ readonly url?: string; readonly answer?: unknown }> =>
    new Promise((resolve, reject) => {
      const ended = (): void => reject(new Error("the gateway ended"));
      child.once("exit", ended);
      child.once("message", (message) => {
        child.off("exit", ended);
        resolve(message as { readonly url?: string; readonly answer?: unknown });
      });
    });
  const { url = "" } = await next();
  return {
    url,
    pid: child.pid ?? 0,
    ask: async (question) => {
      const answer = next();
      child.send(question);
      return (await answer).answer;
    },
    stop: () => stopped(child),
  };
}

async function stopped(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  child.kill("SIGKILL");
  await ended;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What a process and its children have taken so far. */
export interface Usage {
  /** Seconds of all threads, of the program and of the system for it. */
  readonly cpuSeconds: number;
  readonly rssBytes: number;
}

/** Reads it from the kernel, to a hundredth of a second. */
export function usageOf(pid: number): Usage {
  const tree = new Set([pid]);
  const all = processes();
  // Children have later numbers but for the rare time that numbers begin anew: twice is enough for one level of that.
  for (let pass = 0; pass < 2; pass++) for (const { pid: id, parent } of all) if (tree.has(parent)) tree.add(id);
  const own = all.filter(({ pid: id }) => tree.has(id));
  return {
    cpuSeconds: own.reduce((sum, { ticks }) => sum + ticks, 0) / TICKS,
    rssBytes: own.reduce((sum, { rssPages }) => sum + rssPages, 0) * 4096,
  };
}

interface ProcessState {
  readonly pid: number;
  readonly parent: number;
  readonly ticks: number;
  readonly rssPages: number;
}

function processes(): ProcessState[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .flatMap((name) => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, "latin1");
        // The name of the program, in parentheses, may have spaces; fields are counted from behind it (proc(5)).
        const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        const at = (field: number): number => Number(fields[field - 3]);
        return [{ pid: Number(name), parent: at(4), ticks: at(14) + at(15), rssPages: at(24) }];
      } catch {
        return []; // it has ended
      }
    });
}
