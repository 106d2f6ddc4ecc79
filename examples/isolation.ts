// The same plugin in this thread, in a thread of its own, and in a process of its own: what it does and what stops it
// does not change, what a broken engine could reach does.

import { type CallContext, type Isolation, isMortiseError, loadPlugin } from "mortise";

const file = new URL("../guests/prebuilt/fixtures.c.wasm", import.meta.url);

// Host functions run here, wherever the plugin runs.
const greet = (context: CallContext, address: bigint): bigint => context.store(`${context.readText(address)}, from the host`);

for (const isolation of ["inline", "thread", "process"] satisfies readonly Isolation[]) {
  await using plugin = await loadPlugin(file, {
    name: "fixtures",
    isolation,
    limits: { timeoutMs: 500 },
    hostFunctions: { "extism:host/user": { host_reflect: greet } },
  });
  console.log(`${isolation}: ${(await plugin.call("host_reflect", "hello")).text()}`);
  try {
    await plugin.call("trap");
  } catch (error) {
    if (!isMortiseError(error)) throw error;
    const trace = error.details["trace"] as readonly { readonly function: string }[];
    console.log(`  ${error.code} in ${trace.map((frame) => frame.function).join(", called by ")}`);
  }
  // The instance is new, the variables are not.
  for (let call = 0; call < 2; call++) await plugin.call("var_bump");
  console.log(`  calls in the variable: ${(await plugin.call("var_bump")).text()}, in the instance: ${(await plugin.call("globals")).text()}`);
}
