// Calls of services as a plugin's interface makes them, and what is expected of their errors.

import assert from "node:assert/strict";

import { type MortiseError, isMortiseError } from "../../src/api/errors.ts";
import type { LogLevel, Logger } from "../../src/api/guest-log.ts";
import type { ServiceCall, ServiceTable, ServiceValue } from "../../src/api/services.ts";

/** A call of the function `f` of the plugin `p`. */
export function callOf(rest: Partial<ServiceCall> = {}): ServiceCall {
  return { plugin: "p", function: "f", timeoutMs: 10_000, statedMs: 10_000, signal: new AbortController().signal, context: undefined, ...rest };
}

/** Calls a service; what it answers, or a promise of it. */
export function run(table: ServiceTable, name: string, ...values: ServiceValue[]): ServiceValue | Promise<ServiceValue> {
  return runIn(callOf(), table, name, ...values);
}

/** The same, within a call. */
export function runIn(call: ServiceCall, table: ServiceTable, name: string, ...values: ServiceValue[]): ServiceValue | Promise<ServiceValue> {
  const service = table[name];
  assert.ok(service, `there is no service ${name}`);
  return service.run(call, ...values);
}

/** Calls a service that answers at once. */
export function now(table: ServiceTable, name: string, ...values: ServiceValue[]): ServiceValue {
  return nowIn(callOf(), table, name, ...values);
}

/** The same, within a call. */
export function nowIn(call: ServiceCall, table: ServiceTable, name: string, ...values: ServiceValue[]): ServiceValue {
  const answer = runIn(call, table, name, ...values);
  assert.ok(!(answer instanceof Promise), `${name} did not answer at once`);
  return answer;
}

/** The error of work that must fail with a code. */
export async function failure(work: () => unknown, code: string): Promise<MortiseError> {
  try {
    await work();
  } catch (error) {
    assert.ok(isMortiseError(error), `not coded: ${String(error)}`);
    assert.equal(error.code, code, error.message);
    return error;
  }
  assert.fail(`expected ${code}, but it succeeded`);
}

/** Bytes of a text. */
export function bytes(content: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(content);
}

/** The text of bytes, or undefined. */
export function text(value: unknown): string | undefined {
  if (value === undefined) return undefined;
  assert.ok(value instanceof Uint8Array, "not bytes");
  return new TextDecoder().decode(value);
}

/** A logger that keeps its lines. */
export function recorder(): Logger & { readonly lines: string[] } {
  const lines: string[] = [];
  const at =
    (level: LogLevel): ((message: string) => void) =>
    (message) =>
      void lines.push(`${level}: ${message}`);
  return { lines, trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}
