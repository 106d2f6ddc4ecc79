// Main module of a gateway in a process of its own, for the benchmark and the long test: `row-gateway-serve.ts {json}`. It
// sends its parent its URL, and then what the parent asks for.

import { readFileSync } from "node:fs";

import { type HostPlugin, createServices } from "mortise";
import { type Gateway, createGateway } from "mortise/gateway";

import { readKitPrebuilt } from "../scripts/kits-manifest.ts";
import { kitNamed } from "../scripts/kits-table.ts";
import { collectGarbage } from "./measure.ts";
import { Profile } from "./row-gateway-profile.ts";

/** What the gateway is made of. */
export interface ServeOptions {
  /** Model servers: the first is asked, the others where it fails. */
  readonly upstreams: readonly string[];
  /** Plugins of `guests/prebuilt`, in order. */
  readonly plugins: readonly (keyof typeof PLUGINS)[];
  /** Times that one model server is asked again. */
  readonly retries: number;
}

/** What a parent may ask for. */
export type Question = "memory" | "start profile" | "stop profile" | "requests" | "plugins";

/** Bytes in use after garbage collection. */
export interface Memory {
  readonly heap: number;
  /** Beside the heap: buffers, and memories of plugins. */
  readonly external: number;
  readonly rss: number;
}

/** What happened to a plugin, in all of its hooks together. */
export interface PluginCounts {
  readonly name: string;
  readonly calls: number;
  readonly failures: number;
}

/** Configurations with which plugins work, and never refuse what the benchmark sends. */
const PLUGINS = {
  "gateway_pii.rs": {},
  "gateway_guard.c": {},
  "gateway_budget.ts": { tokens: 1e15, window: "hour" },
} as const;

/** More requests at a time than any part of the benchmark or the long test has. */
const MOST_AT_A_TIME = 10_000;

async function serve({ upstreams, plugins, retries }: ServeOptions): Promise<Gateway> {
  const source = readKitPrebuilt(kitNamed("provider-openai"));
  const names = upstreams.map((_url, index) => `upstream${index}`);
  const providers = upstreams.map((url, index) => {
    const config = { base_url: `${url}/v1`, model: "stand-in" };
    const http = { maxConcurrent: MOST_AT_A_TIME };
    return [names[index], { source, options: { apiKey: "sk-bench", permissions: { hosts: [new URL(url).host] }, config, http } }] as const;
  });
  const gateway = await createGateway({
    providers: Object.fromEntries(providers),
    aliases: { any: names.map((name, index) => ({ to: `${name}/stand-in`, weight: index === 0 ? 1 : 0 })) },
    defaultProvider: "upstream0",
    attempts: { retries },
    services: createServices(),
  });
  for (const [index, plugin] of plugins.entries())
    await gateway.host.plugins.load(readFileSync(new URL(`../guests/prebuilt/${plugin}.wasm`, import.meta.url)), {
      name: `${plugin}-${index}`,
      config: PLUGINS[plugin],
      permissions: { kv: "read-write", clock: true, attributes: { read: ["*"], write: ["*"] } },
    });
  return gateway;
}

function pluginCounts({ name, counts }: HostPlugin): PluginCounts {
  const all = Object.values(counts);
  const sum = (of: "calls" | "failures"): number => all.reduce((total, each) => total + each[of], 0);
  return { name, calls: sum("calls"), failures: sum("failures") };
}

async function memory(): Promise<Memory> {
  for (let pass = 0; pass < 3; pass++) {
    collectGarbage();
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  const { heapUsed, external, rss } = process.memoryUsage();
  return { heap: heapUsed, external, rss };
}

const gateway = await serve(JSON.parse(process.argv[2] ?? "{}") as ServeOptions);
const { url } = await gateway.start();
const profile = new Profile();
const answers: Readonly<Record<Question, () => unknown>> = {
  memory,
  requests: () => gateway.health().requests,
  plugins: () => gateway.host.plugins.list().map(pluginCounts),
  "start profile": () => profile.start(),
  "stop profile": () => profile.stop(),
};
// oxlint-disable-next-line typescript/no-misused-promises -- what is thrown ends the process, which the parent sees
process.on("message", async (question: Question) => process.send?.({ answer: (await answers[question]()) ?? null }));
process.on("disconnect", () => process.exit());
process.send?.({ url });
