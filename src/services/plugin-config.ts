// A plugin's own configuration: config_get.

import type { ServiceTable } from "../api/services.ts";
import { immediate } from "./define-service.ts";
import { argumentsOf } from "./service-arguments.ts";

/** Bytes of a key; longer ones cannot be there. */
const MAX_KEY_BYTES = 4096;
const encoder = new TextEncoder();

/** The function `config_get`; it needs no permission, since nothing but the plugin's own configuration is in reach. */
export function configServices(config: ReadonlyMap<string, string>): ServiceTable {
  const checks = argumentsOf("config_get");
  return {
    config_get: immediate(["text"], "bytes", (call, key) => {
      const value = config.get(checks.text(call, "key", key, MAX_KEY_BYTES));
      return value === undefined ? undefined : encoder.encode(value);
    }),
  };
}
