// Where a process spends its time: samples of V8's profiler, by parts of the program.

import { type Profiler, Session } from "node:inspector/promises";

/** Parts, and how the address of a script says that it belongs to one; the first that fits. */
const PARTS: readonly (readonly [part: string, script: RegExp])[] = [
  ["plugins and their meters", /^wasm:/],
  ["hooks", /\/(?:src|dist)\/hooks\//],
  ["calls of plugins", /\/(?:src|dist)\/(?:abi|api|host|loader|manager|wasm|wasi)\//],
  ["services of plugins", /\/(?:src|dist)\/services\/(?!http\/)/],
  ["gateway", /\/(?:src|dist)\/gateway\//],
  ["providers", /\/(?:src|dist)\/(?:providers|services\/http)\//],
  ["undici", /\/undici\//],
  ["Node: HTTP", /^node:_?http|^node:internal\/http/],
  ["Node: sockets, streams, timers, promises", /^node:/],
];
const COLLECTOR = "garbage collection";
const ENGINE = "engine and system calls";
const OTHER = "other";
/** Part of the time that each part has, all together 1; idle time is left aside. */
export type Shares = Readonly<Record<string, number>>;

/** The parts, in the order of a table. */
export const PROFILE_PARTS: readonly string[] = [...PARTS.map(([part]) => part), COLLECTOR, ENGINE, OTHER];

/** Profiles this process. */
export class Profile {
  readonly #session = new Session();

  async start(): Promise<void> {
    this.#session.connect();
    await this.#session.post("Profiler.enable");
    await this.#session.post("Profiler.setSamplingInterval", { interval: 500 });
    await this.#session.post("Profiler.start");
  }

  async stop(): Promise<Shares> {
    const { profile } = await this.#session.post("Profiler.stop");
    this.#session.disconnect();
    return sharesOf(profile);
  }
}

function sharesOf({ nodes }: Profiler.Profile): Shares {
  const counts = new Map<string, number>();
  let total = 0;
  for (const { callFrame, hitCount = 0 } of nodes) {
    if (callFrame.functionName === "(idle)") continue;
    const part = partOf(callFrame);
    counts.set(part, (counts.get(part) ?? 0) + hitCount);
    total += hitCount;
  }
  return Object.fromEntries(PROFILE_PARTS.map((part) => [part, (counts.get(part) ?? 0) / Math.max(1, total)]));
}

function partOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  if (functionName === "(garbage collector)") return COLLECTOR;
  const named = PARTS.find(([, script]) => script.test(url))?.[0];
  if (named !== undefined) return named;
  // Functions without a script are the engine's own, such as JSON.parse; the program is what runs outside of JavaScript.
  return url === "" ? ENGINE : OTHER;
}
