// The wires of a database proxy's hooks, as HeliosProxy's plugins speak them. Both spellings of results are read: `action` or
// `kind`; `value`, `sql` or `reason`; `data` or `bytes`.

import { CONTINUE, type Decision, withAttributes } from "../decision.ts";
import { PLAIN_CONTINUE, readBody } from "../generic-wire.ts";
import { isJsonObject } from "../guest-json.ts";
import { type GuestAnswer, type Wire, toJson } from "../wire.ts";
import { cachedRowsJson, readCachedRows } from "./helios-cached.ts";
import { hookContext, queryJson } from "./helios-context.ts";
import type { AuthRequest, AuthorizeRequest, CacheEntry, CachedRows, Connection, Identity, QueryContext, QueryEnd, Route } from "./helios-types.ts";

/** Says what is known of a statement that a plugin wrote. */
export type DescribeQuery = (query: string) => QueryContext;

/** What is known of a statement that nobody has looked at: it may write. */
const undescribed: DescribeQuery = (query) => ({ query, is_read_only: false });

/** `pre_query`: continue, rewrite, block, cached. */
export function preQueryWire(describe: DescribeQuery = undescribed): Wire<QueryContext, CachedRows> {
  return queryWire((answer): Decision<QueryContext, CachedRows> => {
    const body = readBody(answer);
    switch (body.action) {
      case "continue":
        return withAttributes(CONTINUE, body.attributes);
      case "rewrite":
        return withAttributes({ action: "replace", value: describe(body.text("value", "sql")) }, body.attributes);
      case "block":
        return withAttributes({ action: "reject", reason: body.reason("value", "reason") }, body.attributes);
      case "cached":
        return withAttributes({ action: "answer", value: readCachedRows(body.required("data", "bytes"), answer) }, body.attributes);
      default:
        throw body.unknownAction();
    }
  });
}

/** `rewrite`: continue, rewrite, block. */
export function rewriteWire(describe?: DescribeQuery): Wire<QueryContext, QueryContext> {
  const { forPlugin: _forPlugin, ...wire } = preQueryWire(describe);
  return {
    ...wire,
    decode(answer) {
      const decision = wire.decode(answer);
      if (decision.action === "answer") throw answer.fault('has the unknown action "cached"');
      return decision;
    },
  };
}

/** `route`: default, primary, standby, node, branch, block. */
export const ROUTE_WIRE: Wire<QueryContext, Route> = queryWire(
  (answer): Decision<QueryContext, Route> => {
    const body = readBody(answer);
    const { action } = body;
    switch (action) {
      case "default":
      case "continue":
        return withAttributes(CONTINUE, body.attributes);
      case "primary":
      case "standby":
        return withAttributes({ action: "answer", value: { to: action } }, body.attributes);
      case "node":
      case "branch": {
        const target = body.text("target");
        if (target === "") throw answer.fault(`has the action "${action}" with an empty target`);
        return withAttributes({ action: "answer", value: { to: action, target } }, body.attributes);
      }
      case "block":
        return withAttributes({ action: "reject", reason: body.reason("reason", "value") }, body.attributes);
      default:
        throw body.unknownAction();
    }
  },
  ['{"action":"default"}', '{"kind":"default"}'],
);

/** `cache_get`: miss (or continue), cached (or hit). */
export const CACHE_GET_WIRE: Wire<QueryContext, CachedRows> = queryWire(
  (answer): Decision<QueryContext, CachedRows> => {
    const body = readBody(answer);
    switch (body.action) {
      case "miss":
      case "continue":
        return withAttributes(CONTINUE, body.attributes);
      case "cached":
      case "hit":
        return withAttributes({ action: "answer", value: readCachedRows(body.required("data", "bytes"), answer) }, body.attributes);
      default:
        throw body.unknownAction();
    }
  },
  ['{"action":"miss"}', '{"kind":"miss"}'],
);

/** `cache_set`: the statement, with its rows in the form in which `cache_get` gives them. */
export const CACHE_SET_WIRE: Wire<CacheEntry, never> = told(({ query, rows }) => [queryJson(query), `,"data":${cachedRowsJson(rows)}}`]);

/** `post_query`: an array of two, the statement and how it ended. What comes back is not looked at. */
export const POST_QUERY_WIRE: Wire<QueryEnd, never> = told(({ query, outcome }) => {
  const { success, target_node: node, elapsed_us: elapsed, response_bytes: bytes, error } = outcome;
  const end = { success, target_node: node, elapsed_us: elapsed, response_bytes: bytes, error };
  return [`[${queryJson(query)}`, `},${toJson(end)}]`];
});

/** `on_connect` and `on_disconnect`. */
export const CONNECTION_WIRE: Wire<Connection, never> = told(({ client_ip: ip, username, database }) => [
  `{"client_ip":${toJson(ip)},"username":${toJson(username)},"database":${toJson(database)},"hook_context":`,
  "}",
]);

/** `metrics`: any values. */
export const METRICS_WIRE: Wire<unknown, never> = told((metrics) => [`{"metrics":${toJson(metrics)},"hook_context":`, "}"]);

/** `authenticate`: success, denied, defer. The message has no context. */
export const AUTHENTICATE_WIRE: Wire<AuthRequest, Identity> = {
  encode: ({ headers = {}, username, password = null, client_ip: ip, database }) => [
    toJson({ headers, username, password, client_ip: ip, database }),
    "",
  ],
  context: () => "",
  unchanged: [...PLAIN_CONTINUE, '{"action":"defer"}', '{"kind":"defer"}'],
  decode(answer): Decision<AuthRequest, Identity> {
    const body = readBody(answer);
    switch (body.action) {
      case "defer":
      case "continue":
        return withAttributes(CONTINUE, body.attributes);
      case "success":
        return withAttributes({ action: "answer", value: readIdentity(body.required("identity"), answer) }, body.attributes);
      case "denied":
      case "deny":
        return withAttributes({ action: "reject", reason: body.reason("message", "reason") }, body.attributes);
      default:
        throw body.unknownAction();
    }
  },
};

/** `authorize`: allow (or continue), deny. */
export const AUTHORIZE_WIRE: Wire<AuthorizeRequest, never> = {
  encode: ({ identity, query }) => [`{"identity":${toJson(identity)},${queryJson(query).slice(1)}`, "}"],
  context: hookContext,
  unchanged: [...PLAIN_CONTINUE, '{"action":"allow"}', '{"kind":"allow"}'],
  decode(answer) {
    const body = readBody(answer);
    switch (body.action) {
      case "allow":
      case "defer":
      case "continue":
        return withAttributes(CONTINUE, body.attributes);
      case "deny":
      case "denied":
      case "block":
        return withAttributes({ action: "reject", reason: body.reason("reason", "message", "value") }, body.attributes);
      default:
        throw body.unknownAction();
    }
  },
};

function queryWire<A>(
  decode: (answer: GuestAnswer<QueryContext>) => Decision<QueryContext, A>,
  unchanged: readonly string[] = [],
): Wire<QueryContext, A> {
  return { encode: (query) => [queryJson(query), "}"], context: hookContext, unchanged: [...PLAIN_CONTINUE, ...unchanged], decode };
}

/** A wire for those who are told and not asked: their answers are not looked at. */
function told<T>(encode: (value: T) => readonly [string, string]): Wire<T, never> {
  return { encode: (value) => encode(value), context: hookContext, unchanged: [], decode: () => CONTINUE };
}

function readIdentity(identity: unknown, answer: GuestAnswer<unknown>): Identity {
  if (!isJsonObject(identity)) throw answer.fault('has an "identity" that is not an object');
  const { user_id: id, username, roles, tenant_id: tenant, claims } = identity;
  if (typeof id !== "string" || id === "" || typeof username !== "string" || username === "")
    throw answer.fault('has an identity without "user_id" or "username"');
  if (!isListOfText(roles ?? [])) throw answer.fault("has an identity whose roles are not an array of texts");
  if (typeof (tenant ?? "") !== "string") throw answer.fault("has an identity whose tenant_id is not text");
  const named = claims ?? {};
  if (!isJsonObject(named) || !isListOfText(Object.values(named))) throw answer.fault("has an identity whose claims are not texts by name");
  return {
    user_id: id,
    username,
    roles: (roles ?? []) as string[],
    tenant_id: (tenant ?? null) as string | null,
    claims: named as Readonly<Record<string, string>>,
  };
}

function isListOfText(value: unknown): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === "string");
}
