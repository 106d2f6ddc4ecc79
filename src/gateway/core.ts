// What all requests of a gateway share.

import type { Logger, LlmRequest } from "mortise";

import type { ClientKeys } from "./client-keys.ts";
import type { Completed, Used } from "./completed.ts";
import type { GatewayHost } from "./hooks.ts";
import type { ModelProvider, ResolvedLimits } from "./options.ts";
import type { OwnNames } from "./own-names.ts";
import type { PendingBodies } from "./pending-bodies.ts";
import type { AttemptPolicy } from "./policies/attempt-policy.ts";
import type { GateDescription, Gates } from "./policies/gate.ts";
import type { KeyDescription } from "./policies/key-ring.ts";
import type { ProviderBreakerDescription } from "./policies/provider-breaker.ts";
import type { RateLimiter } from "./policies/rate-limiter.ts";
import type { ReportQueue } from "./report-queue.ts";
import type { NamedModel, Target } from "./policies/router.ts";
import type { Guards } from "./policies/seat.ts";

/** Receives lines of requests, with their fields before the text, as pino does. */
export type GatewayLogger = Logger & {
  readonly [Level in "info" | "warn" | "error"]: (fields: object, message: string) => void;
};

/** How a provider is doing. */
export interface ProviderDescription {
  readonly name: string;
  readonly keys: readonly KeyDescription[];
  readonly breaker: ProviderBreakerDescription | undefined;
  readonly gate: GateDescription | undefined;
}

/** Providers and routes: replaced as a whole, while requests that have begun keep theirs. */
export interface Setup {
  /** Whom a model's name means, in the order in which they are to be asked. @throws MortiseError MORTISE_GATEWAY_NO_MODEL */
  route(model: string): readonly Target[];
  /** Whom the fallbacks of a request mean. @throws MortiseError MORTISE_GATEWAY_NO_MODEL or MORTISE_GATEWAY_REQUEST */
  fallbacks(fallbacks: unknown): readonly Target[];
  /** @throws MortiseError MORTISE_GATEWAY_NO_MODEL for a provider that is not there, or may not be asked for the model */
  providerOf(llm: Pick<LlmRequest, "provider" | "model">): ModelProvider;
  /** What the configuration names. */
  models(): readonly NamedModel[];
  /** The same, with what providers list themselves. Never rejects: a provider that fails is left out. */
  allModels(): Promise<readonly NamedModel[]>;
  readonly policy: AttemptPolicy;
  /** False for a provider whose configuration says that its server must not be asked for the usage of streams. */
  asksUsage(provider: string): boolean;
  /** What stands before a provider. */
  readonly guardsOf: (target: Target) => Guards | undefined;
  describe(): readonly ProviderDescription[];
  /** Keeps providers from being closed until what it gives back is called. */
  hold(): () => void;
  /** Closes providers that the gateway loaded, once nobody holds them. */
  retire(): Promise<void>;
}

/** How the gateway is doing. */
export interface State {
  /** Requests under way. */
  running: number;
  /** New requests are refused. */
  isClosing: boolean;
  /** Names this run of the gateway: no two have the same. */
  readonly run: string;
  /** Requests that observers of the hook `completed` were told of. */
  told: number;
}

/** Who may use the gateway, and how much of it. */
export interface Access {
  keys: ClientKeys | undefined;
  /** How much clients may use. */
  rates: RateLimiter | undefined;
  /** How many requests of a client are served at a time. */
  clientGates: Gates | undefined;
}

/** Queues in front of observers. */
export interface Reports {
  readonly completed: ReportQueue<Completed>;
  readonly used: ReportQueue<Used>;
}

/** The gateway as its requests see it. */
export interface Core extends Access {
  setup: Setup;
  readonly host: GatewayHost;
  readonly limits: ResolvedLimits;
  readonly bodies: PendingBodies;
  /** What observers are told, by hook. */
  readonly reports: Reports;
  readonly logger: GatewayLogger | undefined;
  readonly state: State;
  /** Names under which it may be addressed; undefined for any, as long as it does not listen. */
  names: OwnNames | undefined;
  /** Monotonic, in milliseconds. */
  readonly clock: () => number;
}
