// What is published of services that plugins use.

import { services } from "../api/channels.ts";
import { isMortiseError } from "../api/errors.ts";
import type { ServiceFunction, ServiceTable } from "../api/services.ts";

/** The same services, of which each use is published as long as somebody subscribes. */
export function publishServices(table: ServiceTable): ServiceTable {
  return Object.fromEntries(Object.entries(table).map(([name, service]) => [name, published(name, service)]));
}

function published(name: string, service: ServiceFunction): ServiceFunction {
  const run: ServiceFunction["run"] = (call, ...values) => {
    if (!services.hasSubscribers) return service.run(call, ...values);
    const { plugin } = call;
    const began = performance.now();
    const ended = (error?: unknown): void => {
      const event = { plugin, service: name, durationMs: performance.now() - began };
      if (error === undefined) services.publish(event);
      else services.publish({ ...event, error: isMortiseError(error) ? error.code : "MORTISE_INTERNAL" });
    };
    const failed = (error: unknown): never => {
      ended(error ?? "unknown");
      throw error;
    };
    let result: ReturnType<ServiceFunction["run"]>;
    try {
      result = service.run(call, ...values);
    } catch (error) {
      return failed(error);
    }
    if (!(result instanceof Promise)) {
      ended();
      return result;
    }
    return result.then((value) => {
      ended();
      return value;
    }, failed);
  };
  return Object.freeze({ ...service, run });
}
