// What createPlugin takes as a plugin, as @extism/extism names it.

import type { ExtismPluginOptions } from "./options.ts";

/** A module's bytes. */
export interface ManifestWasmData {
  data: Uint8Array;
}

/** Address of a module: `http:`, `https:` or `file:`. */
export interface ManifestWasmUrl {
  url: URL | string;
}

/** Path of a module's file. */
export interface ManifestWasmPath {
  path: string;
}

/** An answer of `fetch` that holds a module. */
export interface ManifestWasmResponse {
  response: Response;
}

/** A compiled module. Its bytes are gone, so that limits cannot be built into it: refused with MORTISE_INVALID_OPTION. */
export interface ManifestWasmModule {
  module: WebAssembly.Module;
}

/** One module of a plugin. `hash` is the SHA-256 that its bytes must have, as 64 hexadecimal digits. */
export type ManifestWasm = (ManifestWasmUrl | ManifestWasmData | ManifestWasmPath | ManifestWasmResponse | ManifestWasmModule) & {
  name?: string;
  hash?: string;
};

type CamelToSnakeCase<S extends string> = S extends `${infer First}${infer Rest}`
  ? `${First extends Capitalize<First> ? "_" : ""}${Lowercase<First>}${CamelToSnakeCase<Rest>}`
  : S;
type SnakeCase<T> = { [Key in keyof T as CamelToSnakeCase<Key & string>]: T[Key] };

type NativeManifestOptions = Pick<ExtismPluginOptions, "allowedPaths" | "allowedHosts" | "memory" | "config" | "timeoutMs">;

/** A plugin: its modules, and options that may also be given to createPlugin, where they take precedence. */
export interface Manifest extends NativeManifestOptions, SnakeCase<NativeManifestOptions> {
  wasm: ManifestWasm[];
}

/** Whatever names a plugin: a manifest, its JSON, a path, a URL, bytes, or an answer of `fetch` that holds one. */
export type ManifestLike = Manifest | Response | WebAssembly.Module | ArrayBuffer | Uint8Array | string | URL;
