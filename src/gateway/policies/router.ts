// Which provider a model's name means: aliases, `provider/model`, names that providers list, a default.

import { MortiseError, didYouMean, printable } from "mortise";

import { type AliasOptions, type AliasTarget, flattenAliases } from "./aliases.ts";
import { checkKeys, checkText, invalidOption } from "./check-options.ts";
import { isPattern, matchesPattern } from "./model-pattern.ts";
import { chooseByWeight } from "./weighted-choice.ts";

/** What is asked, and who is asked. */
export interface Target {
  readonly provider: string;
  /** As the provider calls it. */
  readonly model: string;
}

/** What the router knows of a provider. */
export interface RoutedProvider {
  /** Names, or patterns with `*`, of models that are the provider's without its name before them. @default none */
  readonly models?: readonly string[] | undefined;
  /** Refuses every other model. @default false */
  readonly onlyListed?: boolean | undefined;
}

export interface RouterOptions {
  /** By name; where several list a model, the first has it, and names go before patterns. */
  readonly providers: Readonly<Record<string, RoutedProvider>>;
  /**
   * Other names: of one target, or of several, one of which is chosen by weight while the others follow as fallbacks. A
   * target is `provider/model`, a model's name, or another alias. @default none
   */
  readonly aliases?: Readonly<Record<string, AliasOptions>> | undefined;
  /** Whose a model is that nobody lists. @default none: such models are refused */
  readonly defaultProvider?: string | undefined;
}

/** A model that can be named, for lists. */
export interface NamedModel {
  /** An alias, or `provider/model`. */
  readonly id: string;
  /** The provider; undefined for an alias of several. */
  readonly provider: string | undefined;
}

/** Longest name that is looked at, in UTF-16 units. */
const MAX_NAME_CHARS = 256;
const MAX_FALLBACKS = 16;

/** Finds targets for names of models. */
export class Router {
  readonly #providers: ReadonlyMap<string, RoutedProvider>;
  /** Providers by the name of a model. */
  readonly #listed = new Map<string, string>();
  readonly #patterns: { readonly pattern: string; readonly provider: string }[] = [];
  readonly #default: string | undefined;
  #aliases: ReadonlyMap<string, readonly AliasTarget[]> = new Map();

  /** @throws MortiseError MORTISE_INVALID_OPTION for options that make no sense, among them aliases that lead back to themselves or nowhere */
  constructor(options: RouterOptions) {
    checkKeys(options, "routing", ["providers", "aliases", "defaultProvider"]);
    checkKeys(options.providers, "providers", Object.keys(options.providers));
    this.#providers = new Map(Object.entries(options.providers));
    for (const [name, provider] of this.#providers) this.#list(name, provider);
    this.#default = options.defaultProvider;
    if (this.#default !== undefined && !this.#providers.has(this.#default))
      throw invalidOption(
        "defaultProvider",
        `"${this.#default}"`,
        `one of ${[...this.#providers.keys()].join(", ") || "the providers, of which there are none"}`,
      );
    this.#aliases = flattenAliases(options.aliases ?? {}, (name, option) => this.#targetOf(name, option));
  }

  #list(name: string, provider: RoutedProvider): void {
    if (!/^[\w.-]{1,64}$/.test(name))
      throw invalidOption(
        `providers.${name}`,
        "a name with other characters, or of another length",
        "1 to 64 letters, digits, dots, dashes and underscores",
      );
    for (const [index, model] of (provider.models ?? []).entries()) {
      checkText(model, `providers.${name}.models[${index}]`);
      if (isPattern(model)) this.#patterns.push({ pattern: model, provider: name });
      else if (!this.#listed.has(model)) this.#listed.set(model, name);
    }
  }

  /**
   * Targets for a name, the first of which is to be asked, and the others if it fails.
   *
   * @throws MortiseError MORTISE_GATEWAY_NO_MODEL
   */
  route(name: string, random: () => number = Math.random): readonly Target[] {
    const targets = this.#aliases.get(name);
    if (targets === undefined) return [this.#resolve(name)];
    const chosen = chooseByWeight(targets, random);
    return chosen === undefined || targets.length === 1 ? targets : [chosen, ...targets.filter((target) => target !== chosen)];
  }

  /**
   * Targets for the fallbacks that a request names, as `"provider/model"` or `{provider, model}`.
   *
   * @throws MortiseError MORTISE_GATEWAY_NO_MODEL, MORTISE_GATEWAY_REQUEST for fallbacks of another form
   */
  fallbacks(fallbacks: unknown, random: () => number = Math.random): readonly Target[] {
    if (fallbacks === undefined || fallbacks === null) return [];
    return readFallbacks(fallbacks).flatMap((fallback) => this.route(fallback, random));
  }

  /** True if the provider may be asked for the model. */
  allows({ provider, model }: Target): boolean {
    const { onlyListed, models = [] } = this.#providers.get(provider) ?? {};
    return onlyListed !== true || models.some((listed) => (isPattern(listed) ? matchesPattern(listed, model) : listed === model));
  }

  /** What can be named, patterns aside: aliases first. */
  models(): readonly NamedModel[] {
    const aliases = [...this.#aliases].map(([id, targets]) => {
      const providers = new Set(targets.map(({ provider }) => provider));
      return { id, provider: providers.size === 1 ? targets[0]?.provider : undefined };
    });
    const listed = [...this.#providers].flatMap(([provider, { models = [] }]) =>
      models.filter((model) => !isPattern(model)).map((model) => ({ id: `${provider}/${model}`, provider })),
    );
    return [...aliases, ...listed.filter(({ id }) => !this.#aliases.has(id))];
  }

  #resolve(name: string): Target {
    if (name === "" || name.length > MAX_NAME_CHARS)
      throw noModel(name, name === "" ? "it has no name" : `its name has ${name.length} characters, but ${MAX_NAME_CHARS} are allowed`);
    const found = this.#find(name);
    if (found === undefined) throw noModel(name, "no provider lists it", didYouMean(name, this.#names()));
    if (!this.allows(found)) throw noModel(name, `provider "${found.provider}" may be asked for listed models only`, didYouMean(name, this.#names()));
    return found;
  }

  #find(name: string): Target | undefined {
    const slash = name.indexOf("/");
    const prefix = slash === -1 ? "" : name.slice(0, slash);
    if (slash !== -1 && slash < name.length - 1 && this.#providers.has(prefix)) return { provider: prefix, model: name.slice(slash + 1) };
    const provider = this.#listed.get(name) ?? this.#patterns.find(({ pattern }) => matchesPattern(pattern, name))?.provider ?? this.#default;
    return provider === undefined ? undefined : { provider, model: name };
  }

  #targetOf(name: string, option: string): Target {
    try {
      return this.#resolve(name);
    } catch (error) {
      throw invalidOption(
        option,
        `"${name}", which leads nowhere (${error instanceof Error ? error.message : String(error)})`,
        "a model of a provider, or an alias",
      );
    }
  }

  /** Names for hints: what models are called alone, and with their providers. */
  *#names(): Generator<string> {
    yield* this.#aliases.keys();
    yield* this.#listed.keys();
    for (const [provider, { models = [] }] of this.#providers) for (const model of models) yield `${provider}/${model}`;
  }
}

function noModel(model: string, reason: string, hint = ""): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_NO_MODEL", { model, reason, hint });
}

function readFallbacks(value: unknown): readonly string[] {
  if (!Array.isArray(value) || value.length > MAX_FALLBACKS) throw badFallbacks(`must be a list of ${MAX_FALLBACKS} at most`);
  return value.map((fallback: unknown) => {
    if (typeof fallback === "string") return fallback;
    const { provider, model } = (typeof fallback === "object" && fallback !== null ? fallback : {}) as Readonly<Record<string, unknown>>;
    if (typeof model !== "string" || (provider !== undefined && typeof provider !== "string"))
      throw badFallbacks('must hold names, or objects with "provider" and "model"');
    return provider === undefined || provider === "" ? model : `${provider}/${model}`;
  });
}

function badFallbacks(reason: string): MortiseError {
  return new MortiseError("MORTISE_GATEWAY_REQUEST", { what: "fallbacks", param: "fallbacks", reason: printable(reason) });
}
