// Checks what plugins pass to services: kinds, lengths, ranges.

import { MortiseError } from "../api/errors.ts";
import type { ServiceCall, ServiceValue } from "../api/services.ts";

/** Longest text whose bytes need not be counted is this part of the limit. */
const MAX_BYTES_A_UNIT = 3;

/** Checks for the arguments of one service. Each throws MORTISE_SERVICE_ARGUMENT. */
export interface ArgumentChecks {
  /** Text without lone surrogates, of 0 or more bytes. */
  text(call: ServiceCall, argument: string, value: ServiceValue, maxBytes: number): string;
  /** The same, but not empty. */
  name(call: ServiceCall, argument: string, value: ServiceValue, maxBytes: number): string;
  bytes(call: ServiceCall, argument: string, value: ServiceValue, maxBytes: number): Uint8Array;
  /** A whole number in a range, both ends included. */
  whole(call: ServiceCall, argument: string, value: ServiceValue, range: readonly [min: number, max: number]): number;
  /** The same from 64 bits. */
  long(call: ServiceCall, argument: string, value: ServiceValue, range: readonly [min: number, max: number]): number;
  /** Any 64-bit integer. */
  integer(call: ServiceCall, argument: string, value: ServiceValue): bigint;
  /** A number that is neither NaN nor infinite. */
  finite(call: ServiceCall, argument: string, value: ServiceValue): number;
  /** The error for an argument that is wrong in some other way. */
  wrong(call: ServiceCall, argument: string, reason: string): MortiseError;
}

/** Checks for one service. */
export function argumentsOf(service: string): ArgumentChecks {
  const wrong = (call: ServiceCall, argument: string, reason: string): MortiseError =>
    new MortiseError("MORTISE_SERVICE_ARGUMENT", { plugin: call.plugin, function: call.function, service, argument, reason });
  const text = (call: ServiceCall, argument: string, value: ServiceValue, maxBytes: number): string => {
    if (typeof value !== "string") throw wrong(call, argument, `is ${kindOf(value)} but must be text`);
    if (value.length * MAX_BYTES_A_UNIT > maxBytes) {
      const size = Buffer.byteLength(value);
      if (size > maxBytes) throw wrong(call, argument, `has ${size} bytes, but can have ${maxBytes} at most`);
    }
    if (!value.isWellFormed()) throw wrong(call, argument, "holds half of a surrogate pair");
    return value;
  };
  const range = (call: ServiceCall, argument: string, value: number | bigint, [min, max]: readonly [number, number]): number => {
    const number = Number(value);
    if (number >= min && number <= max && Number.isInteger(number)) return number;
    throw wrong(call, argument, `is ${value}, but must be a whole number from ${min} to ${max}`);
  };
  return {
    text,
    name(call, argument, value, maxBytes) {
      const name = text(call, argument, value, maxBytes);
      if (name === "") throw wrong(call, argument, "is empty");
      return name;
    },
    bytes(call, argument, value, maxBytes) {
      if (!(value instanceof Uint8Array)) throw wrong(call, argument, `is ${kindOf(value)} but must be bytes`);
      if (value.length > maxBytes) throw wrong(call, argument, `has ${value.length} bytes, but can have ${maxBytes} at most`);
      return value;
    },
    whole(call, argument, value, limits) {
      if (typeof value !== "number") throw wrong(call, argument, `is ${kindOf(value)} but must be a number`);
      return range(call, argument, value, limits);
    },
    long(call, argument, value, limits) {
      if (typeof value !== "bigint") throw wrong(call, argument, `is ${kindOf(value)} but must be a bigint`);
      return range(call, argument, value, limits);
    },
    integer(call, argument, value) {
      if (typeof value !== "bigint") throw wrong(call, argument, `is ${kindOf(value)} but must be a bigint`);
      return BigInt.asIntN(64, value);
    },
    finite(call, argument, value) {
      if (typeof value !== "number") throw wrong(call, argument, `is ${kindOf(value)} but must be a number`);
      if (!Number.isFinite(value)) throw wrong(call, argument, `is ${value}, but must be a finite number`);
      return value;
    },
    wrong,
  };
}

function kindOf(value: ServiceValue): string {
  if (value === undefined) return "nothing";
  return value instanceof Uint8Array ? "bytes" : `a ${typeof value}`;
}
