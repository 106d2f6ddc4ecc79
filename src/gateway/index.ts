// Door `mortise/gateway`: one endpoint in front of model providers, with plugins around every request.

export type { ClientKey } from "./client-keys.ts";
export type { Completed, Tokens, Used } from "./completed.ts";
export type { GatewayLogger } from "./core.ts";
export { type Gateway, type GatewayCloseOptions, type GatewayHealth, createGateway } from "./gateway.ts";
export type { GatewayHookOptions, GatewayHooks, GatewayHost } from "./hooks.ts";
export type {
  GatewayAccess,
  GatewayLimits,
  GatewayOptions,
  GatewayProviders,
  GatewaySetup,
  ListenOptions,
  LoadedProvider,
  ModelProvider,
  ProviderSource,
} from "./options.ts";
export type * from "./types.ts";
