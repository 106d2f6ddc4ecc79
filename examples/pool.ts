// A plugin that keeps nothing between calls may have several instances: calls that wait do not keep others waiting.

import { setImmediate } from "node:timers/promises";

import { type CallContext, type PluginOptions, loadPlugin } from "mortise";

const file = new URL("../guests/prebuilt/fixtures.c.wasm", import.meta.url);

/** Makes six calls at once, each of which has to wait, and says how many of them waited at the same time. */
async function callSixTimes(title: string, options: PluginOptions): Promise<void> {
  let waiting = 0;
  let most = 0;
  const pause = async (context: CallContext, address: bigint): Promise<bigint> => {
    most = Math.max(most, ++waiting);
    for (let turn = 0; turn < 10; turn++) await setImmediate();
    waiting--;
    return context.store(context.readText(address).toUpperCase());
  };
  await using plugin = await loadPlugin(file, { ...options, name: title, hostFunctions: { "extism:host/user": { host_reflect: pause } } });
  const outputs = await Promise.all(["oak", "ash", "elm", "fir", "yew", "box"].map((wood) => plugin.call("host_reflect", wood)));
  console.log(`${title}: ${outputs.map((output) => output.text()).join(" ")}`);
  const { created, recycled } = plugin.stats().instances;
  console.log(`  most that waited at once: ${most}; instances made: ${created}, let go: ${recycled}`);
}

await callSixTimes("stateful", {});
await callSixTimes("stateless", { stateless: true });
await callSixTimes("three at most", { stateless: true, pool: { maxInstances: 3 } });
await callSixTimes("new ones now and then", { pool: { recycleCalls: 2 } });
