// createPlugin: reads a manifest, applies the options, and loads the plugin.

import { DEFAULT_LIMITS, invalidOption } from "../api/limits.ts";
import { MortiseError, isMortiseError } from "../api/errors.ts";
import type { ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import type { PluginOptions } from "../host/options.ts";
import { assemblePlugin } from "../loader/load-plugin.ts";
import { refuseNetworkHosts } from "../loader/network-manifest.ts";
import { readHostRules } from "../services/http/host-rules.ts";
import { readAllowedHosts } from "./allowed-hosts.ts";
import { explain } from "./failures.ts";
import { adaptFunctions } from "./host-functions.ts";
import { type LogGate, checkLevel, gatedLogger } from "./levels.ts";
import { prepareSource } from "./manifest-input.ts";
import type { ManifestLike } from "./manifest-types.ts";
import { type ModuleFacts, readFacts } from "./module-facts.ts";
import type { ExtismPluginOptions } from "./options.ts";
import { type Plugin, createDoor } from "./plugin.ts";
import { grantsOf, limitsOf } from "./settings.ts";

const ENV = "extism:host/env";
const WASI = "wasi_snapshot_preview1";

/**
 * Loads a plugin, under limits that hold: see docs/extism-sdk.md for where they are stricter than the package's.
 *
 * @param manifest manifest, its JSON, path, URL, bytes, or an answer of `fetch`; or a promise of one
 * @throws Error with `code` and, where there is one, the class and text that the package has
 */
export async function createPlugin(manifest: ManifestLike | PromiseLike<ManifestLike>, opts: ExtismPluginOptions = {}): Promise<Plugin> {
  // Code that passes null gets what it gets for nothing.
  const options = (opts as ExtismPluginOptions | null) ?? {};
  const gate: LogGate = { level: checkLevel(options.logLevel ?? "silent") };
  const source = await manifest;
  try {
    return await load(source, options, gate);
  } catch (error) {
    throw explain(error);
  }
}

async function load(source: ManifestLike, options: ExtismPluginOptions, gate: LogGate): Promise<Plugin> {
  const { fetch } = options;
  const maxBytes = DEFAULT_LIMITS.moduleBytes;
  const resolved = await readManifest(prepareSource(source), { maxBytes, fetch, allowedPathKeys: "guest" });
  const modules = resolved.modules.map(({ name, bytes, source: from }, index) => readFacts(bytes, from, [name, String(index)]));
  if (options.useWasi !== true) refuseWasi(resolved, modules);
  if (resolved.from === "network" && options.allowedHosts === undefined) {
    // What comes from elsewhere cannot grant itself this machine; globs are matched with names alone.
    const { entries } = readAllowedHosts(resolved.allowedHosts);
    refuseNetworkHosts({ ...resolved, allowedHosts: entries }, readHostRules(entries, "allowedHosts"));
  }
  for (const [key, value] of Object.entries(options.config ?? {})) {
    if (typeof value !== "string") throw invalidOption(`config.${key}`, typeof value, "a string");
  }
  const settings: PluginOptions = {
    abi: "extism",
    name: resolved.name,
    limits: limitsOf(options, resolved),
    config: options.config ?? resolved.config,
    hostFunctions: adaptFunctions(options.functions, modules, gate),
    ...loggingOf(options, gate),
    ...grantsOf(options, resolved),
    ...(options.runInWorker === true ? { isolation: "thread" } : {}),
  };
  try {
    return createDoor(await assemblePlugin(modulesOf(resolved), settings), modules, options.runInWorker === true);
  } catch (error) {
    throw isMortiseError(error) && error.code === "MORTISE_MISSING_IMPORT" ? explainMissing(error, options, modules) : error;
  }
}

/** Says of a missing import what the package says, since people look for it. */
function explainMissing(error: MortiseError, { functions = {} }: ExtismPluginOptions, modules: readonly ModuleFacts[]): unknown {
  const { module, name } = error.details as { readonly module: string; readonly name: string };
  const importer = modules.find(({ imports }) => imports.some((item) => item.module === module && item.name === name));
  const isKnown = module === ENV || module === WASI || Object.hasOwn(functions, module);
  const why = isKnown
    ? ` ("${module}" is a host module, but does not contain "${name}")`
    : ": not provided by host imports nor linked manifest items";
  return explain(error, { text: `from module "${importer?.names[0] ?? "main"}": cannot resolve import "${module}" "${name}"${why}` });
}

function loggingOf(options: ExtismPluginOptions, gate: LogGate): Pick<PluginOptions, "logger" | "logLevel"> {
  const { level } = gate;
  return level === "silent" ? {} : { logger: gatedLogger(options.logger ?? console, gate), logLevel: level };
}

/** The modules alone: what the manifest sets has been taken over into the options. */
function modulesOf(resolved: ResolvedManifest): ResolvedManifest {
  const memory = { maxPages: undefined, maxHttpResponseBytes: undefined, maxVarBytes: undefined };
  return { ...resolved, memory, allowedHosts: [], allowedPaths: [], config: {}, timeoutMs: undefined };
}

function refuseWasi({ name: plugin, modules: sources }: ResolvedManifest, modules: readonly ModuleFacts[]): void {
  const linked = new Set(sources.map(({ name }) => name));
  const item = modules.flatMap(({ imports }) => imports).find(({ module }) => module === WASI && !linked.has(module));
  if (item === undefined) return;
  const { module, name, kind } = item;
  const text = 'WASI is not enabled; see the "useWasi" plugin option';
  throw explain(new MortiseError("MORTISE_MISSING_IMPORT", { plugin, kind, module, name, hint: "; set useWasi" }), { text });
}
