// Providers of QueryMT: plugins that speak to language models.

export { loadProvider } from "./load-provider.ts";
export type { RequestOptions } from "./operation.ts";
export type { Feeding, ProviderHttpSettings, ProviderOptions } from "./options.ts";
export { type ErrorPayload, type ProviderErrorKind, type TransportKind, isRetryable } from "./payload.ts";
export { PASS_APIS, type PassApi } from "./pass-heads.ts";
export type { PassReport } from "./pass-support.ts";
export { PASS_HEADERS } from "./pass-headers.ts";
export type { ForwardRequest, ForwardResponse, RefusedResponse } from "./pass-through.ts";
export type { ProviderReport, StreamingReport } from "./provider-report.ts";
export type { ConfiguredOptions, Provider } from "./provider.ts";
export type * from "./types.ts";
