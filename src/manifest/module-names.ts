// The names of a plugin's modules: one is `main`, none is given twice.

import { type Origin, type Place, faultAt, placeName, quoted } from "./place.ts";

interface Nameable {
  readonly name: string | undefined;
  readonly place: Place;
}

/**
 * Gives every module its name. A single module is `main`, whatever it is called. Of several, `main` is the one that is
 * named so; else the only one without a name; else the last. Others without a name get one that says where they stand.
 *
 * @throws MortiseError MORTISE_MANIFEST_INVALID for a name that is given twice, and where no rule tells which is `main`
 */
export function nameModules<Module extends Nameable>(origin: Origin, modules: readonly Module[]): (Module & { readonly name: string })[] {
  const main = mainIndex(origin, modules);
  const taken = new Set<string>();
  for (const { name, place } of modules) {
    if (name === undefined) continue;
    if (taken.has(name)) throw faultAt(origin, [...place, "name"], `is ${quoted(name)}, which another module is named already`);
    taken.add(name);
  }
  return modules.map((module, index) => ({ ...module, name: index === main ? "main" : (module.name ?? freeName(module.place, taken)) }));
}

function mainIndex(origin: Origin, modules: readonly Nameable[]): number {
  const last = modules.length - 1;
  const named = modules.findIndex(({ name }) => name === "main");
  if (last === 0 || named !== -1) return Math.max(named, 0);
  const unnamed = modules.flatMap(({ name }, index) => (name === undefined ? [index] : []));
  if (unnamed.length === 1) return unnamed[0] as number;
  if (unnamed.length === 0 || unnamed.at(-1) === last) return last;
  throw faultAt(origin, ["wasm"], `has ${unnamed.length} modules without a name, and none is named "main"; name the one to call "main"`);
}

function freeName(place: Place, taken: Set<string>): string {
  let name = placeName(place);
  while (taken.has(name)) name += "'";
  taken.add(name);
  return name;
}
