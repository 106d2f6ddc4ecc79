// Native plugins behind the same door: loaded only if the operator allows exactly this file.

import { basename, extname } from "node:path";
import { fileURLToPath } from "node:url";

import { invalidOption } from "../api/limits.ts";
import type { PluginCalls } from "../api/services.ts";
import { type PluginOptions, resolveOptions } from "../host/options.ts";
import { Plugin } from "../host/plugin.ts";
import type { ManifestSource } from "../manifest/manifest.ts";
import { compileNative, isNativePath } from "../native/compile-native.ts";
import { resolveWasi } from "../wasi/options.ts";
import { createHttp, pluginState, serviceTable } from "./plugin-parts.ts";

/** The path of a native plugin, if a source is one: by its extension, or since the options say so. */
export function nativePath(source: ManifestSource, { abi }: PluginOptions): string | undefined {
  const path = source instanceof URL && source.protocol === "file:" ? fileURLToPath(source) : source;
  if (typeof path !== "string" || /^https?:\/\//.test(path)) {
    if (abi === "native") throw invalidOption("abi", '"native"', "left out, for native plugins are files of this machine");
    return undefined;
  }
  return abi === "native" || (abi === undefined && isNativePath(path)) ? path : undefined;
}

/** Loads a native plugin. @throws MortiseError MORTISE_NATIVE_REFUSED and what else docs/native.md lists */
export async function loadNative(path: string, options: PluginOptions): Promise<Plugin> {
  const { isolation, abi: _abi, ...resolved } = resolveOptions({ ...options, abi: undefined });
  if (isolation !== "inline") throw invalidOption("isolation", isolation, '"inline" for native plugins, which share the process in any case');
  const name = options.name ?? basename(path, extname(path));
  const http = createHttp({ allowedHosts: [], maxResponseBytes: undefined }, options);
  let calls: PluginCalls | undefined;
  try {
    const config = options.config ?? {};
    const wasi = resolveWasi(undefined, undefined);
    const state = pluginState({ name, config, resolved: { ...resolved, hostFunctions: {} }, http: http?.guest, wasi }, options);
    calls = options.calls?.forPlugin({ plugin: name, permissions: options.permissions ?? {} });
    const services = calls === undefined ? serviceTable(state, options) : { ...serviceTable(state, options), ...calls.services };
    const made = await compileNative(path, { allow: options.native ?? [], digest: options.digest, state: Object.assign(state, { services }) });
    const release = (): void => {
      http?.close();
      calls?.close();
    };
    // Its functions share the process and its state in any case: nothing is gained by calling them one after the other.
    return await Plugin.create({ abi: "native", version: options.version, state, ...made, pool: resolved.pool, isolation, release });
  } catch (error) {
    http?.close();
    calls?.close();
    throw error;
  }
}
