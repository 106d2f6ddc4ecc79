// Door `mortise/extism`: a drop-in for @extism/extism.

import { CAPABILITIES } from "./capabilities.ts";
import { createPlugin } from "./create-plugin.ts";

export { CAPABILITIES, createPlugin, createPlugin as newPlugin };
export type { Capabilities } from "./capabilities.ts";
export type { CallContext, CallContext as CurrentPlugin } from "./call-context.ts";
export type {
  Manifest,
  ManifestLike,
  ManifestWasm,
  ManifestWasmData,
  ManifestWasmModule,
  ManifestWasmPath,
  ManifestWasmResponse,
  ManifestWasmUrl,
} from "./manifest-types.ts";
export type { ExtismPluginOptions, LogLevel, MemoryOptions, PluginConfig, PluginConfigLike } from "./options.ts";
export type { Plugin } from "./plugin.ts";
export type { PluginOutput } from "./plugin-output.ts";
export default createPlugin;

// What require() gives: the function itself, with the other exports on it.
const required: typeof createPlugin = Object.assign(createPlugin, { CAPABILITIES, createPlugin, newPlugin: createPlugin, default: createPlugin });
export { required as "module.exports" };
