// Which path means what. SDKs differ in whether the base URL has the version, and both APIs may have a prefix of their own.

import type { ClientApi } from "./types.ts";

/** What a path asks for. */
export type Route =
  | { readonly kind: "api"; readonly api: ClientApi }
  | { readonly kind: "models"; readonly shape: ModelsShape }
  | { readonly kind: "model"; readonly shape: ModelsShape; readonly id: string }
  | { readonly kind: "health" }
  | { readonly kind: "ready" };

/** Whose list of models it is; "either" is told by the headers of the client. */
export type ModelsShape = "openai" | "anthropic" | "either";

const OPENAI: readonly (readonly [string, ClientApi])[] = [
  ["/chat/completions", "chat"],
  ["/responses", "responses"],
  ["/embeddings", "embeddings"],
];
const ANTHROPIC: readonly (readonly [string, ClientApi])[] = [["/messages", "messages"]];
/** Prefixes, each with and without the version. */
const PREFIXES: readonly (readonly [prefix: string, shape: ModelsShape, apis: readonly (readonly [string, ClientApi])[]])[] = [
  ["", "either", [...OPENAI, ...ANTHROPIC]],
  ["/openai", "openai", OPENAI],
  ["/anthropic", "anthropic", ANTHROPIC],
];

const ROUTES: ReadonlyMap<string, Route> = allRoutes();
const MODEL = /^(?:\/(?<who>openai|anthropic))?(?:\/v1)?\/models\/(?<id>.+)$/;

function allRoutes(): Map<string, Route> {
  const routes = new Map<string, Route>([
    ["/healthz", { kind: "health" }],
    ["/readyz", { kind: "ready" }],
  ]);
  for (const [prefix, shape, apis] of PREFIXES)
    for (const base of [prefix, `${prefix}/v1`]) {
      routes.set(`${base}/models`, { kind: "models", shape });
      for (const [path, api] of apis) routes.set(base + path, { kind: "api", api });
    }
  return routes;
}

/** What a path asks for; undefined if it is nothing of the gateway's. */
export function routeOf(path: string): Route | undefined {
  const known = ROUTES.get(path);
  if (known !== undefined) return known;
  const groups = MODEL.exec(path)?.groups;
  if (groups === undefined) return undefined;
  const id = decoded(groups["id"] ?? "");
  return id === undefined ? undefined : { kind: "model", shape: (groups["who"] as ModelsShape | undefined) ?? "either", id };
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** Methods of a route, as the header `allow` lists them. */
export function methodsOf({ kind }: Route): string {
  return kind === "api" ? "POST, OPTIONS" : "GET, HEAD, OPTIONS";
}

/** The API whose errors somebody at this path understands. */
export function errorApiOf(path: string, headers: Readonly<Record<string, string>>): ClientApi {
  const route = routeOf(path);
  if (route?.kind === "api") return route.api;
  return path.startsWith("/anthropic") || headers["anthropic-version"] !== undefined ? "messages" : "chat";
}
