// Puts a plugin together: reads its modules, builds what it may reach, and says where it runs.

import { checkImports } from "../abi/check-imports.ts";
import { chooseAbi, compileModules, exportsOf, readModules } from "../abi/compile.ts";
import type { NamedModule } from "../abi/compile-options.ts";
import type { ExportTable, GuestHttp, PluginState, ProvidedFunctions } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import type { HttpService } from "../api/http.ts";
import { type ResolvedLimits, resolveLimits } from "../api/limits.ts";
import { localRunners } from "../host/local-runner.ts";
import { type PluginOptions, type ResolvedOptions, resolveOptions } from "../host/options.ts";
import { Plugin } from "../host/plugin.ts";
import type { RunnerFactory } from "../host/runner.ts";
import type { ManifestSource, ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { createFetchService } from "../services/http/fetch-service.ts";
import { readHostRules } from "../services/http/host-rules.ts";
import { createHttpService } from "../services/http/http-service.ts";
import { readHttpRequest } from "../services/http/request-json.ts";
import { SERVICES_MODULE } from "../api/services.ts";
import type { ResolvedPool } from "../host/pool.ts";
import { readDeclaration } from "./declaration.ts";
import { importedServices } from "./service-imports.ts";
import { type PathGrant, resolveWasi } from "../wasi/options.ts";
import type { WasmAbi } from "../wasm/detect.ts";
import { capNetworkLimits, refuseNetworkHosts } from "./network-manifest.ts";

/**
 * Loads a plugin: reads, checks, rewrites and compiles its modules, and makes a first instance, all under limits. What a
 * manifest says of limits, hosts, folders and configuration holds where `options` say nothing; one that came over the
 * network raises no limit, and grants no host but public ones.
 *
 * @param source path, URL, bytes or manifest; docs/manifest.md has every form
 * @throws MortiseError when the source cannot be read, a module is broken or refused, an import is missing, or the
 *   initialisation fails; docs/errors.md lists the codes
 */
export async function loadPlugin(source: ManifestSource, options: PluginOptions = {}): Promise<Plugin> {
  const asked = resolveOptions(options);
  const manifest = await readManifest(source, { maxBytes: asked.limits.moduleBytes, signal: options.signal });
  const plugin = await assemblePlugin(manifest, options);
  if (options.signal?.aborted !== true) return plugin;
  await plugin.close({ abort: true });
  throw new MortiseError("MORTISE_SOURCE_ABORTED", { source: `plugin "${plugin.name}"` }, options.signal.reason);
}

/** {@link loadPlugin} for a manifest that was read already. */
export async function assemblePlugin(given: ResolvedManifest, options: PluginOptions): Promise<Plugin> {
  const manifest = capNetworkLimits(given);
  const { isolation, ...resolved } = resolveOptions({ ...options, limits: mergeLimits(manifest, options) });
  const name = options.name ?? manifest.name;
  const modules = readModules(manifest.modules, name);
  const main = modules.find((module) => module.name === "main");
  if (main === undefined) throw new RangeError("no main module"); // manifests have one
  const abi = chooseAbi(main.module, name, resolved.abi);
  const paths = options.permissions?.paths ?? grantsOf(manifest);
  const http = createHttp(manifest, options);
  let wasi: PluginState["wasi"] | undefined;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    wasi?.close();
    http?.close();
  };
  try {
    wasi = resolveWasi(options.wasi, paths);
    const config = { ...manifest.config, ...options.config };
    const state: PluginState = {
      name,
      limits: resolved.limits,
      config: configTexts(config),
      configJson: JSON.stringify(config),
      variables: new Map(),
      variableBytes: 0,
      logger: resolved.logger,
      logLevel: resolved.logLevel,
      hostFunctions: resolved.hostFunctions,
      provided: {},
      http: http?.guest,
      wasi,
      clock: resolved.clock,
      droppedLogs: 0,
    };
    const provided = providedFunctions(abi, state, options);
    const full: PluginState = Object.assign(state, { provided });
    const declared = readDeclaration(main.module, name);
    const parts = { abi, modules, manifest, state: full };
    const made = isolation === "inline" ? await inline(parts) : await remote(parts, isolation, resolved, options, paths);
    const pool = abi === "bifrost" ? recycling(resolved.pool, resolved.limits) : resolved.pool;
    return await Plugin.create({ abi, declared, state: full, ...made, pool, isolation, release });
  } catch (error) {
    release();
    throw error;
  }
}

/** A plugin as read, and what its instances will share. */
interface Parts {
  readonly abi: WasmAbi;
  readonly modules: readonly NamedModule[];
  readonly manifest: ResolvedManifest;
  readonly state: PluginState;
}

type Made = { readonly exports: ExportTable; readonly runners: RunnerFactory };

async function inline({ abi, modules, state }: Parts): Promise<Made> {
  const { name: plugin, limits, hostFunctions, provided } = state;
  const guest = await compileModules(abi, modules, { plugin, limits, hostFunctions, provided });
  return { exports: exportsOf(abi, guest.main.instrumented.module), runners: localRunners(guest, state) };
}

async function remote(
  { abi, modules, manifest, state }: Parts,
  isolation: "thread" | "process",
  { pool }: Omit<ResolvedOptions, "isolation">,
  { wasi }: PluginOptions,
  paths: Readonly<Record<string, PathGrant>> | undefined,
): Promise<Made> {
  const main = modules.find(({ name }) => name === "main") as NamedModule;
  // Most plugins run in this thread: the rest is loaded when it is needed.
  const { createRemoteRunners } = await import("../isolation/remote-runner.ts");
  for (const { module } of modules) checkProvided(module, state);
  const runners = createRemoteRunners(
    isolation,
    {
      state,
      abi,
      modules: manifest.modules,
      http: state.http,
      ...(wasi === undefined ? {} : { wasi }),
      ...(paths === undefined ? {} : { paths }),
    },
    { maxInstances: pool.maxInstances },
  );
  return { exports: exportsOf(abi, main.module), runners };
}

/** Over there nobody knows the types of what the host provides. */
function checkProvided(module: NamedModule["module"], { name: plugin, hostFunctions, provided }: PluginState): void {
  const imports = module.imports.filter((item) => item.kind === "function" && Object.hasOwn(provided, item.module));
  checkImports({ ...module, imports }, { plugin, hostFunctions, provided, linked: new Set() });
}

/** What plugins of an interface may import from the host besides the interface's own functions. */
function providedFunctions(abi: WasmAbi, state: PluginState, { services, permissions = {} }: PluginOptions): ProvidedFunctions {
  if (services === undefined) return {};
  const crossing = abi === "bifrost" || abi === "helios" ? "linear" : "block";
  const table = services.forPlugin({
    plugin: state.name,
    permissions,
    config: state.config,
    logger: state.logger,
    logLevel: state.logLevel,
    logBytes: state.limits.logBytes,
    http: state.http,
    secrets: [],
    onDropped: () => state.droppedLogs++,
  });
  return { [SERVICES_MODULE]: importedServices(table, crossing) };
}

/** Configuration as text: what is no text is given as JSON. */
function configTexts(config: Readonly<Record<string, unknown>>): Map<string, string> {
  return new Map(Object.entries(config).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}

/** Many allocators of Bifrost plugins never free: an instance is replaced before its memory is full. */
function recycling(pool: ResolvedPool, { memoryBytes }: ResolvedLimits): ResolvedPool {
  return pool.recycleBytes === Number.POSITIVE_INFINITY ? { ...pool, recycleBytes: Math.ceil(memoryBytes / 2) } : pool;
}

/**
 * Limits of the options, then those of the manifest, then the defaults. How long a function takes to compile matters where it would hold the
 * thread of everybody else.
 */
export function mergeLimits(manifest: ResolvedManifest, { limits = {}, isolation = "inline" }: PluginOptions): ResolvedLimits {
  const { memory, timeoutMs } = capNetworkLimits(manifest);
  const elsewhere = isolation === "inline" ? {} : { functionBytes: Number.POSITIVE_INFINITY, functionComplexity: Number.POSITIVE_INFINITY };
  const { memoryBytes, varBytes, timeoutMs: asked, ...stated } = limits;
  const others = { ...elsewhere, ...stated };
  const merged = {
    memoryBytes: memoryBytes ?? (memory.maxPages === undefined ? undefined : memory.maxPages * 65_536),
    varBytes: varBytes ?? memory.maxVarBytes,
    timeoutMs: asked ?? timeoutMs,
  };
  return resolveLimits({ ...others, ...Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined)) });
}

function grantsOf({ allowedPaths }: ResolvedManifest): Readonly<Record<string, PathGrant>> | undefined {
  if (allowedPaths.length === 0) return undefined;
  const grants: Record<string, PathGrant> = Object.create(null);
  for (const { hostPath, guestPath, readOnly } of allowedPaths) {
    let key = hostPath;
    // A folder that is granted twice gets a second spelling, since keys cannot repeat.
    while (Object.hasOwn(grants, key)) key += "/.";
    grants[key] = { guest: guestPath, access: readOnly ? "read-only" : "read-write" };
  }
  return grants;
}

/** HTTP for a plugin that was granted hosts; options are checked in any case. */
function createHttp(
  manifest: ResolvedManifest,
  { permissions, http }: PluginOptions,
): { readonly guest: GuestHttp; readonly close: () => void } | undefined {
  const { allowedHosts, memory } = manifest;
  const hosts = permissions?.hosts ?? allowedHosts;
  if (http?.service !== undefined) return httpOf(http.service, http.responseHeaders);
  if (hosts.length === 0 && http === undefined) return undefined;
  const rules = readHostRules(hosts, permissions?.hosts === undefined ? "allowed_hosts" : "permissions.hosts");
  if (permissions?.hosts === undefined) refuseNetworkHosts(manifest, rules);
  const { responseHeaders = true, fetch, ca, ...rest } = http ?? {};
  const limits = { maxResponseBytes: memory.maxHttpResponseBytes, ...rest };
  const defined = Object.fromEntries(Object.entries(limits).filter(([, value]) => value !== undefined));
  const service =
    fetch === undefined
      ? createHttpService({ ...defined, hosts, ...(ca === undefined ? {} : { ca }) })
      : createFetchService({ ...defined, hosts, fetch });
  if (hosts.length === 0) {
    service.close();
    return undefined;
  }
  return httpOf(service, responseHeaders);
}

function httpOf(service: HttpService, showsHeaders: boolean = true): { readonly guest: GuestHttp; readonly close: () => void } {
  return {
    guest: { request: async (json, body, call) => service.request({ ...readHttpRequest(json, call), body }, call), showsHeaders },
    close: () => service.close(),
  };
}
