// Loads a provider: finds out its generation, asks it what it is, and gives it its configuration.

import { LOG_LEVELS } from "../abi/guest.ts";
import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { type Limits, resolveLimits } from "../api/limits.ts";
import type { PluginOptions } from "../host/options.ts";
import { nativePath } from "../loader/load-native.ts";
import { assemblePlugin } from "../loader/load-plugin.ts";
import type { ManifestSource, ResolvedManifest } from "../manifest/manifest.ts";
import { readManifest } from "../manifest/read-manifest.ts";
import { createFetchService } from "../services/http/fetch-service.ts";
import type { GuardedHttp } from "../services/http/guarded-http.ts";
import { createHttpService } from "../services/http/http-service.ts";
import { readModule } from "../wasm/module-reader.ts";
import { pruneConfig } from "./config-pruning.ts";
import { classify } from "./classify.ts";
import { generation2 } from "./generation-2.ts";
import { generation3 } from "./generation-3.ts";
import { PARSER, type ProviderExports, readGeneration } from "./generation.ts";
import { askedHosts, grantedHosts } from "./granted-hosts.ts";
import { providerFunctions } from "./host-functions.ts";
import { loadNativeProvider } from "./native-guests.ts";
import { type ProviderOptions, type ResolvedProviderOptions, resolveProviderOptions } from "./options.ts";
import { PASS_FUNCTION, PassHeads } from "./pass-heads.ts";
import { readPassSupport } from "./pass-support.ts";
import { isNotImplemented } from "./provider-errors.ts";
import { ProviderGuest } from "./provider-guest.ts";
import { Provider } from "./provider.ts";
import { Rehearsals } from "./rehearsal.ts";
import { toJson } from "./request-json.ts";
import { isRecord, parseJson } from "./shapes.ts";

/** The input of functions that take none. */
const NO_INPUT = "null";
/** Characters of a URL or the name of a variable. */
const MAX_TEXT_CHARS = 8192;
/** Memory of an instance of generation 3, and the most that it gives. */
const MEMORY_BYTES = 256 << 20;
/** An instance among several that has grown to this, with a large request, is replaced: memory never shrinks. */
const RECYCLE_BYTES = 32 << 20;
/** Keys of the configuration that are for the host as well, and that no plugin needs to declare. */
const HOST_KEYS: ReadonlySet<string> = new Set(["allowed_hosts", "base_url"]);

/**
 * Loads a provider plugin of QueryMT, of generation 2 or 3; or a native plugin with the functions of generation 2, if
 * `options.native` allows it.
 *
 * @param source path, URL, bytes or manifest; docs/manifest.md has every form
 * @throws MortiseError MORTISE_PROVIDER_REFUSED if it is no provider or too old, MORTISE_PROVIDER_ERROR if it does not accept
 *   its configuration, or as `loadPlugin`
 */
export async function loadProvider(source: ManifestSource, options: ProviderOptions = {}): Promise<Provider> {
  const { own, plugin } = resolveProviderOptions(options);
  const limits = resolveLimits(options.limits);
  const path = nativePath(source, {});
  if (path !== undefined) return introduceNative(path, own, plugin, limits.timeoutMs);
  const manifest = await readManifest(source, { maxBytes: limits.moduleBytes, signal: options.signal });
  const name = options.name ?? manifest.name;
  const exports = readGeneration(name, exportedFunctions(manifest, name));
  const hosts = grantedHosts(options.permissions?.hosts, own.config["allowed_hosts"], manifest);
  const http = createHttp(hosts, own);
  const standard = exports.generation === 3 ? limitsFor3(manifest) : {};
  const guests = new Guests(
    manifest,
    { ...plugin, name, limits: { ...standard, ...options.limits } },
    exports,
    own,
    http,
    limits.logBytes,
    limits.timeoutMs,
  );
  try {
    return await introduce({ name, exports, own, hosts, http, guests, plugin, limitMs: limits.timeoutMs });
  } catch (error) {
    await guests.close();
    http.close();
    throw error;
  }
}

function exportedFunctions({ modules }: ResolvedManifest, plugin: string): ReadonlySet<string> {
  const main = modules.find(({ name }) => name === "main");
  if (main === undefined) return new Set();
  try {
    const { exports } = readModule(main.bytes, `plugin "${plugin}"`);
    return new Set(exports.filter(({ kind }) => kind === "function").map(({ name }) => name));
  } catch (error) {
    throw isMortiseError(error) ? new MortiseError(error.code, { ...error.details, plugin }, error.cause) : error;
  }
}

/**
 * Room for bodies of requests, which cross as JSON: the plugin holds a text some 13 times over while it builds a request of it, and
 * bytes of an image, which are numbers there, 25 times. What a manifest says comes first.
 */
function limitsFor3({ memory }: ResolvedManifest): Limits {
  return { ...(memory.maxPages === undefined && { memoryBytes: MEMORY_BYTES }), outputBytes: MEMORY_BYTES };
}

function createHttp(hosts: readonly string[], { http }: ResolvedProviderOptions): GuardedHttp {
  const { fetch, ca, ...rest } = http;
  return fetch === undefined
    ? createHttpService({ ...rest, hosts, ...(ca === undefined ? {} : { ca }) })
    : createFetchService({ ...rest, hosts, fetch });
}

/** The plugins of one provider: the one that serves it, and others of the same module for what would disturb it. */
class Guests {
  readonly #manifest: ResolvedManifest;
  readonly #options: PluginOptions;
  /** There is one instance at a time, for everything. */
  readonly #isOne: boolean;
  readonly #limitMs: number;
  readonly #made = new Set<ProviderGuest>();
  #main: Promise<ProviderGuest> | undefined;
  #parsers: Promise<ProviderGuest> | undefined;
  #aside: Promise<ProviderGuest> | undefined;
  #closed = false;

  constructor(
    manifest: ResolvedManifest,
    plugin: PluginOptions,
    { generation }: ProviderExports,
    { maxInstances, secrets }: ResolvedProviderOptions,
    http: GuardedHttp,
    logBytes: number,
    limitMs: number,
  ) {
    const { hostFunctions = {}, logger } = plugin;
    const functions = { ...hostFunctions["extism:host/user"], ...providerFunctions({ http, logger, logBytes, secrets, now: Date.now }) };
    this.#isOne = maxInstances === 1;
    this.#manifest = manifest;
    this.#options = {
      ...plugin,
      abi: "querymt",
      hostFunctions: { ...hostFunctions, "extism:host/user": functions },
      // Closed with the provider, not with one of its plugins.
      http: { service: { request: (request, call) => http.request(request, call), close: () => {} } },
      ...(!this.#isOne && { stateless: true, pool: { maxInstances, ...(generation === 3 && { recycleBytes: RECYCLE_BYTES }) } }),
    };
    this.#limitMs = limitMs;
  }

  /** The plugin that serves the provider. */
  main(): Promise<ProviderGuest> {
    this.#main ??= this.#make({}, this.#isOne);
    return this.#main;
  }

  /** The one instance that parsers of streams live in, where no other call can trap or meet a limit. Made when it is needed. */
  parsers(setUp: SetUp): Promise<ProviderGuest> {
    if (this.#isOne) return this.main();
    this.#parsers ??= this.#prepared(this.#make(ONE, true), setUp).catch((error: unknown) => {
      this.#parsers = undefined;
      throw error;
    });
    return this.#parsers;
  }

  /** One for calls that keep an instance busy for long, made once. */
  aside(setUp: SetUp, maxInstances: number): Promise<ProviderGuest> {
    this.#aside ??= this.#prepared(this.#make({ stateless: true, pool: { maxInstances } }, false), setUp).catch((error: unknown) => {
      // What stood in the way may be gone the next time.
      this.#aside = undefined;
      throw error;
    });
    return this.#aside;
  }

  /** One to try things on. */
  stage(setUp: SetUp): Promise<ProviderGuest> {
    return this.#prepared(this.#make(ONE, false), setUp);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(Array.from(this.#made, (guest) => guest.close(true)));
  }

  async #prepared(making: Promise<ProviderGuest>, setUp: SetUp): Promise<ProviderGuest> {
    const guest = await making;
    try {
      await setUp(guest);
      return guest;
    } catch (error) {
      this.#made.delete(guest);
      await guest.close(true);
      throw error;
    }
  }

  async #make(rest: PluginOptions, oneByOne: boolean): Promise<ProviderGuest> {
    const guest = new ProviderGuest(await assemblePlugin(this.#manifest, { ...this.#options, ...rest }), oneByOne, this.#limitMs);
    this.#made.add(guest);
    if (this.#closed) await guest.close(true);
    return guest;
  }
}

/** Loads a provider in native code, which has no use for requests that the host makes. */
async function introduceNative(path: string, own: ResolvedProviderOptions, plugin: PluginOptions, limitMs: number): Promise<Provider> {
  const { name, exports, guest } = await loadNativeProvider(path, plugin, limitMs, own.maxInstances);
  const one = (): Promise<ProviderGuest> => Promise.resolve(guest);
  const guests: GuestSource = { main: one, parsers: one, aside: one, stage: one, close: () => guest.close(true) };
  const http = createHttp([], own);
  try {
    return await introduce({ name, exports, own, hosts: [], http, guests, plugin, limitMs });
  } catch (error) {
    await guests.close();
    http.close();
    throw error;
  }
}

/** Where the plugins of a provider come from. */
interface GuestSource extends Pick<Guests, "main" | "parsers" | "aside" | "stage" | "close"> {}

/** Gives a plugin its configuration. */
type SetUp = (guest: ProviderGuest) => Promise<void>;

/** One instance, which keeps what it was told. */
const ONE = { stateless: false, pool: {} } as const;

/** What a provider is introduced with. */
interface Introduction {
  readonly name: string;
  readonly exports: ProviderExports;
  readonly own: ResolvedProviderOptions;
  readonly hosts: readonly string[];
  readonly http: GuardedHttp;
  readonly guests: GuestSource;
  readonly plugin: PluginOptions;
  /** Milliseconds of one call. */
  readonly limitMs: number;
}

/** Asks the plugin what it is, and configures it. */
async function introduce({ name, exports, own, hosts, http, guests, plugin, limitMs }: Introduction): Promise<Provider> {
  const guest = await guests.main();
  const reportedName = printable((await guest.call("name", NO_INPUT)).text());
  const ownUrl = await optionalText(guest, "base_url");
  const logging = logLevelOf(plugin);
  await guest.call("init_logging", logging);
  const apiKeyName = await optionalText(guest, "api_key_name");
  const configSchema = await readSchema(guest);
  const { config, dropped } = pruneConfig(own.config, configSchema);
  const cfg = toJson("config", config);
  await guest.call("from_config", cfg);
  const again = [
    ["init_logging", logging],
    ["from_config", cfg],
  ] as const;
  guest.setUpWith(again);
  const setUp = async (other: ProviderGuest): Promise<void> => {
    await other.call("init_logging", "0");
    await other.call("from_config", cfg);
  };
  const setUpParsers = async (other: ProviderGuest): Promise<void> => {
    for (const [fn, input] of again) await other.call(fn, input);
    other.setUpWith(again);
  };
  const rehearsals = exports.generation === 3 ? new Rehearsals(own.feeding, () => guests.stage(setUp)) : undefined;
  const streamLimits = { maxBytes: own.maxStreamBytes, option: "http.maxStreamBytes" };
  const parts = {
    guest,
    http,
    maxLineBytes: own.maxLineBytes,
    now: Date.now,
    parsers: () => guests.parsers(setUpParsers),
    aside: () => guests.aside(setUp, own.maxInstances),
  };
  const withKey = typeof own.apiKey === "string" ? toJson("config", { ...config, api_key: own.apiKey }) : cfg;
  const stated = own.config["base_url"];
  const baseUrl = typeof stated === "string" ? stated : ownUrl;
  return new Provider({
    report: {
      generation: exports.generation,
      name,
      reportedName,
      baseUrl,
      apiKeyName,
      configSchema,
      exports: { found: exports.found, missing: exports.missing },
      hosts: { granted: hosts, notGranted: askedHosts(hosts, own.config["allowed_hosts"], baseUrl) },
      passThrough: await readPassSupport(guest, withKey, limitMs),
    },
    streaming: await readStreaming(guest, exports, cfg),
    options: own,
    config,
    droppedKeys: dropped.filter((key) => !HOST_KEYS.has(key)),
    dialect: rehearsals === undefined ? generation2(guest) : generation3({ ...parts, rehearsals }),
    rehearsals,
    pass: {
      heads: new PassHeads(guest, http),
      parts: { plugin: name, http, stream: streamLimits },
      limitMs,
      classify: (operation, response) => classify(parts, operation, response, PASS_FUNCTION),
    },
    endRequests: (error) => http.closeWith(() => error),
    release: async () => {
      await guests.close();
      http.close();
    },
  });
}

/** The text that a function gives; undefined if there is no such function, or it gives nothing or fails. */
async function optionalText(guest: ProviderGuest, fn: string): Promise<string | undefined> {
  if (!guest.has(fn)) return undefined;
  try {
    const text = (await guest.call(fn, NO_INPUT)).text();
    return text === "" || text.length > MAX_TEXT_CHARS ? undefined : text;
  } catch {
    return undefined;
  }
}

/** Levels of QueryMT: 0 is off, 1 error, 5 trace. */
function logLevelOf({ logger, logLevel = "info" }: PluginOptions): string {
  return String(logger === undefined ? 0 : LOG_LEVELS.length - LOG_LEVELS.indexOf(logLevel));
}

async function readSchema(guest: ProviderGuest): Promise<Readonly<Record<string, unknown>>> {
  const schema = parseJson((await guest.call("config_schema", NO_INPUT)).text());
  if (!isRecord(schema)) throw guest.shape("config_schema").fault("the schema of the configuration", "a JSON object");
  return schema;
}

/** That all parser functions are there is no proof: whoever has them by a macro may still not stream. So the plugin is asked. */
async function readStreaming(guest: ProviderGuest, { generation }: ProviderExports, cfg: string): Promise<{ supported: boolean; because: string }> {
  const needed = generation === 3 ? PARSER : ["chat_stream"];
  const lacking = needed.filter((fn) => !guest.has(fn));
  if (lacking.length > 0) return { supported: false, because: `the plugin lacks ${lacking.join(", ")}` };
  if (!guest.has("supports_streaming")) {
    if (generation === 2) return { supported: false, because: "the plugin has no supports_streaming" };
    return { supported: true, because: "the plugin has a parser, and no supports_streaming that would say otherwise" };
  }
  try {
    const supported = (await guest.json("supports_streaming", cfg)) === true;
    return { supported, because: `supports_streaming said ${supported ? "yes" : "no"}` };
  } catch (error) {
    const why = isNotImplemented(error) ? "is not implemented" : `failed: ${printable((error as Error).message)}`;
    return { supported: generation === 3, because: `supports_streaming ${why}` };
  }
}
