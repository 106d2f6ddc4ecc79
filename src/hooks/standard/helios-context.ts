// The part of every message of a database proxy's hooks that tells of the request.

import type { QueryContext } from "./helios-types.ts";
import { type ShownContext, attributesJson, toJson } from "../wire.ts";

/** Fields that have a place of their own, from attributes of the same names. */
const NAMED = ["client_id", "identity", "database", "branch"] as const;

/**
 * `{"request_id", "client_id", "identity", "database", "branch", "attributes"}`. What is not known, or what the plugin
 * may not read, is null.
 */
export function hookContext({ request, attributes }: ShownContext): string {
  const named = NAMED.map((name) => `"${name}":${toJson(attributes.get(name) ?? null)}`).join(",");
  return `{"request_id":${toJson(request.id)},${named},"attributes":${attributesJson(attributes)}}`;
}

/** A statement in JSON, up to its context, which is its last field. */
export function queryJson({ query, normalized = query, tables = [], is_read_only: isReadOnly }: QueryContext): string {
  return `{"query":${toJson(query)},"normalized":${toJson(normalized)},"tables":${toJson(tables)},"is_read_only":${toJson(isReadOnly)},"hook_context":`;
}
