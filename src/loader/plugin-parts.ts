// What every plugin is made of, whichever way it is loaded: HTTP, services, configuration.

import type { GuestHttp, PluginState } from "../abi/guest.ts";
import { logLines } from "../api/channels.ts";
import { LOG_LEVELS, type LogLevel, type Logger } from "../api/guest-log.ts";
import type { HttpService } from "../api/http.ts";
import type { ServiceTable } from "../api/services.ts";
import type { PluginOptions, ResolvedOptions } from "../host/options.ts";
import { createFetchService } from "../services/http/fetch-service.ts";
import { type HostRule, readHostRules } from "../services/http/host-rules.ts";
import { createHttpService } from "../services/http/http-service.ts";
import { type Redaction, redactionOf } from "../services/redaction.ts";
import { readHttpRequest } from "../services/http/request-json.ts";

/** What a plugin was found to be, before any of it runs. */
interface Parts {
  readonly name: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly resolved: Pick<ResolvedOptions, "limits" | "logger" | "logLevel" | "hostFunctions" | "clock">;
  readonly http: GuestHttp | undefined;
  readonly wasi: PluginState["wasi"];
}

/** What all instances of a plugin share. Its logger is read for each line: a copy of the state would keep an old one. */
export function pluginState({ name, config, resolved, http, wasi }: Parts, { secrets = [] }: PluginOptions): PluginState {
  const redaction = redactionOf(secrets);
  const loggerNow = publishedLogger(name, resolved.logger, redaction);
  return {
    name,
    limits: resolved.limits,
    config: configTexts(config),
    configJson: JSON.stringify(config),
    variables: new Map(),
    variableBytes: 0,
    get logger() {
      return loggerNow();
    },
    redact: redaction?.error,
    redactText: redaction?.text,
    logLevel: resolved.logLevel,
    hostFunctions: resolved.hostFunctions,
    provided: {},
    http,
    wasi,
    clock: resolved.clock,
    droppedLogs: 0,
  };
}

/**
 * The plugin's logger as it is now: it prints no secrets, and publishes each line as long as somebody subscribes. Undefined
 * where nobody would see a line.
 */
function publishedLogger(plugin: string, logger: Logger | undefined, redaction: Redaction | undefined): () => Logger | undefined {
  const safe = logger && redaction ? loggerOf((level, message) => logger[level](redaction.text(message))) : logger;
  const published = loggerOf((level, message) => {
    if (logLines.hasSubscribers) logLines.publish({ plugin, level, message: redaction?.text(message) ?? message });
    return safe?.[level](message);
  });
  return () => (logLines.hasSubscribers ? published : safe);
}

/** What a logger returns is handed on: it may be a promise that fails. */
function loggerOf(write: (level: LogLevel, message: string) => void): Logger {
  const at =
    (level: LogLevel) =>
    (message: string): void =>
      write(level, message);
  return { trace: at("trace"), debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
}

/** The services of a plugin; undefined if its host offers none. */
export function serviceTable(state: PluginState, { services, permissions = {}, secrets = [], quotas = {} }: PluginOptions): ServiceTable | undefined {
  return services?.forPlugin({
    plugin: state.name,
    permissions,
    config: state.config,
    // Read for each line: it is there while somebody listens.
    get logger() {
      return state.logger;
    },
    logLevel: LOG_LEVELS[state.logLevel] ?? "info",
    logBytes: state.limits.logBytes,
    http: state.http,
    secrets,
    quotas,
    onDroppedLog: () => state.droppedLogs++,
  });
}

/** Configuration as text: what is no text is given as JSON. */
function configTexts(config: Readonly<Record<string, unknown>>): Map<string, string> {
  return new Map(Object.entries(config).map(([key, value]) => [key, typeof value === "string" ? value : JSON.stringify(value)]));
}

/** HTTP for a plugin that was granted hosts; options are checked in any case. `asked` is what a manifest says. */
export function createHttp(
  asked: { readonly allowedHosts: readonly string[]; readonly maxResponseBytes: number | undefined; check?(rules: readonly HostRule[]): void },
  { permissions, http }: PluginOptions,
): { readonly guest: GuestHttp; readonly close: () => void } | undefined {
  const hosts = permissions?.hosts ?? asked.allowedHosts;
  if (http?.service !== undefined) return httpOf(http.service, http.responseHeaders);
  if (hosts.length === 0 && http === undefined) return undefined;
  const rules = readHostRules(hosts, permissions?.hosts === undefined ? "allowed_hosts" : "permissions.hosts");
  if (permissions?.hosts === undefined) asked.check?.(rules);
  const { responseHeaders = true, fetch, ca, ...rest } = http ?? {};
  const limits = { maxResponseBytes: asked.maxResponseBytes, ...rest };
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
