// HeliosProxy's own host functions as its plugins import them, over the services of the plugin.

import type { CallContext, HostValue, ProvidedFunction, ProvidedFunctions } from "../abi/guest.ts";
import type { ServiceTable } from "../api/services.ts";
import { HELIOS_FUNCTIONS, type HeliosFunction } from "../services/helios-functions.ts";
import type { LinearAccess } from "../services/linear-record.ts";
import { ServedCall } from "./service-imports.ts";

/** The functions by module and name. */
export function importedHelios(table: ServiceTable): ProvidedFunctions {
  const byModule: Record<string, Record<string, ProvidedFunction>> = {};
  for (const item of HELIOS_FUNCTIONS) (byModule[item.module] ??= {})[item.name] = imported(item, table);
  return byModule;
}

function imported(item: HeliosFunction, table: ServiceTable): ProvidedFunction {
  const run = (context: CallContext, ...values: HostValue[]): unknown => item.run(table, new ServedCall(context), accessOf(context), values);
  return {
    params: item.params,
    results: item.result === "none" ? [] : [item.result],
    waits: item.waits !== false && table[item.waits]?.waits === true,
    run: run as ProvidedFunction["run"],
  };
}

function accessOf(context: CallContext): LinearAccess {
  return {
    read: (address, length) => context.read(address, length),
    write: (address, bytes) => context.write(address, bytes),
    allocate: (bytes) => Number(context.alloc(bytes)),
  };
}
