// Plugins that use each other: by name under permission, and by number for guests that register what they call.

import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { createHost, isMortiseError } from "mortise";

const folder = fileURLToPath(new URL("../guests/prebuilt", import.meta.url));
const guest = (name: string): string => join(folder, `${name}.wasm`);

await using host = await createHost({ hooks: {}, pluginCalls: { lookup: folder } });
await host.plugins.load(guest("sha256.c"), { name: "digest" });
await host.plugins.load(guest("vowels.ts"), { name: "vowels" });

// `call` of this guest takes the name of a plugin, a function and an input, each in a line, and hands on what comes back.
const caller = await host.plugins.load(guest("calls.ts"), { name: "caller", permissions: { call: ["digest:sha256"] } });
const registrar = await host.plugins.load(guest("registers.c"), { name: "registrar" });

async function show(plugin: typeof caller, message: string): Promise<void> {
  try {
    console.log((await plugin.call("call", message)).text());
  } catch (error) {
    console.log(isMortiseError(error) ? `${error.code}: ${error.message}` : error);
  }
}

await show(caller, "digest\nsha256\ntenon");
await show(caller, "vowels\ncount_vowels\ntenon");
await show(caller, "digest\nsha512\ntenon");
// A plugin of its own, from the folder of the lookup, with 5 pages of memory; it is gone when it is freed.
await show(registrar, "sha256.c\nsha256\nmortise");
await show(registrar, "readability.go\nreadability\nmortise");
