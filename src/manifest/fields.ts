// Reading of objects that someone wrote: known keys only, each in one of its spellings, each value of its kind.

import { didYouMean } from "../api/near-names.ts";
import { type Origin, type Place, faultAt, kindOf, quoted } from "./place.ts";

/** A value, and where it stands. */
export interface Field {
  readonly value: unknown;
  readonly place: Place;
}

/** Keys by their camel case names, each with its other spelling if it has one. */
export type KeyTable<Name extends string> = Readonly<Record<Name, string | undefined>>;

/** The fields of an object that are there; `null` and `undefined` count as absent. */
export type Fields<Name extends string> = Readonly<Partial<Record<Name, Field>>>;

/** What to write instead of keys that people know from elsewhere. */
const FOREIGN_KEYS: ReadonlyMap<string, string> = new Map([["req", "; url, headers and method stand beside name"]]);

/**
 * Takes an object apart; only its own keys count.
 *
 * @param what the object, in the words of a message
 * @throws MortiseError MORTISE_MANIFEST_INVALID for a key that is unknown or stands there in both spellings
 */
export function readFields<Name extends string>(origin: Origin, { value, place }: Field, what: string, table: KeyTable<Name>): Fields<Name> {
  const names = Object.keys(table) as Name[];
  const fields: Partial<Record<Name, Field>> = {};
  for (const [key, member] of Object.entries(objectOf(origin, { value, place }))) {
    const name = names.find((each) => each === key || table[each] === key);
    const at = [...place, key];
    if (name === undefined) {
      const known = names.flatMap((each) => table[each] ?? []).concat(names);
      throw faultAt(origin, at, `is not a key of ${what}${FOREIGN_KEYS.get(key) ?? didYouMean(key, known)}`);
    }
    if (member === undefined || member === null) continue;
    const other = fields[name];
    if (other !== undefined) throw faultAt(origin, at, `and ${String(other.place.at(-1))} are two spellings of one key; give one of them`);
    fields[name] = { value: member, place: at };
  }
  return fields;
}

/** An object that stands for a table; not an array, a Map, bytes or another thing with methods of its own. */
export function objectOf(origin: Origin, { value, place }: Field): Record<string, unknown> {
  if (!OBJECT_TAGS.has(tagOf(value))) throw faultAt(origin, place, `is ${kindOf(value)} but must be an object`);
  return value as Record<string, unknown>;
}

/** Plain objects, and the namespace of a module that was imported. */
const OBJECT_TAGS: ReadonlySet<string> = new Set(["Object", "Module"]);

/** The class of a value, also of one from another realm. */
export function tagOf(value: unknown): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/** Text of at least one character that is well-formed Unicode without NUL. */
export function textOf(origin: Origin, { value, place }: Field): string {
  const text = anyTextOf(origin, { value, place });
  if (text === "" || text.includes("\0")) throw faultAt(origin, place, `is ${kindOf(value)} but must be text of at least one character`);
  return text;
}

/** Well-formed text; may be empty. */
export function anyTextOf(origin: Origin, { value, place }: Field): string {
  if (typeof value !== "string") throw faultAt(origin, place, `is ${kindOf(value)} but must be text`);
  if (!value.isWellFormed()) throw faultAt(origin, place, "holds half of a surrogate pair, which no UTF-8 can express");
  return value;
}

/** A whole number of at least `least`, if it is there. */
export function wholeNumberOf(origin: Origin, field: Field | undefined, least: number): number | undefined {
  if (field === undefined) return undefined;
  const { value, place } = field;
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= least) return value;
  throw faultAt(origin, place, `is ${kindOf(value)} but must be a whole number from ${least} up`);
}

/** Text by text; empty if it is absent. A key `__proto__` is refused, since careless code would lose it. */
export function textsOf(origin: Origin, field: Field | undefined): [key: string, value: Field & { readonly value: string }][] {
  if (field === undefined) return [];
  return Object.entries(objectOf(origin, field)).map(([key, value]) => {
    const place = [...field.place, key];
    if (key === "__proto__") throw faultAt(origin, place, "cannot be a key");
    if (!key.isWellFormed()) throw faultAt(origin, field.place, `has a key with half of a surrogate pair: ${quoted(key)}`);
    if (value === null) throw faultAt(origin, place, "is null but must be text; leave the key out");
    return [key, { value: anyTextOf(origin, { value, place }), place }];
  });
}

/** Elements of an array; none if it is absent. */
export function elementsOf(origin: Origin, field: Field | undefined): Field[] {
  if (field === undefined) return [];
  const { value, place } = field;
  if (!Array.isArray(value)) throw faultAt(origin, place, `is ${kindOf(value)} but must be an array`);
  return Array.from(value as unknown[], (element, index) => ({ value: element, place: [...place, index] }));
}
