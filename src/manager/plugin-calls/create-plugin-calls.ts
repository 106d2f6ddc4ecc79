// Calls from plugin to plugin: by name under permission for plugins of every interface, and by number for plugins that
// register others.

import { permissionDenied } from "../../api/permissions.ts";
import type { PluginCallProvider, PluginCalls, ServiceCall, ServiceFunction, ServiceParam, ServiceTable } from "../../api/services.ts";
import { immediate, waiting } from "../../services/define-service.ts";
import { publishServices } from "../../services/published.ts";
import { argumentsOf } from "../../services/service-arguments.ts";
import { type CallBounds, type Callee, callPlugin } from "./call-plugin.ts";
import { callRefused } from "./call-path.ts";
import { type CallGrants, readCallGrants } from "./grants.ts";
import type { ResolvedPluginCalls } from "./options.ts";
import { type LoadRegistered, type RegisteredCount, Registry } from "./registry.ts";

/** Import module of the functions by number: that of host functions in Extism's plugin kits. */
const REGISTRY_MODULE = "extism:host/user";

/** Bytes of the name of a plugin or function. */
const MAX_NAME_BYTES = 256;

/** Finds the plugin that serves a name for a call; `context` is what the call was given. */
export type FindPlugin = (name: string, context: unknown) => Callee | undefined;

/** Lets the plugins of a host call each other. */
export function createPluginCalls(options: ResolvedPluginCalls, find: FindPlugin, load: LoadRegistered): PluginCallProvider {
  const provide = (registered: () => RegisteredCount): PluginCallProvider => ({
    forPlugin({ permissions }) {
      const count = registered();
      const bounds: CallBounds = { maxDepth: options.maxDepth, maxPending: options.maxPending, pending: 0 };
      const services = publishServices(byName(find, readCallGrants(permissions.call), bounds));
      if (options.lookup === undefined) return { services, modules: {}, close: () => {} };
      // What registered plugins register counts for the first that registered one.
      const registry = new Registry(
        options,
        count,
        provide(() => count),
        load,
      );
      const modules: PluginCalls["modules"] = { [REGISTRY_MODULE]: publishServices(byNumber(registry, bounds)) };
      return { services, modules, close: () => registry.close() };
    },
  });
  return provide(() => ({ count: 0 }));
}

function byName(find: FindPlugin, isGranted: CallGrants, bounds: CallBounds): ServiceTable {
  const checks = argumentsOf("plugin_call");
  return {
    plugin_call: borrowing(["text", "text", "bytes"], (call, plugin, fn, input) => {
      const name = checks.name(call, "name", plugin, MAX_NAME_BYTES);
      const called = checks.name(call, "function", fn, MAX_NAME_BYTES);
      const bytes = checks.bytes(call, "input", input, Number.POSITIVE_INFINITY);
      if (!isGranted(name, called)) throw denied(call, name, called);
      const callee = find(name, call.context);
      if (callee === undefined)
        throw callRefused(call, { plugin: name, function: called }, "unknown", "the host has no plugin of that name, or it is disabled");
      return callPlugin(call, callee, called, bytes, bounds);
    }),
  };
}

function denied(call: ServiceCall, name: string, fn: string): Error {
  return permissionDenied(call.plugin, call.function, `calling function "${fn}" of plugin "${name}"`, "call", JSON.stringify([`${name}:${fn}`]));
}

/** The input goes from the one memory into the other: its plugin stands still until there is an answer. */
function borrowing(params: readonly ServiceParam[], run: ServiceFunction["run"]): ServiceFunction {
  return Object.freeze({ params, result: "bytes", waits: true, borrows: true, run });
}

/** The functions of plugpluginin: a name is registered, and called by the number that this gives. */
function byNumber(registry: Registry, bounds: CallBounds): ServiceTable {
  const registering = argumentsOf("register_plugin");
  const calling = argumentsOf("call_plugin");
  const freeing = argumentsOf("free_plugin");
  return {
    register_plugin: waiting(["text"], "i64", true, (call, name) => registry.register(call, registering.name(call, "name", name, MAX_NAME_BYTES))),
    call_plugin: borrowing(["i64", "text", "bytes"], (call, id, fn, input) => {
      const called = calling.name(call, "function", fn, MAX_NAME_BYTES);
      const bytes = calling.bytes(call, "input", input, Number.POSITIVE_INFINITY);
      return callPlugin(call, registry.find(call, calling.integer(call, "id", id)), called, bytes, bounds);
    }),
    free_plugin: immediate(["i64"], "none", (call, id) => {
      registry.free(call, freeing.integer(call, "id", id));
      return undefined;
    }),
  };
}
