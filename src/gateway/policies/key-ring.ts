// The keys of a provider: chosen by weight, and at rest for a while after the provider refused them.

import { MortiseError, printable } from "mortise";

import type { Failure, FailureKind } from "../types.ts";
import { checkKeys, checkMs, checkText, checkWeight, invalidOption, withDefaults } from "./check-options.ts";
import { matchesPattern } from "./model-pattern.ts";
import { REAL_TIME, type Timing } from "./timing.ts";
import { chooseByWeight } from "./weighted-choice.ts";

/** A key of a provider. */
export interface KeyOptions {
  /** For logs; never the key itself. @default "key 1", "key 2", … */
  readonly name?: string | undefined;
  /** The key itself. */
  readonly value: string;
  /** How often it is used beside the others; 0 keeps it for when no other one may be used. @default 1 */
  readonly weight?: number | undefined;
  /** Names or patterns of the models that it may be used for. @default all */
  readonly models?: readonly string[] | undefined;
}

/** How long keys rest. */
export interface KeyRingOptions {
  /** After 401 and 402 for all models, after 403 for the model that was asked for. @default 300,000 */
  readonly refusedRestMs?: number | undefined;
  /** After 429 without `retry-after`, for the model that was asked for. @default 5000 */
  readonly limitedRestMs?: number | undefined;
  /** The longest rest that `retry-after` can ask for. @default 600,000 */
  readonly maxRestMs?: number | undefined;
}

/** A key that was chosen. */
export interface KeyChoice {
  readonly name: string;
  readonly value: string;
}

/** What a ring says of a key. */
export interface KeyDescription {
  readonly name: string;
  readonly weight: number;
  /** Milliseconds that it still rests for all models; 0 if it does not. */
  readonly restMs: number;
  /** Models that it rests for besides. */
  readonly models: readonly string[];
}

const DEFAULTS = { refusedRestMs: 300_000, limitedRestMs: 5000, maxRestMs: 600_000 };
/** Models that one key rests for; beyond them the one that rests shortest is forgotten. */
const MAX_MODELS = 256;

interface Rest {
  readonly until: number;
  readonly kind: FailureKind;
  readonly reason: string;
}

interface Key extends KeyChoice {
  readonly weight: number;
  readonly models: readonly string[] | undefined;
  rest: Rest | undefined;
  readonly restOf: Map<string, Rest>;
}

/** Chooses keys. */
export class KeyRing {
  readonly #provider: string;
  readonly #keys: readonly Key[];
  readonly #options: typeof DEFAULTS;
  readonly #timing: Pick<Timing, "clock" | "random">;

  /** @throws MortiseError MORTISE_INVALID_OPTION; keys are never in its text */
  constructor(provider: string, keys: readonly KeyOptions[], options: KeyRingOptions = {}, timing: Pick<Timing, "clock" | "random"> = REAL_TIME) {
    const place = `providers.${provider}`;
    checkKeys(options, `${place}.keyRest`, Object.keys(DEFAULTS));
    this.#provider = provider;
    this.#options = withDefaults(DEFAULTS, options);
    for (const [name, value] of Object.entries(this.#options)) checkMs(value, `${place}.keyRest.${name}`);
    this.#keys = keys.map((key, index) => readKey(key, `${place}.keys[${index}]`, index));
    if (keys.length === 0) throw invalidOption(`${place}.keys`, "empty", "a key at least; leave it out for a provider without keys");
    const names = this.#keys.map(({ name }) => name);
    const twice = names.find((name, index) => names.indexOf(name) !== index);
    if (twice !== undefined) throw invalidOption(`${place}.keys`, `a list with two keys named "${twice}"`, "names that differ");
    this.#timing = timing;
  }

  /**
   * A key for a model, by weight; without one, a key for what is not about a model.
   *
   * @throws MortiseError MORTISE_GATEWAY_NO_KEY if every key rests, with `retryAfterMs` and the `kind` of the failure that ends first
   */
  choose(model?: string): KeyChoice {
    const now = this.#timing.clock();
    const [only] = this.#keys;
    // One key without anything else is what most providers have.
    if (this.#keys.length === 1 && only !== undefined && only.rest === undefined && only.restOf.size === 0 && only.models === undefined) return only;
    const fitting = this.#keys.filter((key) => serves(key, model));
    const ready = fitting.filter((key) => restOf(key, model, now) === undefined);
    const chosen = chooseByWeight(ready, this.#timing.random);
    if (chosen !== undefined) return chosen;
    throw this.#allRest(fitting, model, now);
  }

  /** True if a key other than this one may be used at once. */
  hasOther(model: string, { name }: KeyChoice): boolean {
    const now = this.#timing.clock();
    return this.#keys.some((key) => key.name !== name && serves(key, model) && restOf(key, model, now) === undefined);
  }

  /** Milliseconds until a key may be used; 0 if one may now, and infinite if none is for the model. */
  readyInMs(model: string): number {
    const now = this.#timing.clock();
    let least = Number.POSITIVE_INFINITY;
    for (const key of this.#keys) if (serves(key, model)) least = Math.min(least, Math.max(0, (restOf(key, model, now)?.until ?? now) - now));
    return least;
  }

  /** Puts a key to rest, if the failure says something against it. */
  failed({ name }: KeyChoice, model: string, failure: Failure): void {
    const key = this.#keys.find((each) => each.name === name);
    if (key === undefined) return;
    const { refusedRestMs, limitedRestMs, maxRestMs } = this.#options;
    const { kind, status, message, retryAfterMs } = failure;
    const asked = retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, maxRestMs);
    const restMs =
      kind === "rate_limited" ? (asked ?? limitedRestMs) : kind === "authentication" || kind === "quota" || kind === "permission" ? refusedRestMs : 0;
    if (restMs <= 0) return;
    const rest: Rest = { until: this.#timing.clock() + restMs, kind, reason: `${kind} (${status}): ${printable(message)}` };
    // 403 and 429 are most often about one model, and clients choose models: they must not put a key out of work for others.
    if (kind === "authentication" || kind === "quota") key.rest = longer(key.rest, rest);
    else this.#restFor(key, model, rest);
  }

  #restFor(key: Key, model: string, rest: Rest): void {
    key.restOf.set(model, longer(key.restOf.get(model), rest));
    if (key.restOf.size <= MAX_MODELS) return;
    const now = this.#timing.clock();
    for (const [name, { until }] of key.restOf) if (until <= now) key.restOf.delete(name);
    if (key.restOf.size <= MAX_MODELS) return;
    const [shortest] = [...key.restOf].reduce((least, each) => (each[1].until < least[1].until ? each : least));
    key.restOf.delete(shortest);
  }

  #allRest(fitting: readonly Key[], model: string | undefined, now: number): MortiseError {
    const rests = fitting.map((key) => restOf(key, model, now)).filter((rest) => rest !== undefined);
    const [first] = rests.toSorted((a, b) => a.until - b.until);
    const reason = first?.reason ?? "none is for this model";
    const rest = first && { kind: first.kind, retryAfterMs: Math.ceil(first.until - now) };
    return new MortiseError("MORTISE_GATEWAY_NO_KEY", { provider: this.#provider, model, keys: fitting.length, reason, ...rest });
  }

  describe(): readonly KeyDescription[] {
    const now = this.#timing.clock();
    return this.#keys.map(({ name, weight, rest, restOf: models }) => ({
      name,
      weight,
      restMs: Math.max(0, (rest?.until ?? now) - now),
      models: [...models].filter(([, { until }]) => until > now).map(([model]) => model),
    }));
  }
}

function serves({ models }: Key, model: string | undefined): boolean {
  return models === undefined || model === undefined || models.some((pattern) => matchesPattern(pattern, model));
}

/** Why a key rests, and for how long; what is over is forgotten. */
function restOf(key: Key, model: string | undefined, now: number): Rest | undefined {
  if (key.rest !== undefined && key.rest.until <= now) key.rest = undefined;
  if (model === undefined) return key.rest;
  const forModel = key.restOf.size === 0 ? undefined : key.restOf.get(model);
  if (forModel !== undefined && forModel.until <= now) {
    key.restOf.delete(model);
    return key.rest;
  }
  return forModel === undefined || (key.rest !== undefined && key.rest.until > forModel.until) ? key.rest : forModel;
}

function longer(old: Rest | undefined, rest: Rest): Rest {
  return old === undefined || rest.until > old.until ? rest : old;
}

function readKey(key: KeyOptions, place: string, index: number): Key {
  checkKeys(key, place, ["name", "value", "weight", "models"]);
  const { name = `key ${index + 1}`, value, weight = 1, models } = key;
  checkText(name, `${place}.name`);
  // The value itself must not get into a message.
  if (typeof value !== "string" || value === "" || /[^\u{21}-\u{7e}]/u.test(value))
    throw invalidOption(`${place}.value`, "something else", "printable ASCII without spaces");
  checkWeight(weight, `${place}.weight`);
  for (const [at, model] of (models ?? []).entries()) checkText(model, `${place}.models[${at}]`);
  return { name, value, weight, models, rest: undefined, restOf: new Map() };
}
