// Fields of a client's interface for which the common form has no place: they stay beside what it has, so that plugins see them.

import type { JsonObject } from "mortise";

import { type Fields, type Path, at, isAbsent } from "./fields.ts";

const NONE: JsonObject = Object.freeze({});

/**
 * Those fields, to be spread beside `own`. One with a name that is in `own` is refused: plugins would see it in the
 * place of what the server goes by.
 *
 * @throws the fault of `fields`
 */
export function otherFields(rest: JsonObject, own: JsonObject, fields: Fields, path: Path | undefined): JsonObject {
  let found: [string, unknown][] | undefined;
  for (const name in rest) {
    const isTaken = Object.hasOwn(own, name);
    if (isTaken && !isAbsent(rest[name]))
      throw fields.fault(at(path, name), "is no field of this interface, and plugins would take it for another one");
    if (!isTaken) (found ??= []).push([name, rest[name]]);
  }
  return found === undefined ? NONE : Object.fromEntries(found);
}

/** `own` with {@link otherFields} beside it. */
export function withOthers(own: JsonObject, rest: JsonObject, fields: Fields, path: Path | undefined): JsonObject {
  const others = otherFields(rest, own, fields, path);
  return others === NONE ? own : { ...own, ...others };
}

/** Refuses fields in a place that the common form has not at all. @throws the fault of `fields` */
export function refuseOthers(rest: JsonObject, fields: Fields, path: Path | undefined): void {
  for (const name in rest) if (!isAbsent(rest[name])) throw fields.fault(at(path, name), "is not known here, and no plugin could see it");
}
