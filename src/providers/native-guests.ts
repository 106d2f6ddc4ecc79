// Providers in native code: an ES module or addon with the functions of generation 2, which makes its requests by itself.

import { basename, extname } from "node:path";

import { MortiseError } from "../api/errors.ts";
import type { PluginCalls, ServiceCall, ServiceTable, ServiceValue } from "../api/services.ts";
import type { PluginOptions } from "../host/options.ts";
import { loadNative } from "../loader/load-native.ts";
import { readStreamItem } from "./chat-shapes.ts";
import { type ProviderExports, readGeneration } from "./generation.ts";
import { ProviderCall } from "./provider-call.ts";
import { ProviderGuest } from "./provider-guest.ts";
import { ShapeReader, parseJson } from "./shapes.ts";

/** A native provider that was loaded. */
export interface NativeProvider {
  readonly name: string;
  readonly exports: ProviderExports;
  readonly guest: ProviderGuest;
}

/**
 * Loads one.
 *
 * @param maxInstances calls at a time
 * @throws MortiseError MORTISE_PROVIDER_REFUSED if it is no provider of generation 2, or as `loadPlugin` for native plugins
 */
export async function loadNativeProvider(path: string, options: PluginOptions, limitMs: number, maxInstances: number): Promise<NativeProvider> {
  const name = options.name ?? basename(path, extname(path));
  const calls = { forPlugin: (): PluginCalls => ({ services: SERVICES, modules: {}, close: () => {} }) };
  const plugin = await loadNative(path, { ...options, name, calls, stateless: true, pool: { maxInstances } });
  try {
    const exports = readGeneration(name, new Set(plugin.exports));
    if (exports.generation !== 2)
      throw new MortiseError("MORTISE_PROVIDER_REFUSED", {
        plugin: name,
        reason: "a native provider needs the functions of generation 2, chat among them",
      });
    return { name, exports, guest: new ProviderGuest(plugin, false, limitMs) };
  } catch (error) {
    await plugin.close({ abort: true });
    throw error;
  }
}

/** What the plugin finds in `context.services`: it takes a piece of the stream that it makes as JSON, and gives 0 if nobody reads any more, else 1. */
const SERVICES: ServiceTable = {
  qmt_yield_chunk: { params: ["text"], result: "i32", waits: true, run: yieldChunk },
};

/** Waits as long as nobody takes what is there. */
async function yieldChunk(call: ServiceCall, json: ServiceValue): Promise<number> {
  const shape = new ShapeReader({ plugin: call.plugin, function: call.function });
  const chunk = readStreamItem(parseJson(String(json)), shape);
  const queue = call.context instanceof ProviderCall ? call.context.queue : undefined;
  await queue?.put(chunk);
  return queue?.cancelled === false ? 1 : 0;
}
