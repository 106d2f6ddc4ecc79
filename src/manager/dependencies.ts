// Plugins that need other plugins: what must be loaded first, and what must not go.

import { MortiseError } from "../api/errors.ts";

/** A plugin with the names of those that it needs. */
export interface Dependent {
  readonly name: string;
  readonly dependsOn: readonly string[];
}

/**
 * Checks what a plugin is about to depend on.
 *
 * @param what is about to be done with it, for the message
 * @throws MortiseError MORTISE_DEPENDENCY_MISSING, MORTISE_DEPENDENCY_CYCLE
 */
export function checkDependencies(what: string, { name, dependsOn }: Dependent, loaded: ReadonlyMap<string, Dependent>): void {
  for (const needed of dependsOn) {
    const path = pathTo(name, needed, loaded, new Set());
    if (path !== undefined)
      throw new MortiseError("MORTISE_DEPENDENCY_CYCLE", { what, plugin: name, path: [name, ...path].map((each) => `"${each}"`).join(" → ") });
    if (!loaded.has(needed)) throw new MortiseError("MORTISE_DEPENDENCY_MISSING", { what, plugin: name, missing: needed });
  }
}

/** The way from one plugin to another that it needs, directly or not. */
function pathTo(goal: string, from: string, loaded: ReadonlyMap<string, Dependent>, seen: Set<string>): string[] | undefined {
  if (from === goal) return [from];
  if (seen.has(from)) return undefined;
  seen.add(from);
  for (const next of loaded.get(from)?.dependsOn ?? []) {
    const path = pathTo(goal, next, loaded, seen);
    if (path !== undefined) return [from, ...path];
  }
  return undefined;
}

/** Names of those that need a plugin. */
export function dependentsOf(name: string, loaded: Iterable<Dependent>): string[] {
  return Array.from(loaded)
    .filter(({ dependsOn }) => dependsOn.includes(name))
    .map((each) => each.name)
    .toSorted();
}

/** Refuses to take away what others need. @throws MortiseError MORTISE_PLUGIN_NEEDED */
export function refuseNeeded(what: string, name: string, loaded: Iterable<Dependent>): void {
  const dependents = dependentsOf(name, loaded);
  if (dependents.length === 0) return;
  throw new MortiseError("MORTISE_PLUGIN_NEEDED", { what, plugin: name, dependents: dependents.map((each) => `"${each}"`).join(", ") });
}
