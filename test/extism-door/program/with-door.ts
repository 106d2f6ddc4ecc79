// A program for the SDK. Its twin differs in the import alone; both compile and print the same.

// oxlint-disable-next-line no-named-as-default -- so the SDK has it
import createPlugin, { CAPABILITIES, newPlugin } from "mortise/extism";
import type {
  CallContext,
  Capabilities,
  CurrentPlugin,
  ExtismPluginOptions,
  LogLevel,
  Manifest,
  ManifestLike,
  ManifestWasm,
  ManifestWasmData,
  ManifestWasmModule,
  ManifestWasmPath,
  ManifestWasmResponse,
  ManifestWasmUrl,
  MemoryOptions,
  Plugin,
  PluginConfig,
  PluginConfigLike,
  PluginOutput,
} from "mortise/extism";

interface User {
  readonly name: string;
}

const store = new Map<string, Uint8Array>();
const level: LogLevel = "info";
const memory: MemoryOptions = { maxPages: 100, maxHttpResponseBytes: 1_000_000, maxVarBytes: 1_000_000 };
const config: PluginConfig = { colour: "oak brown" };
const likewise: PluginConfigLike = config;
const options: ExtismPluginOptions = {
  useWasi: false,
  runInWorker: false,
  logger: console,
  logLevel: level,
  functions: {
    "extism:host/user": {
      host_reflect(plugin: CurrentPlugin, address: bigint): bigint {
        const input: PluginOutput | null = plugin.read(address);
        if (input === null) return 0n;
        const user = plugin.hostContext<User>();
        store.set(user.name, input.bytes());
        plugin.setVariable("seen", input.text());
        const seen = plugin.getVariable("seen");
        plugin.deleteVariable("seen");
        return plugin.store(`${user.name}: ${seen?.string() ?? ""} (${plugin.length(address)}, ${input.bytes()[0]})`);
      },
    },
  },
  allowedPaths: {},
  allowedHosts: ["*.example.com"],
  memory,
  enableWasiOutput: false,
  config: likewise,
  fetch,
  sharedArrayBufferSize: 65_536,
  allowHttpResponseHeaders: true,
  nodeWorkerArgs: { execArgv: [] },
};

const named: ManifestWasmPath = { path: "guests/prebuilt/fixtures.c.wasm" };
const wasm: ManifestWasm = { ...named, name: "main" };
const manifest: Pick<Manifest, "wasm" | "timeoutMs"> = { wasm: [wasm], timeoutMs: 600_000 };
const source: ManifestLike = manifest;

/** Kinds of modules, which are only named here. */
export type Modules = ManifestWasmData | ManifestWasmModule | ManifestWasmResponse | ManifestWasmUrl;
/** A host function by itself. */
export const reverse = (context: CallContext, address: bigint): bigint => context.store(context.read(address)?.text() ?? "");

const plugin: Plugin = await createPlugin(source, options);
const output = await plugin.call<User>("host_reflect", "hello", { name: "ada" });
console.log(output?.text(), output?.bytes().length, store.get("ada")?.length);
console.log((await plugin.call("config_echo", "colour"))?.text());
console.log((await plugin.call("var_bump"))?.json(), (await plugin.call("var_bump", new Uint8Array(1)))?.bytes()[0]);
await plugin.call("log_all");
console.log(await plugin.functionExists("trap"), (await plugin.getExports()).length, (await plugin.getImports()).map(({ name }) => name).join(" "));
await plugin.call("fail").catch((error: Error) => console.log(error.message));
await plugin.call("nope").catch((error: Error) => console.log(error.message));
await plugin.close();

const capabilities: Capabilities = CAPABILITIES;
console.log(JSON.stringify(capabilities), newPlugin === createPlugin);
