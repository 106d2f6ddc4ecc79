// Models that providers list themselves: asked for when somebody wants to know, and remembered for a while.

import { MortiseError, isMortiseError } from "mortise";

import type { GatewayLogger } from "./core.ts";
import type { ModelProvider } from "./options.ts";
import type { KeyRing } from "./policies/key-ring.ts";

/** How long a list is good, and how long nobody is asked again who gave none. */
const FRESH_MS = 300_000;
const FAILED_MS = 30_000;
/** Milliseconds for a provider to answer; whoever asks for the list waits for all of them. */
const TIMEOUT_MS = 3000;
/** Models of one provider, and characters of a name; what is beyond is left out. */
const MAX_MODELS = 2000;
const MAX_NAME_CHARS = 256;

/** A provider whose models are asked for. */
export interface ListingProvider {
  readonly name: string;
  readonly provider: Pick<ModelProvider, "listModels">;
  readonly keys: KeyRing | undefined;
}

/** A list that somebody has asked for. */
interface Listed {
  models: Promise<readonly string[]>;
  /** When it is to be asked for again. */
  until: number;
}

/** The lists of providers. */
export class ModelLists {
  readonly #providers: readonly ListingProvider[];
  readonly #clock: () => number;
  readonly #logger: GatewayLogger | undefined;
  readonly #lists = new Map<string, Listed>();

  constructor(providers: readonly ListingProvider[], clock: () => number, logger: GatewayLogger | undefined) {
    this.#providers = providers;
    this.#clock = clock;
    this.#logger = logger;
  }

  /** Names of models, by provider. Never rejects: a provider that fails has none, and the log says why. */
  async all(): Promise<readonly { readonly provider: string; readonly models: readonly string[] }[]> {
    return Promise.all(this.#providers.map(async (each) => ({ provider: each.name, models: await this.#of(each) })));
  }

  #of(each: ListingProvider): Promise<readonly string[]> {
    const known = this.#lists.get(each.name);
    if (known !== undefined && this.#clock() < known.until) return known.models;
    // While the answer is awaited, everybody waits for the same one.
    const listed: Listed = { models: Promise.resolve([]), until: Number.POSITIVE_INFINITY };
    listed.models = this.#ask(each, (ms) => (listed.until = this.#clock() + ms));
    this.#lists.set(each.name, listed);
    return listed.models;
  }

  async #ask({ name, provider, keys }: ListingProvider, settle: (freshMs: number) => void): Promise<readonly string[]> {
    try {
      const key = keys?.choose();
      const options = { timeoutMs: TIMEOUT_MS, ...(key !== undefined && { config: { api_key: key.value } }) };
      const models = await inTime(name, provider.listModels(options));
      const usable = models.filter((model) => typeof model === "string" && model !== "" && model.length <= MAX_NAME_CHARS);
      settle(FRESH_MS);
      return [...new Set(usable)].slice(0, MAX_MODELS);
    } catch (error) {
      settle(FAILED_MS);
      const [code, reason] = isMortiseError(error) ? [error.code, error.message] : ["UNKNOWN", "it threw what is no error of Mortise"];
      this.#logger?.warn({ provider: name, code, reason }, "a provider did not list its models");
      return [];
    }
  }
}

/** Waits no longer than it takes: code of the application may not mind the time that it is given. @throws MortiseError MORTISE_TIMEOUT */
async function inTime<T>(provider: string, work: Promise<T>): Promise<T> {
  const late = Promise.withResolvers<never>();
  const stop = (): void => late.reject(new MortiseError("MORTISE_TIMEOUT", { plugin: provider, function: "listModels", limit: TIMEOUT_MS }));
  const timer = setTimeout(stop, TIMEOUT_MS);
  try {
    return await Promise.race([late.promise, work]);
  } finally {
    clearTimeout(timer);
  }
}
