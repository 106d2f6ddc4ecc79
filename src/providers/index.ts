// Providers of QueryMT: plugins that speak to language models.

export { loadProvider } from "./load-provider.ts";
export type { RequestOptions } from "./operation.ts";
export type { Feeding, ProviderHttpSettings, ProviderOptions } from "./options.ts";
export { type ErrorPayload, type ProviderErrorKind, type TransportKind, isRetryable } from "./payload.ts";
export type { ProviderReport, StreamingReport } from "./provider-report.ts";
export type { Provider } from "./provider.ts";
export type * from "./types.ts";
