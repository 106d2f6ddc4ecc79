// What a configuration comes to: every key with its value, and which of them nobody wrote.

import { DEFAULT_LIMITS, type Limits } from "../api/limits.ts";
import { type Place, placeName } from "../manifest/place.ts";
import type { Config, PluginConfig } from "./config.ts";
import type { GatewayConfig } from "./gateway-config.ts";
import { type JsonSchema, configJsonSchema, memberSchema } from "./json-schema.ts";
import { LIMIT_KEYS } from "./number-keys.ts";
import { redacted } from "./redacted.ts";
import { valueAt } from "./check-shape.ts";

/** Who gave a value that the table itself does not have. */
export type GivenBy = "default" | "defaults" | "ceilings";

/** A configuration to be shown; it holds no secret. */
export interface ConfigDescription {
  readonly store: Readonly<Record<string, unknown>>;
  readonly services: Readonly<Record<string, unknown>>;
  readonly databases: Readonly<Record<string, unknown>>;
  readonly hooks: Readonly<Record<string, unknown>>;
  readonly native: readonly unknown[];
  /** Absent where the configuration has no gateway. */
  readonly gateway?: Readonly<Record<string, unknown>>;
  readonly plugins: readonly Readonly<Record<string, unknown>>[];
  /** By place, as `plugins[0].limits.fuel`: who gave the value, where the table itself does not. */
  readonly origins: ReadonlyMap<string, GivenBy>;
}

/** Describes a configuration. */
export function describeConfig({ plugins, store, databases, hooks, native, gateway, documents }: Config): ConfigDescription {
  const origins = new Map<string, GivenBy>();
  const [main] = documents;
  const rawStore = valueAt(main?.value, ["store"]) ?? { kind: store.kind };
  if (valueAt(main?.value, ["store"]) === undefined) origins.set("store.kind", "default");
  const given = { ...rawStore, ...(store.kind === "sqlite" ? { path: store.path } : {}) };
  return {
    store: complete(memberSchema(configJsonSchema(), "store"), given, ["store"], origins),
    services: complete(memberSchema(configJsonSchema(), "services"), valueAt(main?.value, ["services"]) ?? {}, ["services"], origins),
    databases: Object.fromEntries(Object.entries(databases).map(([name, database]) => [name, { ...database }])),
    hooks: Object.fromEntries(
      Object.entries(hooks).map(([name, { onFailure, timeoutMs }]) => [name, without({ on_failure: onFailure, timeout_ms: timeoutMs })]),
    ),
    native: native.map((grant) => ({ ...grant })),
    ...(gateway !== undefined && { gateway: describeGateway(gateway, valueAt(main?.value, ["gateway"]) as object, origins) }),
    plugins: plugins.map((plugin, index) => describePlugin(plugin, index, documents, origins)),
    origins,
  };
}

function describeGateway(
  gateway: GatewayConfig,
  raw: { readonly providers?: readonly Readonly<Record<string, unknown>>[] },
  origins: Map<string, GivenBy>,
): Record<string, unknown> {
  const providers = raw.providers?.map((each, index) => {
    const { source = "", hosts = [] } = gateway.providers[index] ?? {};
    const place = ["gateway", "providers", index, "permissions"];
    if (valueAt(each, ["permissions", "hosts"]) === undefined) origins.set(placeName([...place, "hosts"]), "default");
    return { ...each, ...(!isBuiltin(each) && { source }), permissions: { hosts } };
  });
  return complete(memberSchema(configJsonSchema(), "gateway"), { ...raw, providers }, ["gateway"], origins);
}

function isBuiltin({ source }: { readonly source?: unknown }): boolean {
  return String(source).startsWith("builtin:");
}

function describePlugin(plugin: PluginConfig, index: number, documents: Config["documents"], origins: Map<string, GivenBy>): Record<string, unknown> {
  const file = documents.find(({ origin }) => origin === plugin.origin);
  const raw = valueAt(file?.value, plugin.place) as Readonly<Record<string, unknown>>;
  const defaults = (valueAt(documents[0]?.value, ["defaults"]) ?? {}) as Readonly<Record<string, unknown>>;
  const place: Place = ["plugins", index];
  const schema = memberSchema(memberSchema(configJsonSchema(), "plugins") ?? {}, 0) ?? {};
  const described = complete(schema, isBuiltin(raw) ? raw : { ...raw, source: plugin.source }, place, origins);
  for (const key of ["isolation", "on_failure", "log_level"]) {
    if (Object.hasOwn(raw, key) || !Object.hasOwn(defaults, key)) continue;
    described[key] = defaults[key];
    origins.set(placeName([...place, key]), "defaults");
  }
  const given = (raw["limits"] ?? {}) as Readonly<Record<string, unknown>>;
  const limits: Record<string, unknown> = {};
  for (const name of Object.keys(LIMIT_KEYS) as (keyof Limits)[]) {
    const { key, scale } = LIMIT_KEYS[name];
    const value = plugin.limits[name] ?? (name === "initTimeoutMs" ? plugin.limits.timeoutMs : undefined) ?? DEFAULT_LIMITS[name];
    limits[key] = value === Number.POSITIVE_INFINITY ? "unlimited" : value / scale;
    const at = placeName([...place, "limits", key]);
    const inherited = valueAt(defaults, ["limits", key]) !== undefined;
    if (Object.hasOwn(given, key)) origins.delete(at);
    else if (plugin.limits[name] === undefined) origins.set(at, "default");
    else origins.set(at, inherited ? "defaults" : "ceilings");
  }
  // Only a stateless plugin has more than one instance.
  if (!plugin.stateless && plugin.pool.maxInstances === undefined) described["pool"] = { ...(described["pool"] as object), max_instances: 1 };
  return { ...described, limits };
}

/** A table with the defaults of its schema. */
function complete(schema: JsonSchema | undefined, given: object, place: Place, origins: Map<string, GivenBy>): Record<string, unknown> {
  const table: Record<string, unknown> = {};
  const shape = schema === undefined ? undefined : fitting(schema, given);
  for (const [key, member] of Object.entries(shape?.properties ?? {})) {
    const value = Object.hasOwn(given, key) ? (given as Record<string, unknown>)[key] : undefined;
    const at = [...place, key];
    if (member.properties !== undefined) {
      // A table with a key that must be there holds for nobody where it is absent.
      if (value === undefined && (member.required ?? []).length > 0) continue;
      const inner = complete(member, value ?? {}, at, origins);
      if (Object.keys(inner).length > 0) table[key] = inner;
    } else if (member.items?.properties !== undefined && Array.isArray(value)) {
      const { items } = member;
      table[key] = (value as object[]).map((each, index) => complete(items, each, [...at, index], origins));
    } else if (value !== undefined) table[key] = redacted(value, key);
    else if (member.default !== undefined) {
      table[key] = member.default;
      origins.set(placeName(at), "default");
    }
  }
  return table;
}

function fitting(schema: JsonSchema, given: object): JsonSchema {
  const kind = (given as { readonly kind?: unknown }).kind;
  return schema.oneOf?.find(({ properties }) => properties?.["kind"]?.const === kind) ?? schema;
}

function without(table: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(table).filter(([, value]) => value !== undefined));
}
