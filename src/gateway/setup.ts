// Providers and routes of a gateway, as they are at a time.

import { type LlmRequest, MortiseError, type Provider, loadProvider } from "mortise";

import type { GatewayLogger, Setup } from "./core.ts";
import { ModelLists } from "./model-lists.ts";
import {
  type GatewayProviders,
  type GatewaySetup,
  type LoadedProvider,
  type ModelProvider,
  type ProviderPolicy,
  type ProviderSource,
} from "./options.ts";
import { invalidOption } from "./policies/check-options.ts";
import { type AttemptPolicy, resolveAttemptPolicy } from "./policies/attempt-policy.ts";
import { Gate, resolveGate } from "./policies/gate.ts";
import { KeyRing } from "./policies/key-ring.ts";
import { ProviderBreaker, resolveProviderBreaker } from "./policies/provider-breaker.ts";
import { type RoutedProvider, Router } from "./policies/router.ts";
import type { Guards } from "./policies/seat.ts";
import { REAL_TIME } from "./policies/timing.ts";

/** Loads providers. If one cannot be loaded, none is. @throws MortiseError as `loadProvider`, or MORTISE_INVALID_OPTION */
export async function loadSetup(
  { providers, aliases, defaultProvider, attempts }: GatewaySetup,
  clock: () => number,
  logger: GatewayLogger | undefined,
): Promise<Setup> {
  const names = Object.keys(providers ?? {});
  const [only] = names;
  if (only === undefined) throw invalidOption("providers", "empty", "at least one provider by name");
  // What is wrong with names and policies is known before anything is loaded.
  const router = new Router({ providers: routed(providers), aliases, defaultProvider: defaultProvider ?? (names.length === 1 ? only : undefined) });
  const policy = resolveAttemptPolicy(attempts);
  const guards = new Map(Object.entries(providers).map(([name, given]) => [name, guardsOf(name, given, clock)]));
  const settled = await Promise.allSettled(Object.entries(providers).map(([name, given]) => load(name, given)));
  const loaded = settled.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const owned = loaded.flatMap(({ own }) => own ?? []);
  const failed = settled.find((result) => result.status === "rejected");
  if (failed !== undefined) {
    await Promise.all(owned.map((provider) => provider.close()));
    throw failed.reason;
  }
  const byName = new Map(loaded.map(({ name, provider }) => [name, provider]));
  const listing = loaded.filter(({ lists }) => lists).map(({ name, provider }) => ({ name, provider, keys: guards.get(name)?.keys }));
  const silent = new Set(names.filter((name) => forbidsUsage(providers[name])));
  return new LoadedSetup({ providers: byName, router, owned, policy, guards, lists: new ModelLists(listing, clock, logger), silent });
}

/** For servers that refuse the question; the key is that of the shipped provider for OpenAI's interface. */
function forbidsUsage(given: GatewayProviders[string] | undefined): boolean {
  return given !== undefined && "options" in given && given.options?.config?.["stream_usage"] === false;
}

function guardsOf(name: string, { keys, keyRest, concurrency, breaker }: ProviderPolicy, clock: () => number): Guards {
  const timing = { ...REAL_TIME, clock };
  const limits = resolveProviderBreaker(breaker, `providers.${name}.breaker`);
  return {
    keys: keys && new KeyRing(name, keys, keyRest, timing),
    gate: concurrency && new Gate(`provider "${name}"`, resolveGate(concurrency, `providers.${name}.concurrency`), timing),
    breaker: limits && new ProviderBreaker(name, limits, timing),
  };
}

function routed(providers: GatewayProviders): Record<string, RoutedProvider> {
  return Object.fromEntries(Object.entries(providers).map(([name, { models, onlyListed }]) => [name, { models, onlyListed }]));
}

/** A provider of a setup. */
interface Loaded {
  readonly name: string;
  readonly provider: ModelProvider;
  /** The same, if the gateway closes it. */
  readonly own?: Provider;
  /** It is asked for its models. */
  readonly lists: boolean;
}

async function load(name: string, given: ProviderSource | LoadedProvider): Promise<Loaded> {
  const { listModels } = given;
  if ("provider" in given) return { name, provider: given.provider, lists: listModels ?? true };
  const own = await loadProvider(given.source, { ...optionsOf(given), name });
  return { name, provider: own, own, lists: listModels ?? canList(own, given) };
}

/** What a provider is loaded with: its own key would go before those of the ring. */
function optionsOf({ options = {}, keys }: ProviderSource): NonNullable<ProviderSource["options"]> {
  if (keys === undefined) return options;
  const { apiKey: _apiKey, ...rest } = options;
  return rest;
}

/** True if a provider has a key to ask with, or needs none, since its list is its own or it has nobody to ask. */
export function canList({ report }: Provider, { options, keys }: Pick<ProviderSource, "options" | "keys">): boolean {
  if (report.exports.found.includes("list_models_static") || report.hosts.granted.length === 0) return true;
  return keys !== undefined || options?.apiKey !== undefined || options?.config?.["api_key"] !== undefined;
}

interface SetupParts {
  readonly providers: ReadonlyMap<string, ModelProvider>;
  readonly router: Router;
  readonly owned: readonly Provider[];
  readonly policy: AttemptPolicy;
  readonly guards: ReadonlyMap<string, Guards>;
  readonly lists: ModelLists;
  /** Providers that are not asked for the usage of streams. */
  readonly silent: ReadonlySet<string>;
}

class LoadedSetup implements Setup {
  readonly policy: AttemptPolicy;
  readonly guardsOf: Setup["guardsOf"];
  readonly #parts: SetupParts;
  #holders = 0;
  #released: (() => void) | undefined;

  constructor(parts: SetupParts) {
    this.policy = parts.policy;
    this.guardsOf = ({ provider }) => parts.guards.get(provider);
    this.#parts = parts;
  }

  asksUsage(provider: string): boolean {
    return !this.#parts.silent.has(provider);
  }

  describe(): ReturnType<Setup["describe"]> {
    return Array.from(this.#parts.guards, ([name, { keys, breaker, gate }]) => ({
      name,
      keys: keys?.describe() ?? [],
      breaker: breaker?.describe(),
      gate: gate?.describe(),
    }));
  }

  route(model: string): ReturnType<Router["route"]> {
    return this.#parts.router.route(model);
  }

  fallbacks(fallbacks: unknown): ReturnType<Router["fallbacks"]> {
    return this.#parts.router.fallbacks(fallbacks);
  }

  providerOf({ provider, model }: Pick<LlmRequest, "provider" | "model">): ModelProvider {
    const { providers, router } = this.#parts;
    const found = providers.get(provider);
    if (found !== undefined && router.allows({ provider, model })) return found;
    const reason = found === undefined ? "there is no such provider" : "the provider may be asked for listed models only";
    throw new MortiseError("MORTISE_GATEWAY_NO_MODEL", { model: `${provider}/${model}`, reason, hint: "" });
  }

  models(): ReturnType<Router["models"]> {
    return this.#parts.router.models();
  }

  async allModels(): ReturnType<Setup["allModels"]> {
    const { router, lists } = this.#parts;
    const models = new Map(router.models().map((model) => [model.id, model]));
    for (const { provider, models: listed } of await lists.all())
      for (const model of listed) {
        const id = `${provider}/${model}`;
        if (!models.has(id) && router.allows({ provider, model })) models.set(id, { id, provider });
      }
    return [...models.values()];
  }

  hold(): () => void {
    this.#holders++;
    return () => {
      if (--this.#holders === 0) this.#released?.();
    };
  }

  async retire(): Promise<void> {
    if (this.#holders > 0)
      await new Promise<void>((resolve) => {
        this.#released = resolve;
      });
    await Promise.all(this.#parts.owned.map((provider) => provider.close()));
  }
}
