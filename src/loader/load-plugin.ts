// Puts a plugin together: reads its modules, builds what it may reach, and says where it runs.

import { createHash } from "node:crypto";

import { checkImports } from "../abi/check-imports.ts";
import { chooseAbi, compileModules, exportsOf, readModules } from "../abi/compile.ts";
import type { NamedModule } from "../abi/compile-options.ts";
import type { ExportTable, PluginState, ProvidedFunctions } from "../abi/guest.ts";
import { MortiseError } from "../api/errors.ts";
import { type ResolvedLimits, resolveLimits } from "../api/limits.ts";
import { type PluginCalls, SERVICES_MODULE } from "../api/services.ts";
import { localRunners } from "../host/local-runner.ts";
import { type PluginOptions, type ResolvedOptions, checkOptions, resolveOptions } from "../host/options.ts";
import { Plugin } from "../host/plugin.ts";
import type { ResolvedPool } from "../host/pool.ts";
import type { RunnerFactory } from "../host/runner.ts";
import type { HeliosManifest } from "../manifest/helios-source.ts";
import type { ManifestSource, ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import type { Services } from "../services/create-services.ts";
import { HELIOS_FUNCTIONS } from "../services/helios-functions.ts";
import { type PathGrant, resolveWasi } from "../wasi/options.ts";
import type { WasmAbi } from "../wasm/detect.ts";
import { readDeclaration } from "./declaration.ts";
import { capMemory, declaredBy, isArtefact, onlyDeclared, readArtefact, readBeside } from "./helios.ts";
import { loadNative, nativePath } from "./load-native.ts";
import { capNetworkLimits, refuseNetworkHosts } from "./network-manifest.ts";
import { createHttp, pluginState, serviceTable } from "./plugin-parts.ts";
import { importedHelios } from "./helios-imports.ts";
import { importedServices } from "./service-imports.ts";

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
  checkOptions(options);
  const path = nativePath(source, options);
  const plugin = path === undefined ? await loadModule(source, options) : await loadNative(path, options);
  if (options.signal?.aborted !== true) return plugin;
  await plugin.close({ abort: true });
  throw new MortiseError("MORTISE_SOURCE_ABORTED", { source: `plugin "${plugin.name}"` }, options.signal.reason);
}

async function loadModule(source: ManifestSource, options: PluginOptions): Promise<Plugin> {
  const { limits } = resolveOptions(options);
  if (isArtefact(source)) {
    const { manifest, helios } = await readArtefact(source, limits, options);
    return assemblePlugin(manifest, { ...options, abi: options.abi ?? "helios" }, async () => helios.manifest);
  }
  const manifest = await readManifest(source, { maxBytes: limits.moduleBytes, signal: options.signal });
  return assemblePlugin(manifest, options, (wasm) => readBeside(source, wasm, options));
}

/**
 * {@link loadPlugin} for a manifest that was read already.
 *
 * @param beside reads what HeliosProxy knows of a module, if it is one of its plugins
 */
export async function assemblePlugin(
  given: ResolvedManifest,
  options: PluginOptions,
  beside: (wasm: Uint8Array) => Promise<HeliosManifest | undefined> = async () => undefined,
): Promise<Plugin> {
  const manifest = capNetworkLimits(given);
  const { isolation, ...resolved } = resolveOptions({ ...options, limits: mergeLimits(manifest, options) });
  const name = options.name ?? manifest.name;
  const modules = readModules(manifest.modules, name);
  const main = modules.find((module) => module.name === "main");
  if (main === undefined) throw new RangeError("no main module"); // manifests have one
  const abi = chooseAbi(main.module, name, resolved.abi);
  const helios = abi === "helios" ? await beside(main.module.bytes) : undefined;
  const limits = capMemory(resolved.limits, helios);
  const paths = options.permissions?.paths ?? grantsOf(manifest);
  const http = createHttp(
    {
      allowedHosts: manifest.allowedHosts,
      maxResponseBytes: manifest.memory.maxHttpResponseBytes,
      check: (rules) => refuseNetworkHosts(manifest, rules),
    },
    options,
  );
  let wasi: PluginState["wasi"] | undefined;
  /** Services of the plugin's own, where its host offers none: they live as long as it does. */
  let own: Services | undefined;
  let calls: PluginCalls | undefined;
  let released = false;
  const release = (): void => {
    if (released) return;
    released = true;
    wasi?.close();
    http?.close();
    void own?.close();
    calls?.close();
  };
  try {
    wasi = resolveWasi(options.wasi, paths);
    const digest = checkDigest(main.module, options);
    const config = { ...manifest.config, ...options.config };
    const state = pluginState({ name, config, resolved: { ...resolved, limits }, http: http?.guest, wasi }, options);
    // Few plugins need services of their own: what makes them is loaded when they do.
    if (options.services === undefined && modules.some(({ module }) => importsServices(module, abi)))
      own = (await import("../services/create-services.ts")).createServices();
    calls = options.calls?.forPlugin({ plugin: name, permissions: options.permissions ?? {} });
    const provided = providedFunctions(abi, state, own === undefined ? options : { ...options, services: own }, calls);
    const full: PluginState = Object.assign(state, { provided });
    const declared = declaredBy(readDeclaration(main.module, name), helios);
    const parts = { abi, modules, manifest, state: full };
    const made = isolation === "inline" ? await inline(parts) : await remote(parts, isolation, resolved, options, paths);
    const pool = abi === "bifrost" ? recycling(resolved.pool, limits) : resolved.pool;
    const exports = onlyDeclared(made.exports, name, helios);
    return await Plugin.create({ abi, version: options.version, digest, declared, state: full, ...made, exports, pool, isolation, release });
  } catch (error) {
    release();
    throw error;
  }
}

/** SHA-256 of a module; refuses other bytes than the operator has pinned. @throws MortiseError MORTISE_DIGEST_MISMATCH */
function checkDigest({ bytes, source }: NamedModule["module"], { digest }: PluginOptions): string {
  const found = createHash("sha256").update(bytes).digest("hex");
  const wanted = digest?.replace(/^sha256:/i, "").toLowerCase() ?? found;
  if (found !== wanted) throw new MortiseError("MORTISE_DIGEST_MISMATCH", { source, found, wanted });
  return found;
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

function importsServices(module: NamedModule["module"], abi: WasmAbi): boolean {
  const names = new Set([SERVICES_MODULE, ...(abi === "helios" ? HELIOS_FUNCTIONS.map((item) => item.module) : [])]);
  return module.imports.some((item) => names.has(item.module));
}

/** What plugins of an interface may import from the host besides the interface's own functions. */
function providedFunctions(abi: WasmAbi, state: PluginState, options: PluginOptions, calls: PluginCalls | undefined): ProvidedFunctions {
  const table = serviceTable(state, options);
  if (table === undefined && calls === undefined) return {};
  const crossing = abi === "bifrost" || abi === "helios" ? "linear" : "block";
  const common = { [SERVICES_MODULE]: importedServices({ ...table, ...calls?.services }, crossing) };
  if (abi === "helios") return table === undefined ? common : { ...importedHelios(table), ...common };
  const others = crossing === "block" ? Object.entries(calls?.modules ?? {}) : [];
  return { ...Object.fromEntries(others.map(([module, functions]) => [module, importedServices(functions, crossing)])), ...common };
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
