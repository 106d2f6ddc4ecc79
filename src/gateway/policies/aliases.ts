// Other names of models: read, checked, and followed to their ends once, at the start.

import { checkKeys, checkText, checkWeight, invalidOption } from "./check-options.ts";
import type { Target } from "./router.ts";

/** A target of an alias. */
export interface WeightedName {
  /** `provider/model`, a model's name, or another alias. */
  readonly to: string;
  /** How often it is chosen beside the others; one of 0 is a fallback only. @default 1 */
  readonly weight?: number | undefined;
}

/** What an alias stands for. */
export type AliasOptions = string | WeightedName | readonly (string | WeightedName)[];

/** What it comes to. */
export interface AliasTarget extends Target {
  readonly weight: number;
}

const MAX_TARGETS = 64;

/**
 * The targets of each alias; those that several ways lead to once, with the sum of the weights.
 *
 * @param resolve a name that is no alias; throws for one that means nothing
 * @throws MortiseError MORTISE_INVALID_OPTION
 */
export function flattenAliases(
  aliases: Readonly<Record<string, AliasOptions>>,
  resolve: (name: string, option: string) => Target,
): ReadonlyMap<string, readonly AliasTarget[]> {
  checkKeys(aliases, "aliases", Object.keys(aliases));
  const read = new Map(Object.entries(aliases).map(([name, options]) => [name, readAlias(`aliases.${name}`, options)]));
  const flat = new Map<string, readonly AliasTarget[]>();

  function follow(name: string, path: readonly string[]): readonly AliasTarget[] {
    const known = flat.get(name);
    if (known !== undefined) return known;
    const option = `aliases.${name}`;
    if (path.includes(name))
      throw invalidOption(`aliases.${path[0] ?? name}`, `a loop: ${[...path, name].join(" to ")}`, "a way that ends at a model");
    const found = new Map<string, AliasTarget>();
    for (const { to, weight } of read.get(name) ?? [])
      for (const target of read.has(to) ? shares(follow(to, [...path, name])) : [{ ...resolve(to, option), weight: 1 }]) {
        const id = `${target.provider}/${target.model}`;
        found.set(id, { provider: target.provider, model: target.model, weight: (found.get(id)?.weight ?? 0) + weight * target.weight });
      }
    if (found.size > MAX_TARGETS) throw invalidOption(option, `${found.size} targets`, `${MAX_TARGETS} at most`);
    const targets = [...found.values()];
    flat.set(name, targets);
    return targets;
  }

  for (const name of read.keys()) follow(name, []);
  return flat;
}

/** Weights as parts of one. */
function shares(targets: readonly AliasTarget[]): readonly AliasTarget[] {
  const total = targets.reduce((sum, { weight }) => sum + weight, 0);
  return targets.map(({ provider, model, weight }) => ({ provider, model, weight: weight / total }));
}

function readAlias(option: string, options: AliasOptions): readonly { readonly to: string; readonly weight: number }[] {
  const list = Array.isArray(options) ? (options as readonly (string | WeightedName)[]) : [options as string | WeightedName];
  const targets = list.map((each, index) => {
    const place = Array.isArray(options) ? `${option}[${index}]` : option;
    const { to, weight = 1 }: WeightedName = typeof each === "string" ? { to: each } : each;
    if (typeof each !== "string") checkKeys(each, place, ["to", "weight"]);
    checkText(to, typeof each === "string" ? place : `${place}.to`);
    checkWeight(weight, `${place}.weight`);
    return { to, weight };
  });
  if (!targets.some(({ weight }) => weight > 0))
    throw invalidOption(option, "nothing that could be chosen", "one target at least with a weight above 0");
  return targets;
}
