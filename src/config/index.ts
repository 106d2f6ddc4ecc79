// Door `mortise/config`: mortise.toml and its JSON twin, the files of other systems, and what they are for.

export { type ConfiguredServices, type PluginTarget, loadConfigured, openServices, withConfiguredHooks } from "./apply-config.ts";
export type { Config, HookConfig, PluginConfig, StoreConfig } from "./config.ts";
export type { GatewayConfig, ProviderConfig } from "./gateway-config.ts";
export { type ConfiguredGateway, type ConfiguredProvider, toGatewayOptions } from "./gateway-options.ts";
export { type ImportOptions, type ImportedConfig, importConfig } from "./import/import-config.ts";
export { type LoadOptions, type PluginLoad, toPluginOptions } from "./plugin-options.ts";
export { parseConfig, readConfig } from "./read-config.ts";
export { type ResolvedSecrets, type SecretSources, resolveSecrets } from "./resolve-secrets.ts";
export { Secret } from "./secret.ts";
