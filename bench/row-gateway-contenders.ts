// Who is compared in front of one model server: nobody, Mortise without and with plugins, and other gateways.

import { writeFileSync } from "node:fs";
import { join } from "node:path";

import { type PeerState, openBifrost, openLitellm, openPortkey } from "../scripts/toolchain-peers.ts";
import type { ServeOptions } from "./row-gateway-serve.ts";
import type { Loaded } from "./row-gateway-load.ts";
import { type GatewayProcess, type ServerCommand, freePort, startGateway, startServer } from "./row-gateway-processes.ts";

/** A server under test. */
export interface Contender extends Loaded {
  readonly name: string;
  /** What the model is called here. */
  readonly model: string;
  /** Ours. */
  readonly gateway?: GatewayProcess;
  stop(): Promise<void>;
}

/** A peer that is not there. */
export interface Absent {
  readonly name: string;
  readonly missing: string;
}

export const DIRECT = "direct";
export const PLAIN = "Mortise, no plugins";
export const HOOKED = "Mortise, three Wasm hooks";
/** Three plugins that read each request and let it pass: what hooks cost that do little. */
export const GUARDED = "Mortise, three prompt guards";
export const PORTKEY = "Portkey";
export const LITELLM = "LiteLLM";
export const BIFROST = "Bifrost";

const HOOKS: ServeOptions["plugins"] = ["gateway_pii.rs", "gateway_guard.c", "gateway_budget.ts"];
const OURS: readonly (readonly [name: string, options: Pick<ServeOptions, "plugins">])[] = [
  [PLAIN, { plugins: [] }],
  [HOOKED, { plugins: HOOKS }],
  [GUARDED, { plugins: ["gateway_guard.c", "gateway_guard.c", "gateway_guard.c"] }],
];

/** The model that all requests name. */
export const MODEL = "stand-in";
const KEY = "sk-bench";

interface Peer {
  readonly name: string;
  readonly open: () => PeerState;
  /** @default MODEL */
  readonly model?: string;
  /** What starts it, and the headers that requests to it need. */
  readonly command: (program: string, at: { readonly port: number; readonly upstream: string; readonly folder: string }) => ServerCommand;
  readonly headers: (upstream: string) => Readonly<Record<string, string>>;
}

const PEERS: readonly Peer[] = [
  {
    name: PORTKEY,
    open: openPortkey,
    command: (program, { port }) => ({ program: process.execPath, args: [program, `--port=${port}`, "--headless"] }),
    headers: (upstream) => ({ "x-portkey-provider": "openai", "x-portkey-custom-host": `${upstream}/v1`, authorization: `Bearer ${KEY}` }),
  },
  {
    name: LITELLM,
    open: openLitellm,
    command: (program, { port, upstream, folder }) => {
      const config = join(folder, "litellm.yaml");
      const model = { model: `openai/${MODEL}`, api_base: `${upstream}/v1`, api_key: KEY };
      // JSON is YAML.
      writeFileSync(config, JSON.stringify({ model_list: [{ model_name: MODEL, litellm_params: model }] }));
      const start = ["-c", "from litellm import run_server; run_server()", "--config", config];
      const args = [...start, "--host", "127.0.0.1", "--port", String(port), "--num_workers", "1", "--telemetry", "False"];
      return { program, args, env: { LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY: "true" } };
    },
    headers: () => ({}),
  },
  {
    name: BIFROST,
    open: openBifrost,
    model: `openai/${MODEL}`,
    command: (program, { port, upstream, folder }) => {
      const keys = [{ name: "bench", value: KEY, models: ["*"], weight: 1 }];
      const openai = { keys, network_config: { base_url: upstream } };
      writeFileSync(join(folder, "config.json"), JSON.stringify({ providers: { openai } }));
      return { program, args: ["-host", "127.0.0.1", "-port", String(port), "-app-dir", folder, "-log-level", "error"] };
    },
    headers: () => ({}),
  },
];

/** Starts all of them in front of one model server. */
export async function startContenders(
  upstream: { readonly url: string; readonly pid: number },
  folder: string,
): Promise<{ readonly contenders: readonly Contender[]; readonly absent: readonly Absent[] }> {
  const contenders: Contender[] = [{ name: DIRECT, model: MODEL, url: upstream.url, pid: upstream.pid, headers: {}, stop: () => Promise.resolve() }];
  const absent: Absent[] = [];
  for (const [name, options] of OURS) {
    const gateway = await startGateway({ upstreams: [upstream.url], retries: 0, ...options });
    contenders.push({ name, model: MODEL, url: gateway.url, pid: gateway.pid, headers: {}, gateway, stop: () => gateway.stop() });
  }
  for (const { name, open, model = MODEL, command, headers } of PEERS) {
    const state = open();
    if ("missing" in state) {
      absent.push({ name, missing: state.missing });
      continue;
    }
    try {
      const port = await freePort();
      const { env = {}, ...start } = command(state.program, { port, upstream: upstream.url, folder });
      const server = await startServer({ ...start, env: { ...state.env, ...env } }, port);
      contenders.push({ ...server, name: `${name} ${state.version}`, model, headers: headers(upstream.url) });
    } catch (error) {
      absent.push({ name: `${name} ${state.version}`, missing: (error as Error).message });
    }
  }
  return { contenders, absent };
}
