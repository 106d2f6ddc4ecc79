// A function that the plugin imports: it reads a block of the guest, and answers with a new one.

import { type CallContext, isMortiseError, loadPlugin } from "mortise";

function quote(context: CallContext, address: bigint): bigint {
  const text = context.readText(address);
  if (text === "") throw new Error("there is nothing to quote");
  return context.store(`${String(context.context)} said ${text}`);
}

await using plugin = await loadPlugin(new URL("../guests/prebuilt/fixtures.c.wasm", import.meta.url), {
  name: "fixtures",
  hostFunctions: { "extism:host/user": { host_reflect: quote } },
});

// What a call brings along as `context`, its host functions find again.
for (const user of ["Ada", "Grace"]) {
  console.log((await plugin.call("host_reflect", "hello", { context: user })).text());
}

// What a host function throws ends the call; the guest cannot catch it.
try {
  plugin.callSync("host_reflect", "", { context: "Ada" });
} catch (error) {
  if (!isMortiseError(error)) throw error;
  console.log(`${error.code}: ${error.message}`);
  console.log(`cause: ${String(error.cause)}`);
}
