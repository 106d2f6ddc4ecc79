// Three calls that a host has to stop, each followed by one that works.

import { isMortiseError, loadPlugin } from "mortise";

await using plugin = await loadPlugin(new URL("../guests/prebuilt/fixtures.c.wasm", import.meta.url), {
  name: "fixtures",
  limits: { timeoutMs: 250, memoryBytes: 1 << 20 },
  hostFunctions: { "extism:host/user": { host_reflect: () => 0n } },
});

for (const [fn, input] of [
  ["spin", ""],
  ["grow", "1000"],
  ["recurse", ""],
] as const) {
  try {
    plugin.callSync(fn, input);
    console.log(`${fn}: nothing stopped it`);
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    console.log(`${error.code}: ${error.message}`);
  }
  // The stopped instance was discarded. Its globals are gone, its variables are not.
  console.log(`  calls in this instance: ${plugin.callSync("globals").text()}, calls in the variable: ${plugin.callSync("var_bump").text()}`);
}

const { calls, failures, errors, instances } = plugin.stats();
const { created, discarded } = instances;
console.log({ calls, failures, errors, instances: { created, discarded } });
