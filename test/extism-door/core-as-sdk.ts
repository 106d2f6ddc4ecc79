// loadPlugin in the shape of createPlugin, so that what is shown of the door is shown of the core as well.

import { type HostFunctions, type PluginInput, loadPlugin } from "mortise";

import type { Create, SdkOutput } from "./sdks.ts";

/** What is taken of the options of the package. */
interface Options {
  readonly functions?: HostFunctions;
  readonly runInWorker?: boolean;
  readonly timeoutMs?: number;
  readonly memory?: { readonly maxPages?: number; readonly maxVarBytes?: number; readonly maxHttpResponseBytes?: number };
  readonly allowedHosts?: readonly string[];
  readonly config?: Readonly<Record<string, string>>;
}

/** createPlugin by way of loadPlugin; host functions get the core's context. */
export const core: Create = async (manifest, given = {}) => {
  const { functions = {}, runInWorker = false, timeoutMs, memory = {}, allowedHosts, config = {} } = given as Options;
  const plugin = await loadPlugin(manifest as string, {
    hostFunctions: functions,
    isolation: runInWorker ? "thread" : "inline",
    config,
    limits: {
      ...(timeoutMs === undefined ? {} : { timeoutMs }),
      ...(memory.maxPages === undefined ? {} : { memoryBytes: memory.maxPages * 65_536 }),
      ...(memory.maxVarBytes === undefined ? {} : { varBytes: memory.maxVarBytes }),
    },
    ...(allowedHosts === undefined ? {} : { permissions: { hosts: allowedHosts } }),
    ...(memory.maxHttpResponseBytes === undefined ? {} : { http: { maxResponseBytes: memory.maxHttpResponseBytes } }),
  });
  const unused = (): never => {
    throw new TypeError("the core has no such method");
  };
  return {
    call: async (name, input, context) => (await plugin.call(name as string, input as PluginInput, { context })) as unknown as SdkOutput,
    functionExists: async (name) => plugin.has(name as string),
    getExports: unused,
    getImports: unused,
    getInstance: unused,
    isActive: () => plugin.stats().instances.busy > 0,
    reset: unused,
    close: () => plugin.close({ abort: true }),
  };
};
