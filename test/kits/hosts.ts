// The two hosts that the kits' plugins run in: Extism's own for JavaScript, which says that a plugin is right, and ours.

import { setImmediate } from "node:timers/promises";

import { type CallContext, createPlugin } from "@extism/extism";

import { type Logger, type CallContext as OurContext, isMortiseError, loadPlugin } from "../../src/index.ts";

/** What a call came to. */
export type Outcome = { readonly output: string } | { readonly failure: string };
/** Level and text. */
export type LogLine = readonly [level: string, text: string];

/** A loaded plugin, whichever host it runs in. */
export interface HostedPlugin extends AsyncDisposable {
  readonly logs: readonly LogLine[];
  call(name: string, input?: string): Promise<Outcome>;
}

/** What a test says about the plugin's surroundings. */
export interface HostSettings {
  readonly config?: Readonly<Record<string, string>>;
  /** Hosts that the plugin may reach by HTTP, with the headers of their answers. @default none */
  readonly hosts?: readonly string[];
  /** The host function answers with a promise. @default false */
  readonly later?: boolean;
}

/** Loads a plugin into a host. */
export type OpenPlugin = (wasm: Uint8Array<ArrayBuffer>, settings?: HostSettings) => Promise<HostedPlugin>;

const reversed = (text: string): string => Array.from(text).toReversed().join("");

type HostFunction<Context> = (context: Context, at: bigint) => bigint;

/** The function itself, or one that gives the same in a later turn of the event loop. */
function answering<Context>(work: HostFunction<Context>, later: boolean): (context: Context, at: bigint) => bigint | Promise<bigint> {
  return later ? async (context, at) => setImmediate(at).then(() => work(context, at)) : work;
}

/** Extism's host for JavaScript, in the same thread. */
export const openInExtism: OpenPlugin = async (wasm, { config = {}, hosts = [], later = false } = {}) => {
  const logs: LogLine[] = [];
  const plugin = await createPlugin(
    { wasm: [{ data: wasm }] },
    {
      runInWorker: false,
      useWasi: true,
      config: { ...config },
      allowedHosts: [...hosts],
      allowHttpResponseHeaders: hosts.length > 0,
      logger: Object.assign(Object.create(console) as Console, logger(logs)),
      logLevel: "trace",
      functions: {
        "extism:host/user": { reverse: answering((context: CallContext, at) => context.store(reversed(context.read(at)?.text() ?? "")), later) },
      },
    },
  );
  return {
    logs,
    call: async (name, input) => {
      try {
        return { output: (await plugin.call(name, input ?? ""))?.text() ?? "" };
      } catch (error) {
        return { failure: (error as Error).message.replace(/^Plugin-originated error: /, "") };
      }
    },
    [Symbol.asyncDispose]: () => plugin.close(),
  };
};

/** Our own host. */
export const openInMortise: OpenPlugin = async (wasm, { config = {}, hosts = [], later = false } = {}) => {
  const logs: LogLine[] = [];
  const plugin = await loadPlugin(wasm, {
    config,
    logger: logger(logs),
    logLevel: "trace",
    // A busy machine is no failure of the plugin.
    limits: { timeoutMs: 60_000 },
    hostFunctions: { "extism:host/user": { reverse: answering((context: OurContext, at) => context.store(reversed(context.readText(at))), later) } },
    permissions: { hosts },
  });
  return {
    logs,
    call: async (name, input) => {
      try {
        return { output: (await plugin.call(name, input)).text() };
      } catch (error) {
        if (!isMortiseError(error)) throw error;
        return { failure: error.code === "MORTISE_GUEST_ERROR" ? String(error.details["reason"]) : `${error.code}: ${error.message}` };
      }
    },
    [Symbol.asyncDispose]: () => plugin.close(),
  };
};

function logger(lines: LogLine[]): Logger {
  const level = (name: string) => (text: string) => void lines.push([name, text]);
  return { trace: level("trace"), debug: level("debug"), info: level("info"), warn: level("warn"), error: level("error") };
}
