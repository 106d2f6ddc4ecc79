// What tests of calls that wait share: guests from text, states of promises, and turns of the event loop.

import { type HostFunctions, type Plugin, type PluginOptions, type PluginOutput, isMortiseError, loadPlugin } from "../../src/index.ts";
import { assemble } from "../wasm/corpus.ts";

/** Host functions of any behaviour, also such as their types forbid. */
export type AnyFunctions = Readonly<Record<string, (...values: never[]) => unknown>>;

/** Loads a text module whose imports from "host" are these functions. */
export async function open(text: string, functions: AnyFunctions, options: PluginOptions = {}): Promise<Plugin> {
  return loadPlugin(await assemble(text), { name: "guest", ...options, hostFunctions: { host: functions as HostFunctions[string] } });
}

/** Lets every promise settle that can without a timer. */
export async function settle(turns: number = 3): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise((resolve) => setImmediate(resolve));
}

/** How a call ended: the text of its output, or the code of its error. */
export async function endOf(call: Promise<PluginOutput>): Promise<string> {
  try {
    return (await call).text();
  } catch (error) {
    return isMortiseError(error) ? error.code : `not a MortiseError: ${String(error)}`;
  }
}

/** What is known of a call so far: "pending", or how it ended. */
export function watchCall(call: Promise<PluginOutput>): { readonly state: string } {
  const watched = { state: "pending" };
  void endOf(call).then((end) => (watched.state = end));
  return watched;
}

/** A signal that is aborted after the fact, with its reason. */
export function aborter(reason: unknown = new Error("changed my mind")): {
  readonly signal: AbortSignal;
  readonly abort: () => void;
  readonly reason: unknown;
} {
  const controller = new AbortController();
  return { signal: controller.signal, abort: () => controller.abort(reason), reason };
}

/** Made and discarded instances of a plugin. */
export function madeAndDiscarded(plugin: Plugin): [number, number] {
  const { created, discarded } = plugin.stats().instances;
  return [created, discarded];
}

/**
 * The greatest depth at which something works, where the stack is the limit. Found more than once, until it stays the same:
 * code that runs often gets smaller frames.
 */
export async function deepest(works: (depth: number) => Promise<boolean>): Promise<number> {
  let before = 0;
  for (let attempt = 0; attempt < 20; attempt++) {
    let [low, high] = [1, 1 << 18];
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (await works(middle)) low = middle;
      else high = middle;
    }
    if (low === before) return low;
    before = low;
  }
  throw new Error("the limit of the stack keeps moving");
}
