// Services as functions that plugins import: with blocks where the interface has them, else with address and length.

import { HostCallContext } from "../abi/call-context.ts";
import type { CallContext, HostValue, ProvidedFunction } from "../abi/guest.ts";
import type { Caller } from "../api/caller.ts";
import { MortiseError } from "../api/errors.ts";
import type { ServiceCall, ServiceFunction, ServiceParam, ServiceResult, ServiceTable, ServiceValue } from "../api/services.ts";

/** How bytes cross: as a block, or as address and length in the plugin's own memory. */
export type Crossing = "block" | "linear";

type NumberType = ProvidedFunction["params"][number];

/** The functions of a table as plugins import them. */
export function importedServices(table: ServiceTable, crossing: Crossing): Readonly<Record<string, ProvidedFunction>> {
  return Object.fromEntries(Object.entries(table).map(([name, service]) => [name, importedService(service, crossing)]));
}

function importedService(service: ServiceFunction, crossing: Crossing): ProvidedFunction {
  const { params, result, waits, borrows = false } = service;
  const run = (context: CallContext, ...values: HostValue[]): unknown => {
    const given: ServiceValue[] = [];
    let at = 0;
    for (const param of params) {
      const value = values[at++] as HostValue;
      if (param !== "text" && param !== "bytes") given.push(value);
      else given.push(read(context, param, value, crossing === "linear" ? values[at++] : undefined, borrows));
    }
    const answer = service.run(new ServedCall(context), ...given);
    if (answer instanceof Promise) return answer.then((value) => toGuest(context, result, crossing, value));
    return toGuest(context, result, crossing, answer);
  };
  return {
    params: params.flatMap((param) => PARAMS[crossing][param]),
    results: result === "none" ? [] : [result === "bytes" ? "i64" : result],
    waits,
    run: run as ProvidedFunction["run"],
  };
}

const NUMBERS = { i32: ["i32"], i64: ["i64"], f64: ["f64"] } as const;
const PARAMS: Readonly<Record<Crossing, Readonly<Record<ServiceParam, readonly NumberType[]>>>> = {
  block: { ...NUMBERS, text: ["i64"], bytes: ["i64"] },
  linear: { ...NUMBERS, text: ["i32", "i32"], bytes: ["i32", "i32"] },
};

function read(context: CallContext, param: "text" | "bytes", address: HostValue, size: HostValue | undefined, borrows: boolean): ServiceValue {
  // A negative length is one of 2^31 or more, which no memory has.
  const length = size === undefined ? undefined : Number(size) >>> 0;
  if (param === "text") return context.readText(address, length);
  return borrows && context instanceof HostCallContext ? context.borrow(address, length) : context.read(address, length);
}

function toGuest(context: CallContext, result: ServiceResult, crossing: Crossing, value: ServiceValue): HostValue | undefined {
  if (result === "none") return undefined;
  if (result !== "bytes") return value as HostValue;
  if (value === undefined) return 0n;
  if (!(value instanceof Uint8Array)) {
    const { plugin, function: fn } = context;
    throw new MortiseError("MORTISE_INTERNAL", { plugin, function: fn, reason: "a service gave no bytes" });
  }
  const address = context.store(value);
  return crossing === "block" || address === 0n ? address : (address << 32n) | BigInt(value.length);
}

/** The call that a service works for; what is rarely wanted is made when it is. */
export class ServedCall implements ServiceCall {
  readonly #context: CallContext;

  constructor(context: CallContext) {
    this.#context = context;
  }

  get plugin(): string {
    return this.#context.plugin;
  }

  get function(): string {
    return this.#context.function;
  }

  get timeoutMs(): number {
    return this.#context.timeLeftMs;
  }

  get statedMs(): number {
    return this.#context.timeLeftMs;
  }

  get signal(): AbortSignal {
    return this.#context.signal;
  }

  get context(): unknown {
    return this.#context.context;
  }

  get caller(): Caller | undefined {
    const context = this.#context;
    return context instanceof HostCallContext && context.isCall ? context : undefined;
  }
}
