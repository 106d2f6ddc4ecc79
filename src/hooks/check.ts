// Checks of values that cross a hook: functions, or schemas of any library that follows Standard Schema.

/** The part of Standard Schema (version 1) that is used; zod, valibot and arktype fit. */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly version: 1;
    validate(value: unknown): SchemaResult<T> | Promise<SchemaResult<T>>;
    /** Never set; by it the type of what comes out is known. */
    readonly types?: { readonly output: T } | undefined;
  };
}

/** What a schema says of a value. */
export type SchemaResult<T> = { readonly value: T; readonly issues?: undefined } | { readonly issues: readonly SchemaIssue[] };

/** What is wrong, and where. */
export interface SchemaIssue {
  readonly message: string;
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** A function that returns the value as it is to be used, or throws; or a schema. Promises are refused. */
export type Check<T> = ((value: unknown) => T) | StandardSchema<T>;

/** How many of a schema's issues are told. */
const MAX_ISSUES = 3;

/**
 * The value as the check gives it back.
 *
 * @throws Error with what is wrong as its message
 */
export function checked<T>(check: Check<T>, value: unknown): T {
  if (typeof check === "object") return validate(check, value);
  const result = check(value);
  refusePromise(result, "check");
  return result;
}

function validate<T>(schema: StandardSchema<T>, value: unknown): T {
  const result = schema["~standard"].validate(value);
  refusePromise(result, "schema");
  if (result.issues === undefined) return result.value;
  throw new TypeError(result.issues.slice(0, MAX_ISSUES).map(toText).join("; "));
}

/** Also promises of other kinds: none of them has issues, which would look like a value that is right. */
function refusePromise<R>(result: R | Promise<R>, what: string): asserts result is R {
  if (typeof result !== "object" || result === null || !("then" in result) || typeof result.then !== "function") return;
  Promise.resolve(result).catch(() => {}); // nobody waits for it
  throw new TypeError(`its ${what} answers with a promise, which hooks do not wait for`);
}

function toText({ message, path = [] }: SchemaIssue): string {
  const place = path.map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return place === "" ? message : `${place}: ${message}`;
}
