// The providers of a configuration: what is the same in another configuration stays loaded, with its connections.

import { isDeepStrictEqual } from "node:util";

import type { ConfiguredProvider } from "../../config/gateway-options.ts";
import type { GatewayProviders } from "../../gateway/index.ts";
import { canList } from "../../gateway/setup.ts";
import { type Logger, type Provider, loadProvider } from "../../index.ts";
import type { FileDigests } from "./file-watches.ts";

interface Loaded {
  readonly provider: Provider;
  /** What it was loaded with. */
  readonly origin: object;
}

/** A change that is prepared. */
export interface PreparedProviders {
  readonly providers: GatewayProviders;
  /** Of those that were loaded for it, by name. */
  readonly reports: ReadonlyMap<string, Provider["report"]>;
  /** They count from now on. Gives what closes those that do not any more, to be called when nothing uses them. */
  commit(): () => Promise<void>;
  /** Closes those that were loaded for it. */
  abandon(): Promise<void>;
}

/** Providers, as they were loaded last. */
export class ConfiguredProviders {
  readonly #logger: Logger;
  #loaded: ReadonlyMap<string, Loaded> = new Map();

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  /**
   * Loads what is new or different. If anything cannot be loaded, nothing has changed.
   *
   * @param files what their files hold; another content makes another provider
   * @param all also what is the same and comes from no file
   * @throws MortiseError as `loadProvider`
   */
  async prepare(wanted: Readonly<Record<string, ConfiguredProvider>>, files: FileDigests, all: boolean): Promise<PreparedProviders> {
    const next = new Map<string, Loaded>();
    const reports = new Map<string, Provider["report"]>();
    const fresh: Provider[] = [];
    const abandon = async (): Promise<void> => void (await Promise.all(fresh.map((provider) => provider.close())));
    try {
      for (const [name, { source, options }] of Object.entries(wanted)) {
        const origin = { source, options, digest: files.get(source) };
        const before = this.#loaded.get(name);
        const isSame = before !== undefined && isDeepStrictEqual(before.origin, origin) && !(all && origin.digest === undefined);
        if (isSame) {
          next.set(name, before);
          continue;
        }
        const provider = await loadProvider(source, { ...options, name, logger: this.#logger }); // oxlint-disable-line no-await-in-loop -- compiling takes the thread
        fresh.push(provider);
        next.set(name, { provider, origin });
        reports.set(name, provider.report);
      }
    } catch (error) {
      await abandon();
      throw error;
    }
    const commit = (): (() => Promise<void>) => {
      const gone = [...this.#loaded.values()].filter(({ provider }) => ![...next.values()].some((each) => each.provider === provider));
      this.#loaded = next;
      return async () => void (await Promise.all(gone.map(({ provider }) => provider.close())));
    };
    const loaded = Object.entries(wanted).map(([name, given]) => [name, loadedAs(next.get(name), given)] as const);
    return { providers: Object.fromEntries(loaded), reports, commit, abandon };
  }

  /** Closes all. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(Array.from(this.#loaded.values(), ({ provider }) => provider.close()));
  }
}

function loadedAs(loaded: Loaded | undefined, { source: _source, options, ...policy }: ConfiguredProvider): GatewayProviders[string] {
  if (loaded === undefined) throw new RangeError("a provider that was not loaded");
  const { provider } = loaded;
  // To the gateway it is one that somebody else has loaded, of which it cannot know whether it has a key.
  return { ...policy, listModels: policy.listModels ?? canList(provider, { options, ...policy }), provider };
}
