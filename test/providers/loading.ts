// Loads providers for tests, and waits for them.

import { readKitPrebuilt } from "../../scripts/kits-manifest.ts";
import { type ProviderKitName, kitNamed } from "../../scripts/kits-table.ts";
import { loadProvider } from "../../src/providers/index.ts";
import type { ChatRequest, Provider, ProviderOptions, StreamChunk } from "../../src/providers/index.ts";
import { MortiseError } from "../../src/index.ts";
import type { TextProvider } from "./text-provider.ts";
import type { Upstream } from "./upstream.ts";

/** A provider of the kits for a server. */
export function loadKit(kit: ProviderKitName, { url, host }: Upstream, options: ProviderOptions = {}): Promise<Provider> {
  return loadProvider(readKitPrebuilt(kitNamed(kit)), {
    name: kit,
    apiKey: "secret-key",
    permissions: { hosts: [host] },
    ...options,
    config: { model: "small", base_url: `${url}/v1`, ...options.config },
  });
}

/** A provider written as a table. */
export function loadText(provider: TextProvider, options: ProviderOptions = {}): Promise<Provider> {
  return loadProvider(provider.wasm, { name: "texts", hostFunctions: provider.hostFunctions, ...options });
}

/** A question. */
export function say(text: string, rest: Partial<ChatRequest> = {}): ChatRequest {
  return { messages: [{ role: "User", content: [{ type: "text", text }] }], ...rest };
}

export async function collect(stream: AsyncIterable<StreamChunk>): Promise<StreamChunk[]> {
  const chunks: StreamChunk[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

/** The text of all chunks. */
export function textOf(chunks: readonly StreamChunk[]): string {
  return chunks.map((chunk) => ("text" in chunk ? chunk.text : "")).join("");
}

/** The error of a promise. */
export async function errorOf(promise: Promise<unknown>): Promise<MortiseError> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof MortiseError) return error;
    throw error;
  }
  throw new Error("it succeeded");
}

/** Code, payload and retryable of an error. */
export async function endOf(promise: Promise<unknown>): Promise<{ code: string; payload: unknown; retryable: unknown }> {
  const { code, details } = await errorOf(promise);
  return { code, payload: details["payload"], retryable: details["retryable"] };
}
