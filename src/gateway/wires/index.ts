// What the rest of the gateway uses of the wires.

export type { StreamReader } from "./client-wire.ts";
export { CLIENT_WIRES } from "./client-wires.ts";
export { assembleChunks, completionToChunks } from "./common/assemble-chunks.ts";
export {
  dimensionsOf,
  embeddingTexts,
  embeddingsBody,
  embeddingsError,
  embeddingsOf,
  embeddingsResponse,
  readEmbeddings,
  readEmbeddingsResponse,
} from "./embeddings.ts";
export { modelObject, modelsList, modelsShape } from "./models.ts";
export { chunkWriter, fromProviderResponse } from "./providers/from-provider-response.ts";
export { toProviderRequest } from "./providers/to-provider-request.ts";
