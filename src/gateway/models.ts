// The list of models that clients can name.

import type { Core } from "./core.ts";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./respond.ts";
import type { ModelsShape, Route } from "./routes.ts";
import { type ModelEntry, modelObject, modelsList, modelsShape } from "./wires/models.ts";

/** Answers with all models, or with one. @throws MortiseError MORTISE_GATEWAY_NO_MODEL */
export function serveModels(core: Core, exchange: Exchange, requestId: string, route: Extract<Route, { readonly kind: "models" | "model" }>): void {
  const shape = shapeOf(route.shape, exchange);
  const entries = core.setup.models().map(({ id, provider }): ModelEntry => ({ id, ownedBy: provider ?? "mortise" }));
  if (route.kind === "models") return sendJson(exchange, requestId, 200, modelsList(entries, shape));
  const { id } = route;
  const [target] = core.setup.plan({ provider: "", model: id, input: null });
  const entry = entries.find((each) => each.id === id) ?? { id, ownedBy: target?.provider ?? "mortise" };
  sendJson(exchange, requestId, 200, modelObject(entry, shape));
}

function shapeOf(shape: ModelsShape, { headers }: Exchange): "openai" | "anthropic" {
  return shape === "either" ? modelsShape(headers) : shape;
}
