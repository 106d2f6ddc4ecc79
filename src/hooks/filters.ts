// Filters: which inputs of a hook a plugin cares about. Compiled once; a plugin that does not care is not called.

import type { MortiseError } from "../api/errors.ts";
import { isJsonObject } from "./guest-json.ts";

/** A value that a filter compares with. */
export type FilterValue = string | number | boolean | null;

/** Conditions on one value; all must hold. */
export interface FilterTests {
  /** It is a text that begins so. */
  readonly prefix?: string;
  /** It is a text with this part, or an array with this element. */
  readonly contains?: FilterValue;
  /** It is there, or not there. */
  readonly exists?: boolean;
  /** It is none of these; also true if it is not there. */
  readonly not?: FilterValue | readonly FilterValue[];
  /** It is a number above or below. */
  readonly gt?: number;
  readonly lt?: number;
}

/**
 * Conditions by path in the input, such as `user.role` or `items.0`; all must hold. A value stands for itself, an array
 * for any of its values.
 */
export type Filter = Readonly<Record<string, FilterValue | readonly FilterValue[] | FilterTests>>;

/** Says of an input whether a plugin is to be called for it. */
export type CompiledFilter = (input: unknown) => boolean;

type Test = (found: unknown) => boolean;

/** Texts so short are looked for in whatever way the engine has. */
const SHORT = 8;
/** Texts that are looked for within others are longer than this in no honest filter. */
const MAX_SOUGHT = 1024;
const MAX_CONDITIONS = 64;
const MAX_STEPS = 16;

/**
 * Makes one test of several filters, all of which must hold; undefined if they let everything through.
 *
 * @param fail makes the error for a filter that cannot be understood
 */
export function compileFilters(filters: readonly unknown[], fail: (reason: string) => MortiseError): CompiledFilter | undefined {
  const conditions = filters.flatMap((filter) => compileOne(filter, fail));
  if (conditions.length > MAX_CONDITIONS) throw fail(`has more than ${MAX_CONDITIONS} conditions`);
  if (conditions.length === 0) return undefined;
  return (input) => conditions.every(({ steps, test }) => test(valueAt(input, steps)));
}

function compileOne(filter: unknown, fail: (reason: string) => MortiseError): { readonly steps: readonly string[]; readonly test: Test }[] {
  if (!isJsonObject(filter)) throw fail("is not an object of conditions by path");
  return Object.entries(filter).map(([path, condition]) => {
    const steps = path.split(".");
    if (path === "" || steps.length > MAX_STEPS || steps.includes("")) throw fail(`has the path "${path}", which leads nowhere`);
    return { steps, test: compileTest(condition, (reason) => fail(`${reason} at "${path}"`)) };
  });
}

function compileTest(condition: unknown, fail: (reason: string) => MortiseError): Test {
  if (isValue(condition)) return (found) => found === condition;
  if (Array.isArray(condition)) return isAnyOf(condition, fail);
  if (!isJsonObject(condition)) throw fail("has a condition that is neither a value, an array of values nor an object of tests");
  const tests = Object.entries(condition).map(([name, wanted]) => {
    const make = Object.hasOwn(TESTS, name) ? TESTS[name as keyof FilterTests] : undefined;
    if (make === undefined) throw fail(`has the test "${name}", but there are only ${Object.keys(TESTS).join(", ")}`);
    return make(wanted, (kind) => fail(`has a test "${name}" that needs ${kind}`));
  });
  if (tests.length === 0) throw fail("has a condition without a test");
  return (found) => tests.every((test) => test(found));
}

type MakeTest = (wanted: unknown, needs: (kind: string) => MortiseError) => Test;

const TESTS: Readonly<Record<keyof FilterTests, MakeTest>> = {
  prefix(wanted, needs) {
    if (typeof wanted !== "string") throw needs("a text");
    return (found) => typeof found === "string" && found.startsWith(wanted);
  },
  contains(wanted, needs) {
    if (!isValue(wanted) || (typeof wanted === "string" && wanted.length > MAX_SOUGHT))
      throw needs(`a value; a text has ${MAX_SOUGHT} characters at most`);
    const isIn = typeof wanted === "string" ? seeker(wanted) : (): boolean => false;
    return (found) => (typeof found === "string" ? isIn(found) : Array.isArray(found) && found.includes(wanted));
  },
  exists(wanted, needs) {
    if (typeof wanted !== "boolean") throw needs("true or false");
    return (found) => (found !== undefined) === wanted;
  },
  not(wanted, needs) {
    if (isValue(wanted)) return (found) => found !== wanted;
    const isOne = isAnyOf(wanted, () => needs("a value or an array of values"));
    return (found) => !isOne(found);
  },
  gt: compare((found, wanted) => found > wanted),
  lt: compare((found, wanted) => found < wanted),
};

function compare(holds: (found: number, wanted: number) => boolean): MakeTest {
  return (wanted, needs) => {
    if (typeof wanted !== "number" || Number.isNaN(wanted)) throw needs("a number");
    return (found) => typeof found === "number" && holds(found, wanted);
  };
}

function isAnyOf(wanted: unknown, fail: (reason: string) => MortiseError): Test {
  if (!Array.isArray(wanted) || wanted.length === 0 || !wanted.every(isValue))
    throw fail("has an array that is empty or holds something else than values");
  const values = new Set<unknown>(wanted);
  return (found) => values.has(found);
}

function isValue(value: unknown): value is FilterValue {
  return value === null || typeof value === "string" || typeof value === "number" || typeof value === "boolean";
}

/**
 * Looks for a text in others in time that grows with them alone, which `includes` does not promise: filters come from
 * plugins and inputs from clients, who could agree on a pair that stops the thread. By Knuth, Morris and Pratt.
 */
function seeker(sought: string): (text: string) => boolean {
  if (sought.length <= SHORT) return (text) => text.includes(sought);
  /** Of each beginning of the sought text: how much of it, if the next character does not fit, is the beginning again. */
  const again = new Uint16Array(sought.length);
  for (let at = 1, fits = 0; at < sought.length; at++) {
    while (fits > 0 && sought.charCodeAt(at) !== sought.charCodeAt(fits)) fits = again[fits - 1] as number;
    if (sought.charCodeAt(at) === sought.charCodeAt(fits)) fits++;
    again[at] = fits;
  }
  return (text) => {
    for (let at = 0, fits = 0; at < text.length; at++) {
      while (fits > 0 && text.charCodeAt(at) !== sought.charCodeAt(fits)) fits = again[fits - 1] as number;
      if (text.charCodeAt(at) === sought.charCodeAt(fits) && ++fits === sought.length) return true;
    }
    return false;
  };
}

/** What stands at a path, own properties only; undefined if nothing does. */
function valueAt(input: unknown, steps: readonly string[]): unknown {
  let found = input;
  for (const step of steps) {
    if (typeof found !== "object" || found === null || !Object.hasOwn(found, step)) return undefined;
    found = (found as Readonly<Record<string, unknown>>)[step];
  }
  return found;
}
