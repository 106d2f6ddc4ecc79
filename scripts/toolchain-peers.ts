// Other gateways that the benchmark compares with, and the client that loads all of them: fetched into `.toolchains` when the
// benchmark asks for them, and never for tests.

import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

import { toolchainFolder, unpackDebianPackages } from "./toolchain-debian.ts";

/** A program of a peer, as it is started. */
export interface PeerProgram {
  readonly version: string;
  readonly program: string;
  /** What is to be set in its environment. */
  readonly env: Readonly<Record<string, string>>;
}

export interface MissingPeer {
  /** Why there is none, as half a sentence. */
  readonly missing: string;
}

export type PeerState = PeerProgram | MissingPeer;

const PORTKEY_VERSION = "1.15.2";
/** Later ones break answers in pieces: each of them is a status 500. */
const PORTKEY_SERVER_VERSION = "1.14.1";
const LITELLM_VERSION = "1.106.2";
const BIFROST_MODULE = "github.com/maximhq/bifrost/transports/bifrost-http";
const BIFROST_VERSION = "latest";
/** Milliseconds for fetching and building one of them. */
const FETCH_MS = 600_000;

/** Portkey's gateway: the module that starts it with Node. */
export function openPortkey(): PeerState {
  return opened("portkey", PORTKEY_VERSION, {
    fetch: (folder) => {
      const held = { "@hono/node-server": PORTKEY_SERVER_VERSION };
      const manifest = { private: true, dependencies: { "@portkey-ai/gateway": PORTKEY_VERSION, ...held }, overrides: held };
      writeFileSync(join(folder, "package.json"), JSON.stringify(manifest));
      run("npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], folder);
    },
    program: (folder) => join(folder, "node_modules", "@portkey-ai", "gateway", "build", "start-server.js"),
    env: () => ({ NODE_ENV: "production" }),
  });
}

/** LiteLLM's proxy, in a virtual environment of Python. */
export function openLitellm(): PeerState {
  return opened("litellm", LITELLM_VERSION, {
    fetch: (folder) => {
      run("python3", ["-m", "venv", "venv"], folder);
      run(join("venv", "bin", "python"), ["-m", "pip", "install", "--quiet", "--only-binary", ":all:", `litellm[proxy]==${LITELLM_VERSION}`], folder);
    },
    // Not the script beside it, whose first line names the folder in which it was made.
    program: (folder) => join(folder, "venv", "bin", "python"),
    env: () => ({ LITELLM_MODE: "PRODUCTION", LITELLM_LOG: "ERROR", LITELLM_LOCAL_MODEL_COST_MAP: "True" }),
  });
}

/** Bifrost's gateway. */
export function openBifrost(): PeerState {
  return opened("bifrost", BIFROST_VERSION, {
    fetch: (folder) => run("go", ["install", `${BIFROST_MODULE}@${BIFROST_VERSION}`], folder, { GOBIN: folder, GOFLAGS: "", GOTOOLCHAIN: "local" }),
    program: (folder) => join(folder, "bifrost-http"),
    env: () => ({}),
  });
}

/** The client wrk: Debian's, unpacked without being installed. */
export function openWrk(): PeerState {
  const unpacked = unpackDebianPackages({ name: "wrk", suite: "bookworm", packages: ["wrk", "libluajit-5.1-2", "libluajit-5.1-common"] });
  if ("missing" in unpacked) return unpacked;
  const { root } = unpacked;
  const libraries = join(root, "usr", "lib");
  const folders = readdirSync(libraries).map((name) => join(libraries, name));
  return { version: "4.1.0", program: join(root, "usr", "bin", "wrk"), env: { LD_LIBRARY_PATH: folders.join(":") } };
}

interface Recipe {
  readonly fetch: (folder: string) => void;
  readonly program: (folder: string) => string;
  readonly env: (folder: string) => Readonly<Record<string, string>>;
}

/** Uses what was fetched before, or fetches it. */
function opened(name: string, version: string, { fetch, program, env }: Recipe): PeerState {
  const folder = join(toolchainFolder("peers"), `${name}-${version}`);
  if (!existsSync(folder)) {
    const unfinished = `${folder}.unfinished`;
    rmSync(unfinished, { recursive: true, force: true });
    mkdirSync(unfinished, { recursive: true });
    try {
      console.error(`fetching ${name} ${version} ...`);
      fetch(unfinished);
      // Renamed last: a folder that exists is whole.
      renameSync(unfinished, folder);
    } catch (error) {
      rmSync(unfinished, { recursive: true, force: true });
      return { missing: `it could not be fetched: ${reasonOf(error)}` };
    }
  }
  return { version, program: program(folder), env: env(folder) };
}

function run(command: string, args: readonly string[], cwd: string, env: NodeJS.ProcessEnv = {}): void {
  const path = command.includes("/") ? join(cwd, command) : command;
  execFileSync(path, args, { cwd, env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"], encoding: "utf8", timeout: FETCH_MS });
}

/** The line that says most, without the address of what was asked. */
function reasonOf(error: unknown): string {
  const { stderr, message } = error as { readonly stderr?: unknown; readonly message: string };
  const lines = (typeof stderr === "string" && stderr.trim() !== "" ? stderr : message).trim().split("\n");
  const line = lines.find((text) => /error|forbidden|not (?:found|available)/i.test(text)) ?? lines[0] ?? "";
  return line.replaceAll(/https?:\/\/\S+/g, "the registry:").slice(0, 200);
}
