// Under which names plugins export the function of a hook.

import type { UntypedHook } from "./definition.ts";

/** Names of a hook's functions, most wanted first. */
export interface FunctionNames {
  readonly names: readonly string[];
  /** Empty for all but brackets. */
  readonly postNames: readonly string[];
}

/** The names that a definition gives, or those that the hook's own name makes. */
export function functionNames(hook: string, { kind, names, postNames }: Pick<UntypedHook, "kind" | "names" | "postNames">): FunctionNames {
  if (kind !== "bracket") return { names: names ?? spellings(hook), postNames: [] };
  return { names: names ?? spellings(hook, "pre"), postNames: postNames ?? spellings(hook, "post") };
}

/** `beforeSave` → `before_save`, `beforeSave`; with `pre` in front, `pre_before_save`, `preBeforeSave`. */
function spellings(hook: string, prefix: string = ""): string[] {
  const camel = prefix === "" ? hook : `${prefix}${hook.slice(0, 1).toUpperCase()}${hook.slice(1)}`;
  return [...new Set([snakeCase(camel), camel])];
}

function snakeCase(name: string): string {
  return name
    .replaceAll(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replaceAll(/([A-Z])([A-Z][a-z])/g, "$1_$2")
    .toLowerCase();
}
