// The list of models that clients can name.

import type { Core } from "./core.ts";
import type { Exchange } from "./exchange.ts";
import { sendJson } from "./respond.ts";
import type { ModelsShape, Route } from "./routes.ts";
import type { NamedModel } from "./policies/router.ts";
import { type ModelEntry, type ModelsShape as ShapeOfList, modelObject, modelsList, modelsShape } from "./wires/models.ts";

/** Answers with all models, or with one. @throws MortiseError MORTISE_GATEWAY_NO_MODEL */
export function serveModels(
  core: Core,
  exchange: Exchange,
  requestId: string,
  route: Extract<Route, { readonly kind: "models" | "model" }>,
): Promise<void> | void {
  const shape = shapeOf(route.shape, exchange);
  if (route.kind === "models") return serveList(core, exchange, requestId, shape);
  const { id } = route;
  const [target] = core.setup.route(id);
  const entry = core.setup
    .models()
    .map(entryOf)
    .find((each) => each.id === id) ?? { id, ownedBy: target?.provider ?? "mortise" };
  sendJson(exchange, requestId, 200, modelObject(entry, shape));
}

async function serveList({ setup }: Core, exchange: Exchange, requestId: string, shape: ShapeOfList): Promise<void> {
  const release = setup.hold();
  try {
    sendJson(exchange, requestId, 200, modelsList((await setup.allModels()).map(entryOf), shape));
  } finally {
    release();
  }
}

function entryOf({ id, provider }: NamedModel): ModelEntry {
  return { id, ownedBy: provider ?? "mortise" };
}

function shapeOf(shape: ModelsShape, { headers }: Exchange): ShapeOfList {
  return shape === "either" ? modelsShape(headers) : shape;
}
