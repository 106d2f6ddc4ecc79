// Services as functions of JavaScript, for one call of a native plugin.

import { MortiseError } from "../api/errors.ts";
import type { ServiceCall, ServiceFunction, ServiceParam, ServiceTable, ServiceValue } from "../api/services.ts";
import type { NativeService } from "./options.ts";

/** The call that services work for. */
export interface ServiceUser {
  /** The call as services see it. @throws MortiseError MORTISE_STALE_CONTEXT once it is over */
  serviceCall(): ServiceCall;
  /** Notes what a service threw; the call fails with it. */
  fail(error: unknown): void;
}

const encoder = new TextEncoder();
const nothing = (): void => {};

/** Binds services to a call. */
export function bindServices(table: ServiceTable, user: ServiceUser): Readonly<Record<string, NativeService>> {
  const bound = Object.entries(table).map(([name, service]): [string, NativeService] => [name, bind(name, service, user)]);
  return Object.freeze(Object.assign(Object.create(null) as Record<string, NativeService>, Object.fromEntries(bound)));
}

function bind(name: string, service: ServiceFunction, user: ServiceUser): NativeService {
  const failed = (error: unknown): never => {
    user.fail(error);
    throw error;
  };
  return (...values) => {
    const call = user.serviceCall();
    try {
      if (values.length > service.params.length) throw wrongArgument(call, name, values.length, "is one too many");
      const given = service.params.map((param, index) => convert(call, name, param, values[index], index));
      const result = service.run(call, ...given);
      if (!(result instanceof Promise)) return result;
      const settled = result.catch(failed);
      // A plugin that does not look at it has failed all the same; an unhandled rejection would end the process.
      void settled.catch(nothing);
      return settled;
    } catch (error) {
      return failed(error);
    }
  };
}

function convert(call: ServiceCall, name: string, param: ServiceParam, value: ServiceValue, index: number): ServiceValue {
  switch (param) {
    case "text":
      if (typeof value === "string") return value;
      break;
    case "bytes":
      if (typeof value === "string") return encoder.encode(value);
      if (value instanceof Uint8Array) return new Uint8Array(value);
      break;
    case "i32":
      if (typeof value === "number" && (value | 0) === value) return value;
      break;
    case "i64":
      if (typeof value === "bigint" && BigInt.asIntN(64, value) === value) return value;
      if (typeof value === "number" && Number.isSafeInteger(value)) return BigInt(value);
      break;
    case "f64":
      if (typeof value === "number") return value;
      break;
  }
  throw wrongArgument(call, name, index + 1, `is ${typeof value === "number" ? value : typeof value}, but must be ${WANTED[param]}`);
}

const WANTED: Readonly<Record<ServiceParam, string>> = {
  text: "a string",
  bytes: "bytes or a string",
  i32: "a whole number of 32 bits",
  i64: "a bigint of 64 bits or a whole number",
  f64: "a number",
};

function wrongArgument({ plugin, function: fn }: ServiceCall, service: string, argument: number, reason: string): MortiseError {
  return new MortiseError("MORTISE_SERVICE_ARGUMENT", { plugin, function: fn, service, argument, reason });
}
