// A program with a plugin elsewhere, run by a test as a process of its own. Arguments: where the plugin runs, and what to do.

import { readFileSync } from "node:fs";

import { loadPlugin } from "../../src/index.ts";
import { assembleText } from "../wasm/assemble.ts";
import { childProcesses, until } from "./children.ts";
import { SLEEPER, prebuilt, wat } from "./guests.ts";

const [isolation, task] = process.argv.slice(2) as ["thread" | "process", string];
const plugin = await loadPlugin(prebuilt("fixtures.c"), {
  isolation,
  limits: { timeoutMs: 60_000, fuel: task === "call" ? 300_000_000 : undefined },
  hostFunctions: { "extism:host/user": { host_reflect: () => 0n } },
});

if (task === "idle") {
  // Neither closed nor waited for: the plugin and its spare place must not keep this process.
  console.log((await plugin.call("globals")).text());
} else if (task === "call") {
  // Nothing else keeps this process until the call is over, not even a timer.
  const options = { timeoutMs: Number.POSITIVE_INFINITY };
  void plugin.call("spin", "", options).catch((error: { code: string }) => console.log(error.code));
} else if (task === "close") {
  // Closed while the plugin is being loaded in another place, since its own is lost: nothing keeps this process but the end of that.
  await plugin.close();
  const bomb = readFileSync(new URL("../attacks/corpus/gc-struct.wat", import.meta.url), "utf8");
  const bombed = await loadPlugin(await assembleText("gc-struct", bomb), { isolation, limits: { timeoutMs: 60_000, initTimeoutMs: 60_000 } });
  await bombed.call("attack").catch((error: { code: string }) => console.log(error.code));
  await bombed.close();
  console.log("closed");
} else if (task === "sleep") {
  // Says where a guest sleeps, which nothing but the end of this process wakes.
  const sleeper = await loadPlugin(await wat(SLEEPER)(), {
    isolation,
    limits: { timeoutMs: Number.POSITIVE_INFINITY },
    hostFunctions: { host: { work: () => void setImmediate(() => console.log(childProcesses().join(" "))) } },
  });
  void sleeper.call("sleep").catch(() => {});
} else {
  // Says where the plugin runs, and waits to be killed.
  void plugin.call("spin").catch(() => {});
  await until(() => childProcesses().length > 0);
  console.log(childProcesses().join(" "));
}
