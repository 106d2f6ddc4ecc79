// Options of loadProvider: what a user gives, checked and completed.

import { printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import type { HttpSettings, PluginOptions } from "../host/options.ts";
import { isRecord } from "./shapes.ts";

/** How the HTTP of a provider is made; where it may go is up to `permissions.hosts`. */
export interface ProviderHttpSettings extends Omit<HttpSettings, "responseHeaders" | "service"> {
  /** Bytes of a response's body; as JSON they take 3.6 times as many in the plugin's memory. @default 8 MiB */
  readonly maxResponseBytes?: number;
  /** Bytes of an answer in pieces to a request that is forwarded; nothing of it is kept here. @default 1 GiB */
  readonly maxStreamBytes?: number;
  /** Milliseconds until the response is complete, or until the head of one that streams is there. @default 120,000 */
  readonly timeoutMs?: number;
  /** Milliseconds between two pieces of a response that streams. @default 60,000 */
  readonly idleTimeoutMs?: number;
}

/** How lines of a stream are handed to parsers of generation 3. */
export type Feeding = "auto" | "lines" | "chunks";

type Common = Omit<PluginOptions, "abi" | "config" | "http" | "stateless" | "pool" | "services">;

/** Options of {@link loadProvider}; nothing is granted that is not named here. */
export interface ProviderOptions extends Common {
  /**
   * The provider's configuration. The plugin gets of it what its schema declares. Two keys are for the host: `base_url`,
   * whose host the provider asks for, and `allowed_hosts`, which grants hosts where `permissions.hosts` does not say.
   */
  readonly config?: Readonly<Record<string, unknown>>;
  /** The key for `api_key`, or a function that gives it before each request, in the time of that. @default the configuration's */
  readonly apiKey?: string | (() => string | undefined | PromiseLike<string | undefined>);
  /** What the plugin may read as its environment. That of the process is never read. @default empty */
  readonly environment?: Readonly<Record<string, string>>;
  readonly http?: ProviderHttpSettings;
  /** Milliseconds for one request, all that it takes. @default 120,000 */
  readonly requestTimeoutMs?: number;
  /** Milliseconds for one stream from its request to its end. @default 600,000 */
  readonly streamTimeoutMs?: number;
  /**
   * Instances for calls at a time, besides the one that parsers of generation 3 live in; in generation 2 a request is one call.
   * With 1 everything, parsers too, shares one instance, for providers that keep something between calls. @default 8
   */
  readonly maxInstances?: number;
  /** Bytes of one line of a stream. @default 1 MiB */
  readonly maxLineBytes?: number;
  /**
   * Whether a parser of generation 3 gets each line by itself, or all complete lines that came together. `auto` begins with
   * lines, and goes over to chunks once a rehearsal has shown that the plugin makes the same of both. @default "auto"
   */
  readonly feeding?: Feeding;
}

/** The provider's own options with every default filled in. */
export interface ResolvedProviderOptions {
  readonly config: Readonly<Record<string, unknown>>;
  readonly apiKey: ProviderOptions["apiKey"];
  readonly http: Omit<ProviderHttpSettings, "maxStreamBytes">;
  readonly maxStreamBytes: number;
  readonly requestTimeoutMs: number;
  readonly streamTimeoutMs: number;
  readonly maxInstances: number;
  readonly maxLineBytes: number;
  readonly feeding: Feeding;
  /** Kept out of errors, whatever else the plugin's options do with them. */
  readonly secrets: readonly string[];
}

const FEEDINGS: readonly Feeding[] = ["auto", "lines", "chunks"];

/**
 * Splits options into the provider's own and those of the plugin.
 *
 * @throws MortiseError MORTISE_INVALID_OPTION for the provider's own; those of the plugin are checked when it is loaded
 */
export function resolveProviderOptions(options: ProviderOptions): { readonly own: ResolvedProviderOptions; readonly plugin: PluginOptions } {
  if (typeof options !== "object" || options === null) throw invalidOption("options", options === null ? "null" : typeof options, "an object");
  const {
    config = {},
    apiKey,
    environment = {},
    http = {},
    requestTimeoutMs,
    streamTimeoutMs,
    maxInstances,
    maxLineBytes,
    feeding = "auto",
  } = options;
  const { config: _config, apiKey: _key, environment: _environment, http: _http, ...rest } = options;
  const { requestTimeoutMs: _request, streamTimeoutMs: _stream, maxInstances: _instances, maxLineBytes: _line, feeding: _feeding, ...plugin } = rest;
  if (!isRecord(config)) throw invalidOption("config", typeof config, "an object");
  if (!isRecord(http)) throw invalidOption("http", typeof http, "an object");
  if (apiKey !== undefined && typeof apiKey !== "string" && typeof apiKey !== "function")
    throw invalidOption("apiKey", typeof apiKey, "text or a function");
  if (!FEEDINGS.includes(feeding)) throw invalidOption("feeding", printable(feeding), `one of ${FEEDINGS.join(", ")}`);
  const { maxStreamBytes, ...httpOptions } = http as ProviderHttpSettings;
  for (const name of ["abi", "stateless", "pool", "services"])
    if (name in plugin) throw invalidOption(name, "set", "absent: the plugin's generation decides");
  return {
    own: {
      config,
      apiKey,
      http: { maxResponseBytes: 8 << 20, timeoutMs: 120_000, idleTimeoutMs: 60_000, ...httpOptions },
      maxStreamBytes: readWhole("http.maxStreamBytes", maxStreamBytes, 2 ** 30),
      requestTimeoutMs: readMs("requestTimeoutMs", requestTimeoutMs, 120_000),
      streamTimeoutMs: readMs("streamTimeoutMs", streamTimeoutMs, 600_000),
      maxInstances: readWhole("maxInstances", maxInstances, 8),
      maxLineBytes: readWhole("maxLineBytes", maxLineBytes, 1 << 20),
      feeding,
      secrets: Array.isArray(plugin.secrets) ? plugin.secrets.filter((secret) => typeof secret === "string") : [],
    },
    plugin: { ...plugin, config: environment },
  };
}

/** Milliseconds, more than 0. @throws MortiseError MORTISE_INVALID_OPTION */
export function readMs(name: string, value: number | undefined, standard: number): number {
  if (value === undefined) return standard;
  if (!(typeof value === "number" && value > 0)) throw invalidOption(name, String(value), "more than 0 milliseconds");
  return value;
}

function readWhole(name: string, value: number | undefined, standard: number): number {
  if (value === undefined) return standard;
  if (!(Number.isSafeInteger(value) && value >= 1)) throw invalidOption(name, String(value), "a whole number, 1 or more");
  return value;
}
