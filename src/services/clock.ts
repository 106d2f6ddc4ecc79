// The time of day: time_ms.

import { permissionDenied } from "../api/permissions.ts";
import type { ServiceTable } from "../api/services.ts";
import { immediate } from "./define-service.ts";

/** The function `time_ms`: milliseconds since 1970, UTC. */
export function clockServices({ now, granted }: { readonly now: () => number; readonly granted: boolean }): ServiceTable {
  return {
    time_ms: immediate([], "i64", (call) => {
      if (!granted) throw permissionDenied(call.plugin, call.function, "time_ms", "clock", "true");
      return BigInt(Math.trunc(now()));
    }),
  };
}
