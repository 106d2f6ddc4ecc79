// A host whose plugins, limits and permissions are in examples/mortise.toml.

import { createHost, hook, isMortiseError } from "mortise";
import { loadConfigured, openServices, readConfig, withConfiguredHooks } from "mortise/config";

interface Note {
  readonly author: string;
  readonly text: string;
}

const config = await readConfig(new URL("mortise.toml", import.meta.url).pathname);
const sources = { env: { FORBIDDEN_WORD: "swordfish" } }; // process.env, in a server
await using services = await openServices(config, sources);
await using host = await createHost({ hooks: withConfiguredHooks({ check: hook.chain<Note>() }, config), services });

for (const { name, abi, exports } of await loadConfigured(host, config, sources)) console.log(`${name} (${abi}): ${exports.join(", ")}`);

for (const text of ["See you at noon", "The password is swordfish"]) {
  try {
    console.log("passed:", (await host.hooks.check({ author: "Ada", text })).text);
  } catch (error) {
    if (isMortiseError(error)) console.log(`${error.code}: ${error.message}`);
  }
}
