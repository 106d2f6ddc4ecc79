// Hooks that are known by name: those of a database proxy, with HeliosProxy's JSON, and those of an LLM gateway, with Bifrost's.

import { type HookDefinition, type HookOptions, hook } from "../definition.ts";
import { HTTP_POST_WIRE, HTTP_PRE_WIRE, STREAM_CHUNK_WIRE } from "./bifrost-http.ts";
import { llmPostWire, llmPreWire } from "./bifrost-llm.ts";
import type { Spelling } from "./bifrost-spellings.ts";
import type { HttpRequest, HttpResponse, LlmRequest, LlmResult, StreamChunk } from "./bifrost-types.ts";
import type { AuthRequest, AuthorizeRequest, CacheEntry, CachedRows, Connection, Identity, QueryContext, QueryEnd, Route } from "./helios-types.ts";
import {
  AUTHENTICATE_WIRE,
  AUTHORIZE_WIRE,
  CACHE_GET_WIRE,
  CACHE_SET_WIRE,
  CONNECTION_WIRE,
  type DescribeQuery,
  METRICS_WIRE,
  POST_QUERY_WIRE,
  ROUTE_WIRE,
  preQueryWire,
  rewriteWire,
} from "./helios-wires.ts";

/** Options of standard hooks. */
export type StandardHookOptions = Omit<HookOptions<never>, "input">;

/** Options of hooks in which plugins write statements. */
export interface QueryHookOptions extends StandardHookOptions {
  /** Says what is known of a statement that a plugin wrote, for the plugins behind it and for the application. @default nothing: no tables, and it may write */
  readonly describe?: DescribeQuery;
}

/** Options of the model hook. */
export interface LlmHookOptions extends StandardHookOptions {
  /** Spellings that plugins are sent; all are read in any case. @default "all" */
  readonly spelling?: Spelling;
}

const HTTP_PRE = ["http_pre_hook", "http_intercept", "http_transport_intercept"];

/** Hooks under the names and with the JSON that plugins of HeliosProxy and Bifrost know. Each is given to createHost like any other. */
export const standardHooks: {
  /** `pre_query`, before a statement runs: rewrites chain; rows may answer it. */
  readonly preQuery: (options?: QueryHookOptions) => HookDefinition<"chain", QueryContext, CachedRows>;
  /** `post_query`, after a statement. */
  readonly postQuery: (options?: StandardHookOptions) => HookDefinition<"all", QueryEnd, never>;
  /** `authenticate`, when a client comes: the first that knows it says who it is, or denies. */
  readonly authenticate: (options?: StandardHookOptions) => HookDefinition<"first", AuthRequest, Identity>;
  /** `authorize`, before a statement: all are asked, and any may deny. */
  readonly authorize: (options?: StandardHookOptions) => HookDefinition<"chain", AuthorizeRequest, never>;
  /** `route`: where a statement goes. */
  readonly route: (options?: StandardHookOptions) => HookDefinition<"first", QueryContext, Route>;
  /** `cache_get`: rows that are known already. */
  readonly cacheGet: (options?: StandardHookOptions) => HookDefinition<"first", QueryContext, CachedRows>;
  /** `cache_set`: rows that may be kept. */
  readonly cacheSet: (options?: StandardHookOptions) => HookDefinition<"all", CacheEntry, never>;
  /** `rewrite`: rewrites chain. */
  readonly rewrite: (options?: QueryHookOptions) => HookDefinition<"chain", QueryContext, QueryContext>;
  /** `metrics`: numbers of the application, now and then. */
  readonly metrics: (options?: StandardHookOptions) => HookDefinition<"all", unknown, never>;
  /** `on_connect` and `on_disconnect`. */
  readonly onConnect: (options?: StandardHookOptions) => HookDefinition<"all", Connection, never>;
  readonly onDisconnect: (options?: StandardHookOptions) => HookDefinition<"all", Connection, never>;
  /** `custom_hook`: any value, with the generic JSON. */
  readonly customHook: (options?: StandardHookOptions) => HookDefinition<"chain", unknown, unknown>;
  /** `http_pre_hook` and `http_post_hook`, around a request to a gateway. */
  readonly http: (options?: StandardHookOptions) => HookDefinition<"bracket", HttpRequest, HttpResponse>;
  /** `http_stream_chunk_hook`, for each piece of a stream, in the reverse order; null for a piece that is dropped. */
  readonly httpStreamChunk: (options?: StandardHookOptions) => HookDefinition<"chain", StreamChunk, null>;
  /** `pre_hook` and `post_hook`, around a request to a model. */
  readonly llm: (options?: LlmHookOptions) => HookDefinition<"bracket", LlmRequest, LlmResult>;
} = {
  preQuery: ({ describe, ...options } = {}) => hook.chain<QueryContext, CachedRows>({ ...options, name: "pre_query", wire: preQueryWire(describe) }),
  postQuery: (options = {}) => hook.all<QueryEnd>({ ...options, name: "post_query", wire: POST_QUERY_WIRE }),
  authenticate: (options = {}) => hook.first<AuthRequest, Identity>({ ...options, name: "authenticate", wire: AUTHENTICATE_WIRE }),
  authorize: (options = {}) => hook.chain<AuthorizeRequest, never>({ ...options, name: "authorize", wire: AUTHORIZE_WIRE }),
  route: (options = {}) => hook.first<QueryContext, Route>({ ...options, name: "route", wire: ROUTE_WIRE }),
  cacheGet: (options = {}) => hook.first<QueryContext, CachedRows>({ ...options, name: "cache_get", wire: CACHE_GET_WIRE }),
  cacheSet: (options = {}) => hook.all<CacheEntry>({ ...options, name: "cache_set", wire: CACHE_SET_WIRE }),
  rewrite: ({ describe, ...options } = {}) => hook.chain<QueryContext>({ ...options, name: "rewrite", wire: rewriteWire(describe) }),
  metrics: (options = {}) => hook.all<unknown>({ ...options, name: "metrics", wire: METRICS_WIRE }),
  onConnect: (options = {}) => hook.all<Connection>({ ...options, name: "on_connect", wire: CONNECTION_WIRE }),
  onDisconnect: (options = {}) => hook.all<Connection>({ ...options, name: "on_disconnect", wire: CONNECTION_WIRE }),
  customHook: (options = {}) => hook.chain<unknown>({ ...options, name: "custom_hook" }),
  http: (options = {}) =>
    hook.bracket<HttpRequest, HttpResponse>({
      ...options,
      preName: HTTP_PRE,
      postName: "http_post_hook",
      preWire: HTTP_PRE_WIRE,
      postWire: HTTP_POST_WIRE,
    }),
  httpStreamChunk: (options = {}) => ({
    ...hook.chain<StreamChunk, null>({ ...options, name: "http_stream_chunk_hook", wire: STREAM_CHUNK_WIRE }),
    reverse: true,
  }),
  llm: ({ spelling = "all", ...options } = {}) =>
    hook.bracket<LlmRequest, LlmResult>({
      ...options,
      preName: "pre_hook",
      postName: "post_hook",
      preWire: llmPreWire(spelling),
      postWire: llmPostWire(spelling),
    }),
};
