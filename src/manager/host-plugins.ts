// The plugins of a host: loaded into its hooks, replaced while it runs, and taken out again.

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import { invalidOption } from "../api/limits.ts";
import { didYouMean } from "../api/near-names.ts";
import { isRequestContext } from "../api/request.ts";
import type { Logger } from "../abi/guest.ts";
import type { HookDefinitions } from "../hooks/definition.ts";
import type { Roster } from "../hooks/roster.ts";
import type { PluginOptions } from "../host/options.ts";
import type { CloseOptions, Plugin } from "../host/plugin.ts";
import { loadPlugin } from "../loader/load-plugin.ts";
import type { ManifestSource } from "../manifest/manifest.ts";
import { checkDependencies, refuseNeeded } from "./dependencies.ts";
import { type HostPlugin, type PluginDescription, described, listed } from "./describe.ts";
import { Governor } from "./governor.ts";
import type { ResolvedHostLimits } from "./host-limits.ts";
import { type LoadOptions, type ReloadOptions, fileOf, furtherOptions, hostedOptions, likelyName } from "./load-options.ts";
import { Managed, type Served } from "./managed.ts";
import { type Order, type Workshop, messageOf, prepareVersion } from "./prepare.ts";
import { type RegisteredOptions, type RegisteredPlugin, loadRegistered } from "./plugin-calls/load-registered.ts";
import { type Departure, Departures, type UnloadOptions, checkDrain } from "./departures.ts";
import type { Version } from "./version.ts";
import { type FileWatch, watchFile } from "./watch.ts";

export type { LoadOptions, ReloadOptions, UnloadOptions };

/** What a host's plugins have in common. */
export interface HostPluginsOptions {
  readonly definitions: HookDefinitions;
  readonly defaults: Omit<PluginOptions, "name" | "signal" | "clock">;
  readonly limits: ResolvedHostLimits;
  readonly clock: () => number;
  /** Warned of versions that could not be loaded by a watch. */
  readonly logger: Logger | undefined;
  /** @default loadPlugin */
  readonly load?: (source: ManifestSource, options: PluginOptions) => Promise<Plugin>;
}

/** Options for a further version, from those of the version that serves. */
type OptionsOf = (before: LoadOptions) => LoadOptions;

/** What ends a watch. */
export type PluginWatch = Pick<FileWatch, "close">;

/** The plugins of a host; `createHost` makes them. */
export class HostPlugins {
  readonly #roster: Roster;
  readonly #options: HostPluginsOptions;
  readonly #workshop: Workshop;
  readonly #plugins = new Map<string, Managed>();
  /** Versions that serve no new run, and wait for those that still use them. */
  readonly #departures: Departures;
  /** New plugins that are being loaded. */
  #loading = 0;
  #watchesAll = false;
  /** Plugins of a host that is being closed: calls under way may still come to use them. */
  #closing: ReadonlyMap<string, Managed> | undefined;
  /** True once the host is closed. */
  closed = false;

  constructor(roster: Roster, options: HostPluginsOptions) {
    this.#roster = roster;
    this.#options = options;
    this.#departures = new Departures(roster);
    const { definitions, defaults, clock, limits, load = loadPlugin } = options;
    const governor = new Governor(limits);
    this.#workshop = { definitions, roster, governor, defaults, cpuShare: limits.cpuShare, clock, load };
  }

  // ---- coming

  /** Loads a plugin for another one that registers it, and alone knows it. @throws MortiseError as {@link load} */
  loadRegistered(source: ManifestSource, options: RegisteredOptions): Promise<RegisteredPlugin> {
    return loadRegistered(this.#workshop, source, options);
  }

  /**
   * Loads a plugin into the host's hooks. If anything is wrong with it, nothing has changed.
   *
   * @param source path, URL, bytes or manifest
   * @throws MortiseError why it cannot be loaded; MORTISE_PLUGIN_EXISTS, MORTISE_HOOK_MISSING, MORTISE_FILTER_INVALID,
   *   MORTISE_PROBE_FAILED, MORTISE_DEPENDENCY_MISSING, MORTISE_HOST_LIMIT, MORTISE_HOST_CLOSED
   */
  async load(source: ManifestSource, options: LoadOptions = {}): Promise<Plugin> {
    this.#refuseClosed("load a plugin");
    const hosted = hostedOptions(options);
    const { own, dependsOn } = hosted;
    const before = this.#plugins.get(own.name ?? likelyName(source));
    if (options.replace === true && before !== undefined) return this.#replace(before, source, options);
    // Whoever names it is told before the work is done, and not only after it.
    if (own.name !== undefined) this.#refuseTaken(own.name);
    this.#refuseFull(own.name ?? likelyName(source));
    this.#loading++;
    try {
      const version = await prepareVersion(this.#workshop, {
        source,
        name: own.name ?? likelyName(source),
        version: own.version ?? "1",
        reason: "loaded by the host",
        options: hosted,
        inherits: [],
        check: ({ name }) => {
          this.#refuseClosed("load a plugin");
          this.#refuseTaken(name);
          checkDependencies("load", { name, dependsOn }, this.#plugins);
        },
        commit: (ready) => {
          const managed = new Managed(ready.name);
          this.#plugins.set(ready.name, managed);
          managed.add(ready, { source, options });
          this.#serve(managed, [{ version: ready, percent: 100 }], "");
          if (options.watch === true || this.#watchesAll) this.#startWatch(managed);
        },
        onFailure: () => {},
      });
      return version.plugin;
    } finally {
      this.#loading--;
    }
  }

  async #replace(before: Managed, source: ManifestSource, options: LoadOptions): Promise<Plugin> {
    const plugin = await this.#further(before, source, () => options, "replaced", 0);
    if (options.watch === true && this.#plugins.get(before.name) === before) this.#startWatch(before);
    return plugin;
  }

  /**
   * Loads a plugin anew and lets it serve in the place of the version before: fetched, checked, instantiated and probed
   * before the switch, which is one moment. Runs under way end with the version before. If anything is wrong with the new
   * one, the one before goes on, and {@link describe} says why.
   *
   * @param source @default what the version that serves was loaded from
   * @throws MortiseError as {@link load}; MORTISE_UNKNOWN_PLUGIN, MORTISE_VERSION_EXISTS
   */
  reload(name: string, source?: ManifestSource, options: ReloadOptions = {}): Promise<Plugin> {
    return this.#reload(name, source, options, "reloaded");
  }

  async #reload(name: string, source: ManifestSource | undefined, options: ReloadOptions, reason: string): Promise<Plugin> {
    this.#refuseClosed("reload a plugin");
    const managed = this.#find(name, "reload");
    return this.#further(managed, source, (before) => furtherOptions(before, options), reason, this.#options.limits.versions);
  }

  /**
   * Loads a further version of a plugin side by side with those that serve. It serves nothing until {@link split} or
   * {@link switchTo} says so.
   *
   * @throws MortiseError as {@link reload}
   */
  async stage(name: string, source: ManifestSource, options: ReloadOptions = {}): Promise<Plugin> {
    this.#refuseClosed("load a plugin");
    const managed = this.#find(name, "load a version of");
    return this.#further(managed, source, (before) => furtherOptions(before, options), "staged", undefined);
  }

  /** Makes a further version when those that were asked for before are made. It serves if it is said how many of those before are kept. */
  #further(managed: Managed, source: ManifestSource | undefined, optionsOf: OptionsOf, reason: string, keep: number | undefined): Promise<Plugin> {
    const { name } = managed;
    const make = async (): Promise<Plugin> => {
      this.#check(managed);
      // What holds where nothing is said is what an order before this one has left.
      const { origin } = managed;
      const from = source ?? origin.source;
      const options = optionsOf(origin.options);
      const hosted = hostedOptions({ ...options, name });
      const label = hosted.own.version ?? managed.nextVersion();
      this.#refuseVersion(managed, label);
      const order: Order = {
        source: from,
        name,
        version: label,
        reason,
        options: hosted,
        inherits: [...(managed.main.seating?.seats.keys() ?? [])],
        check: () => {
          this.#check(managed);
          checkDependencies("load", { name, dependsOn: hosted.dependsOn }, this.#plugins);
        },
        commit: (ready) => {
          managed.add(ready, { source: from, options });
          managed.lastFailure = undefined;
          if (keep !== undefined) this.#serve(managed, [{ version: ready, percent: 100 }], `version ${label} took its place`, keep);
        },
        onFailure: (failed, error) => {
          const code = isMortiseError(error) ? error.code : "MORTISE_INTERNAL";
          managed.lastFailure = { version: label, code, message: messageOf(error), at: Date.now() };
          managed.remember(failed);
        },
      };
      return (await prepareVersion(this.#workshop, order)).plugin;
    };
    const made = managed.queue.then(make);
    managed.queue = made.catch(() => {}); // whoever asked for it is told
    return made;
  }

  /** Refuses what comes too late. */
  #check(managed: Managed): void {
    this.#refuseClosed("load a plugin");
    if (this.#plugins.get(managed.name) !== managed) throw this.#unknown(managed.name, "load a version of");
  }

  // ---- serving

  /**
   * Lets several versions share the requests, from the next run on. Which one serves a request depends on the request's
   * id, so that it is the same in all hooks.
   *
   * @param percents percent of the requests by version, together 100
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN, MORTISE_UNKNOWN_VERSION, MORTISE_INVALID_OPTION; MORTISE_DEPENDENCY_MISSING,
   *   MORTISE_DEPENDENCY_CYCLE for a version whose dependencies have gone since it was loaded
   */
  split(name: string, percents: Readonly<Record<string, number>>): void {
    this.#refuseClosed("switch a plugin");
    const managed = this.#find(name, "split");
    if (typeof percents !== "object" || percents === null) throw invalidOption("percents", printable(percents), "percent by version");
    const shares = Object.entries(percents).map(([label, percent]): Served => {
      if (!(typeof percent === "number" && percent >= 0 && percent <= 100))
        throw invalidOption(`percents.${label}`, printable(percent), "from 0 to 100");
      return { version: this.#version(managed, label, "split"), percent };
    });
    const sum = shares.reduce((total, { percent }) => total + percent, 0);
    if (Math.abs(sum - 100) > 1e-6) throw invalidOption("percents", `${sum} in all`, "100 in all");
    const serving = shares.filter(({ percent }) => percent > 0);
    this.#checkNeeds("switch", managed, serving);
    this.#serve(managed, serving, "other versions serve");
  }

  /** Lets one version serve everything, from the next run on. @throws MortiseError as {@link split} */
  switchTo(name: string, version: string): void {
    this.split(name, { [version]: 100 });
  }

  /**
   * Goes back to the version that served before the present one, from the next run on; the present one is unloaded.
   *
   * @returns the version that serves now
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN, MORTISE_NO_EARLIER_VERSION; MORTISE_DEPENDENCY_MISSING, MORTISE_DEPENDENCY_CYCLE
   */
  rollback(name: string): string {
    this.#refuseClosed("switch a plugin");
    const managed = this.#find(name, "roll back");
    const { earlier } = managed;
    if (earlier === undefined) throw new MortiseError("MORTISE_NO_EARLIER_VERSION", { plugin: name });
    const { back, leaving } = earlier;
    const shares = [{ version: back, percent: 100 }];
    this.#checkNeeds("roll back", managed, shares);
    managed.shares = shares;
    back.resting = false;
    this.#roster.serve(name, managed.rosterShares());
    this.#watchAnew(managed);
    for (const version of leaving) {
      managed.drop(version);
      void this.#depart(managed, version, { reason: `rolled back to version ${back.version}` });
    }
    return back.version;
  }

  /** Lets a plugin take part again. @throws MortiseError MORTISE_UNKNOWN_PLUGIN */
  enable(name: string): void {
    this.#able(name, "enable", true);
  }

  /**
   * Takes a plugin out of all hooks from the next run on, and lets no other plugin call it; it stays loaded.
   *
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN, MORTISE_PLUGIN_NEEDED
   */
  disable(name: string): void {
    this.#able(name, "disable", false);
  }

  #able(name: string, what: string, enabled: boolean): void {
    this.#refuseClosed(`${what} a plugin`);
    const managed = this.#find(name, what);
    if (!enabled) refuseNeeded(what, name, this.#plugins.values());
    managed.enabled = enabled;
    this.#roster.serve(name, managed.rosterShares());
  }

  /** Dependencies belong to a version: those of one that did not serve may have gone. */
  #checkNeeds(what: string, managed: Managed, shares: readonly Served[]): void {
    const dependsOn = managed.needsOf(shares.map(({ version }) => version));
    checkDependencies(what, { name: managed.name, dependsOn }, this.#plugins);
  }

  #serve(managed: Managed, shares: readonly Served[], reason: string, keep: number = this.#options.limits.versions): void {
    const before = managed.shares.map(({ version }) => version);
    const gone = managed.serve(shares, keep);
    this.#roster.serve(managed.name, managed.rosterShares());
    this.#watchAnew(managed);
    for (const version of gone) void this.#depart(managed, version, { reason });
    const serving = managed.shares.map(({ version }) => version);
    for (const version of serving) version.resting = false;
    for (const version of before)
      if (managed.versions.get(version.version) === version && !serving.includes(version)) void this.#rest(managed, version);
  }

  /** A version that is kept for a rollback keeps no instances, once no run uses it; calls of other plugins may still do. */
  async #rest(managed: Managed, version: Version): Promise<void> {
    if (version.seating !== undefined) await this.#roster.whenUnused(version.seating);
    if (managed.shares.some((share) => share.version === version)) return;
    version.resting = true;
    version.plugin.freeIdle();
  }

  // ---- asking

  /** The plugin that serves most requests of a name. */
  get(name: string): Plugin | undefined {
    return this.#plugins.get(name)?.main.plugin;
  }

  /** What other plugins call by a name: the version that serves the request that `context` is, if it is one. */
  callee(name: string, context: unknown): Version | undefined {
    const managed = this.#plugins.get(name) ?? this.#closing?.get(name);
    return managed?.enabled === true ? managed.chosen(isRequestContext(context) ? context.id : undefined) : undefined;
  }

  /** All plugins, in their order. */
  list(): HostPlugin[] {
    return Array.from(this.#plugins.values(), listed).toSorted((a, b) => a.order - b.order || (a.name < b.name ? -1 : 1));
  }

  /** Everything about a plugin: its versions with their states, what became of others, and what is depended on. @throws MortiseError MORTISE_UNKNOWN_PLUGIN */
  describe(name: string): PluginDescription {
    return described(this.#find(name, "describe"), this.#plugins.values());
  }

  // ---- watching

  /**
   * Reloads plugins when their files change: one of a name, or without a name all that come from files, those loaded
   * later included. A file that is broken changes nothing, and is tried again when it changes again; the host's `logger`
   * is told. Never keeps the process alive.
   *
   * @returns what ends it
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN; MORTISE_INVALID_OPTION for a plugin that does not come from a file
   */
  watch(name?: string): PluginWatch {
    this.#refuseClosed("watch a plugin");
    if (name !== undefined) {
      const managed = this.#find(name, "watch");
      if (fileOf(managed.origin.source) === undefined) throw invalidOption("watch", `"${printable(name)}"`, "a plugin that comes from a file");
      this.#startWatch(managed);
      return { close: () => stopWatch(managed) };
    }
    this.#watchesAll = true;
    for (const managed of this.#plugins.values()) this.#startWatch(managed);
    return {
      close: () => {
        this.#watchesAll = false;
        for (const managed of this.#plugins.values()) stopWatch(managed);
      },
    };
  }

  #startWatch(managed: Managed): void {
    managed.wantsWatch = true;
    this.#watchAnew(managed);
  }

  /** Watches the file of the version that serves, if it is to be watched. */
  #watchAnew(managed: Managed): void {
    if (!managed.wantsWatch) return;
    const { name, origin } = managed;
    const path = fileOf(origin.source);
    if (managed.watch?.path === path) return;
    managed.watch?.close();
    managed.watch =
      path === undefined
        ? undefined
        : watchFile({
            path,
            // A file that is a manifest has another digest, and is read once more.
            digest: managed.main.digest,
            onChange: async (digest) => {
              // Somebody was faster: once more would push the version before out, which a rollback would want.
              if (digest === managed.main.digest) return;
              try {
                await this.#reload(name, undefined, {}, "its file has changed");
              } catch (error) {
                this.#options.logger?.warn(`plugin "${printable(name)}" goes on as it was: ${messageOf(error)}`);
              }
            },
          });
  }

  // ---- going

  /**
   * Takes a plugin out of all hooks at once, and closes it when the runs that use it have ended: those that last longer
   * than `drainMs` are ended, and all of them at once if `abort` is set.
   *
   * @throws MortiseError MORTISE_UNKNOWN_PLUGIN, MORTISE_PLUGIN_NEEDED; MORTISE_UNKNOWN_VERSION for a version that is not
   *   there; MORTISE_INVALID_OPTION for one that serves
   */
  async unload(name: string, options: UnloadOptions = {}): Promise<void> {
    const managed = this.#find(name, "unload");
    checkDrain(options);
    if (options.version !== undefined) {
      const version = this.#version(managed, options.version, "unload");
      if (managed.shares.some((share) => share.version === version))
        throw invalidOption("version", `"${version.version}", which serves`, "one that does not serve");
      managed.drop(version);
      await this.#depart(managed, version, { ...options, reason: "unloaded" });
      return;
    }
    refuseNeeded("unload", name, this.#plugins.values());
    await this.#remove(managed, { ...options, reason: "unloaded" });
  }

  async #remove(managed: Managed, departure: Departure): Promise<void> {
    const versions = [...managed.versions.values()];
    this.#plugins.delete(managed.name);
    stopWatch(managed);
    this.#roster.serve(managed.name, []);
    await Promise.all(versions.map((version) => this.#depart(managed, version, departure)));
  }

  #depart(managed: Managed, version: Version, departure: Departure): Promise<void> {
    const gone = this.#departures.add(version, departure).finally(() => {
      this.#workshop.governor.release(version);
      managed.remember(version);
    });
    managed.remember(version);
    return gone;
  }

  /** Unloads all plugins, those first that depend on others; the host loads none any more. Closing twice is closing once. */
  async close(options: CloseOptions = {}): Promise<void> {
    this.closed = true;
    this.#closing ??= new Map(this.#plugins);
    const all = [...this.#plugins.values()];
    const removed = new Map<Managed, Promise<void>>();
    const remove = (managed: Managed): Promise<void> => {
      const known = removed.get(managed);
      if (known !== undefined) return known;
      const dependents = all.filter(({ dependsOn }) => dependsOn.includes(managed.name));
      const after = Promise.all(dependents.map(remove));
      const done = this.#remove(managed, { ...options, reason: "the host is closed", after });
      removed.set(managed, done);
      return done;
    };
    const gone = Promise.all(all.map(remove));
    if (options.abort === true) this.#departures.abort();
    await Promise.all([gone, this.#departures.all()]);
  }

  // ---- refusing

  #find(name: string, what: string): Managed {
    const managed = this.#plugins.get(name);
    if (managed === undefined) throw this.#unknown(name, what);
    return managed;
  }

  #unknown(name: string, what: string): MortiseError {
    return new MortiseError("MORTISE_UNKNOWN_PLUGIN", { what, plugin: name, hint: didYouMean(name, this.#plugins.keys()) });
  }

  #version({ name, versions }: Managed, version: string, what: string): Version {
    const found = versions.get(version);
    if (found === undefined)
      throw new MortiseError("MORTISE_UNKNOWN_VERSION", { what, plugin: name, version, hint: didYouMean(version, versions.keys()) });
    return found;
  }

  #refuseVersion({ name, versions }: Managed, version: string): void {
    if (versions.has(version)) throw new MortiseError("MORTISE_VERSION_EXISTS", { plugin: name, version });
  }

  #refuseClosed(what: string): void {
    if (this.closed) throw new MortiseError("MORTISE_HOST_CLOSED", { what });
  }

  #refuseTaken(name: string): void {
    if (this.#plugins.has(name)) throw new MortiseError("MORTISE_PLUGIN_EXISTS", { plugin: name });
  }

  #refuseFull(plugin: string): void {
    const count = this.#plugins.size + this.#loading;
    const { plugins: limit } = this.#options.limits;
    if (count >= limit) throw new MortiseError("MORTISE_HOST_LIMIT", { what: "load", plugin, count, unit: "plugins", option: "plugins", limit });
  }
}

function stopWatch(managed: Managed): void {
  managed.wantsWatch = false;
  managed.watch?.close();
  managed.watch = undefined;
}
