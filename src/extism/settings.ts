// What options and manifest come to for the core: options take precedence, and what is not limited there is not limited here.

import { resolve } from "node:path";

import type { HttpService } from "../api/http.ts";
import { type Limits, invalidOption } from "../api/limits.ts";
import type { AllowedPath, ResolvedManifest } from "../manifest/manifest.ts";
import { createFetchService } from "../services/http/fetch-service.ts";
import { createHttpService } from "../services/http/http-service.ts";
import type { PathGrant } from "../wasi/options.ts";
import { type AllowedHosts, readAllowedHosts } from "./allowed-hosts.ts";
import type { PluginOptions } from "../host/options.ts";
import { CAPABILITIES } from "./capabilities.ts";
import { createGlobHttp } from "./glob-http.ts";
import type { ExtismPluginOptions, MemoryOptions } from "./options.ts";

const PAGE = 65_536;
/** As many pages as one memory can have. */
const MAX_PAGES = 65_536;
/** Entries that an engine allows a table, and bytes that it allows a function. */
const MAX_ENTRIES = 10_000_000;
const MAX_FUNCTION_BYTES = 7_654_321;
const UNLIMITED = Number.POSITIVE_INFINITY;
/** Milliseconds after which Node's fetch gives up waiting, and bytes that one buffer can have. */
const HTTP_TIMEOUT_MS = 300_000;
const MAX_BUFFER_BYTES = 2 ** 31;

type Settings = Pick<ResolvedManifest, "memory" | "allowedHosts" | "allowedPaths" | "config" | "timeoutMs">;

/** Limits of a plugin. */
export function limitsOf(options: ExtismPluginOptions, manifest: Settings): Limits {
  const memory: MemoryOptions = options.memory ?? manifest.memory;
  const timeoutMs = readNumber("timeoutMs", options.timeoutMs ?? manifest.timeoutMs);
  const maxPages = readNumber("memory.maxPages", memory.maxPages);
  const varBytes = readNumber("memory.maxVarBytes", memory.maxVarBytes);
  return {
    timeoutMs: timeoutMs === undefined || timeoutMs === 0 ? UNLIMITED : timeoutMs,
    memoryBytes: (maxPages === undefined || maxPages === 0 ? MAX_PAGES : maxPages) * PAGE,
    tableEntries: MAX_ENTRIES,
    outputBytes: UNLIMITED,
    logBytes: UNLIMITED,
    ...(varBytes === undefined ? {} : { varBytes }),
    // Another thread may take its time to compile.
    ...(options.runInWorker === true ? { functionBytes: MAX_FUNCTION_BYTES, functionComplexity: UNLIMITED } : {}),
  };
}

function readNumber(option: string, value: unknown): number | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= 0) return value;
  throw invalidOption(option, typeof value === "number" ? String(value) : typeof value, "a number, not negative");
}

/** What the plugin is granted; nothing without options for it. */
export function grantsOf(options: ExtismPluginOptions, manifest: Settings): Pick<PluginOptions, "permissions" | "http" | "wasi"> {
  const hosts = readAllowedHosts(options.allowedHosts ?? manifest.allowedHosts);
  const allowsHttp = hosts.entries.length > 0 || hosts.globs.length > 0;
  const paths = options.useWasi === true ? pathsOf(options.allowedPaths, manifest) : [];
  return {
    ...(allowsHttp || paths.length > 0 ? { permissions: { ...(allowsHttp ? { hosts: hosts.entries } : {}), ...asRecord(paths) } } : {}),
    ...(allowsHttp ? { http: httpOf(options, manifest, hosts) } : {}),
    ...((options.enableWasiOutput ?? CAPABILITIES.extismStdoutEnvVarSet) ? { wasi: WASI_OUTPUT } : {}),
  };
}

const WASI_OUTPUT: NonNullable<PluginOptions["wasi"]> = {
  stdout: (bytes) => void process.stdout.write(bytes),
  stderr: (bytes) => void process.stderr.write(bytes),
  outputBytes: Number.MAX_SAFE_INTEGER,
};

function httpOf(options: ExtismPluginOptions, manifest: Settings, hosts: AllowedHosts): NonNullable<PluginOptions["http"]> {
  const { fetch } = options;
  const maxResponseBytes = readNumber("memory.maxHttpResponseBytes", (options.memory ?? manifest.memory).maxHttpResponseBytes);
  const limits = {
    timeoutMs: HTTP_TIMEOUT_MS,
    maxRequestBytes: MAX_BUFFER_BYTES,
    ...(maxResponseBytes === undefined ? {} : { maxResponseBytes }),
  };
  const create = (names: readonly string[]): HttpService =>
    fetch === undefined ? createHttpService({ hosts: names, ...limits }) : createFetchService({ hosts: names, ...limits, fetch });
  return {
    responseHeaders: options.allowHttpResponseHeaders === true,
    ...limits,
    ...(fetch === undefined ? {} : { fetch }),
    ...(hosts.globs.length === 0 ? {} : { service: createGlobHttp(hosts, create) }),
  };
}

function pathsOf(paths: ExtismPluginOptions["allowedPaths"], manifest: Settings): readonly AllowedPath[] {
  if (paths === undefined || paths === null) return manifest.allowedPaths;
  return Object.entries(paths).map(([guestPath, path]) => {
    if (typeof path !== "string" || path === "") throw invalidOption(`allowedPaths.${guestPath}`, typeof path, "a path of this machine");
    const readOnly = path.startsWith("ro:");
    return { hostPath: resolve(readOnly ? path.slice("ro:".length) : path), guestPath, readOnly };
  });
}

/** By path of this machine; one that is granted twice gets a second spelling, since keys cannot repeat. */
function asRecord(paths: readonly AllowedPath[]): { paths?: Record<string, PathGrant> } {
  if (paths.length === 0) return {};
  const record: Record<string, PathGrant> = Object.create(null);
  for (const { hostPath, guestPath, readOnly } of paths) {
    let key = hostPath;
    while (Object.hasOwn(record, key)) key += "/.";
    record[key] = { guest: guestPath, access: readOnly ? "read-only" : "read-write", maxBytes: Number.MAX_SAFE_INTEGER };
  }
  return { paths: record };
}
