// The request that a plugin works for: request_id, attribute_get, attribute_set.

import { MortiseError } from "../api/errors.ts";
import { type Permissions, permissionDenied } from "../api/permissions.ts";
import { ATTRIBUTE_LIMITS, type RequestContext, isRequestContext } from "../api/request.ts";
import type { ServiceTable } from "../api/services.ts";
import { immediate } from "./define-service.ts";
import { argumentsOf } from "./service-arguments.ts";

const encoder = new TextEncoder();

/** The functions `attribute_get` and `attribute_set`. */
export function attributeServices({ read = [], write = [] }: NonNullable<Permissions["attributes"]> = {}): ServiceTable {
  const get = argumentsOf("attribute_get");
  const set = argumentsOf("attribute_set");
  const { maxAttributes, maxNameBytes, maxValueBytes } = ATTRIBUTE_LIMITS;
  return {
    attribute_get: immediate(["text"], "bytes", (call, name) => {
      const key = get.name(call, "name", name, maxNameBytes);
      if (!matchesAttribute(read, key)) throw denied(call, `reading attribute "${key}"`, "read", key);
      const value = requestOf(call.context)?.attributes.get(key);
      return value === undefined ? undefined : encoder.encode(value);
    }),
    attribute_set: immediate(["text", "text"], "none", (call, name, value) => {
      const key = set.name(call, "name", name, maxNameBytes);
      if (!matchesAttribute(write, key)) throw denied(call, `writing attribute "${key}"`, "write", key);
      // Plugins that give attributes back would be sent JSON that they may not send.
      if (key === "__proto__") throw set.wrong(call, "name", `is "${key}", which nothing can be called`);
      const text = set.text(call, "value", value, maxValueBytes);
      const request = requestOf(call.context);
      if (request === undefined)
        throw new MortiseError("MORTISE_NO_REQUEST", { plugin: call.plugin, function: call.function, service: "attribute_set" });
      const { attributes } = request;
      if (!attributes.has(key) && attributes.size >= maxAttributes)
        throw set.wrong(call, "name", `would be attribute ${attributes.size + 1} of a request that can have ${maxAttributes}`);
      attributes.set(key, text);
      return undefined;
    }),
  };
}

/** The function `request_id`: nothing outside of a request. */
export function requestServices(): ServiceTable {
  return {
    request_id: immediate([], "bytes", (call) => {
      const id = requestOf(call.context)?.id;
      return id === undefined ? undefined : encoder.encode(id);
    }),
  };
}

/** True if a pattern, a name or the beginning of one with `*` after it, covers an attribute. */
export function matchesAttribute(patterns: readonly string[], name: string): boolean {
  return patterns.some((pattern) => (pattern.endsWith("*") ? name.startsWith(pattern.slice(0, -1)) : name === pattern));
}

function requestOf(context: unknown): RequestContext | undefined {
  return isRequestContext(context) ? context : undefined;
}

function denied(call: { readonly plugin: string; readonly function: string }, what: string, way: "read" | "write", name: string): MortiseError {
  return permissionDenied(call.plugin, call.function, what, "attributes", `{ ${way} = [${JSON.stringify(name)}] }`);
}
