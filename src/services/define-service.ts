// How a service is written down.

import type { ServiceFunction, ServiceParam, ServiceResult } from "../api/services.ts";
import type { Awaitable } from "../api/store.ts";

/** A function that answers at once. */
export function immediate(params: readonly ServiceParam[], result: ServiceResult, run: ServiceFunction["run"]): ServiceFunction {
  return Object.freeze({ params: Object.freeze([...params]), result, run, waits: false });
}

/** A function that may answer with a promise, if `waits` says so. */
export function waiting(params: readonly ServiceParam[], result: ServiceResult, waits: boolean, run: ServiceFunction["run"]): ServiceFunction {
  return Object.freeze({ params: Object.freeze([...params]), result, run, waits });
}

/** Goes on with a value, at once where it is there: `callSync` can use what never waits. */
export function andThen<Value, Result>(value: Awaitable<Value>, follow: (value: Value) => Awaitable<Result>): Awaitable<Result> {
  return value instanceof Promise ? value.then(follow) : follow(value);
}
