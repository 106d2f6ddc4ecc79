// Lists of models, as clients of OpenAI and of Anthropic read them.

import type { JsonObject } from "mortise";

/** A model that clients can name. */
export interface ModelEntry {
  /** What clients name it by, such as `openai/gpt-x`. */
  readonly id: string;
  /** Seconds since 1970. @default 0 */
  readonly created?: number;
  /** The provider. */
  readonly ownedBy: string;
  /** @default the id */
  readonly displayName?: string;
}

/** Whose list. */
export type ModelsShape = "openai" | "anthropic";

/** One model. */
export function modelObject({ id, created = 0, ownedBy, displayName = id }: ModelEntry, shape: ModelsShape): JsonObject {
  if (shape === "openai") return { id, object: "model", created, owned_by: ownedBy };
  return { type: "model", id, display_name: displayName, created_at: new Date(created * 1000).toISOString() };
}

/** All models, on one page. */
export function modelsList(models: readonly ModelEntry[], shape: ModelsShape): JsonObject {
  const data = models.map((model) => modelObject(model, shape));
  if (shape === "openai") return { object: "list", data };
  return { data, has_more: false, first_id: models[0]?.id ?? null, last_id: models.at(-1)?.id ?? null };
}

/** Clients of Anthropic send this header with each request. */
export function modelsShape(headers: Readonly<Record<string, unknown>>): ModelsShape {
  return headers["anthropic-version"] === undefined ? "openai" : "anthropic";
}
