// One plugin of a host: its versions, and which of them serve.

import { type Share, chooseShare } from "../hooks/roster.ts";
import type { ErrorCode } from "../api/errors.ts";
import type { ManifestSource } from "../manifest/manifest.ts";
import type { LoadOptions } from "./load-options.ts";
import type { StateChange } from "./state.ts";
import type { Version } from "./version.ts";
import type { FileWatch } from "./watch.ts";

/** A version and the part of the requests that it serves. */
export interface Served {
  readonly version: Version;
  readonly percent: number;
}

/** Why the last version that could not be used could not. */
export interface VersionFailure {
  readonly version: string;
  readonly code: ErrorCode;
  readonly message: string;
  /** Milliseconds since 1970. */
  readonly at: number;
}

/** A version of which nothing but this is left. */
export interface PastVersion {
  readonly version: string;
  readonly digest: string;
  readonly history: readonly StateChange[];
}

/** Past versions that are remembered of a plugin. */
const MAX_PAST = 10;

/** What a version was loaded from, and with. */
export interface Origin {
  readonly source: ManifestSource;
  readonly options: LoadOptions;
}

/** One plugin of a host. */
export class Managed {
  readonly name: string;
  enabled = true;
  /** All versions that are loaded and not on their way out. */
  readonly versions = new Map<string, Version>();
  /** Those that serve, and those that served and are still loaded: in the order in which they last came to serve. */
  served: Version[] = [];
  /** Together 100 %, by the names of the versions. */
  shares: readonly Served[] = [];
  past: PastVersion[] = [];
  lastFailure: VersionFailure | undefined;
  /** Whether it is to be watched, and the file that is: a version may come from none. */
  wantsWatch = false;
  watch: FileWatch | undefined;
  /** Loads of further versions, one after the other. */
  queue: Promise<unknown> = Promise.resolve();
  readonly #origins = new WeakMap<Version, Origin>();
  #count = 1;

  constructor(name: string) {
    this.name = name;
  }

  /** Takes a version that is ready; it serves nothing by that. */
  add(version: Version, origin: Origin): void {
    this.versions.set(version.version, version);
    this.#origins.set(version, origin);
  }

  /** Where the version with the greatest share came from. */
  get origin(): Origin {
    return this.#originOf(this.main);
  }

  #originOf(version: Version): Origin {
    const origin = this.#origins.get(version);
    if (origin === undefined) throw new RangeError(`version ${version.version} is none of ${this.name}`);
    return origin;
  }

  /** What the versions that serve depend on. */
  get dependsOn(): string[] {
    return this.needsOf(this.shares.map(({ version }) => version));
  }

  /** What some of its versions depend on. */
  needsOf(versions: readonly Version[]): string[] {
    return [...new Set(versions.flatMap((version) => this.#originOf(version).options.dependsOn ?? []))];
  }

  /** The version with the greatest share. */
  get main(): Version {
    const [first, ...others] = this.shares;
    if (first === undefined) throw new RangeError(`no version of ${this.name} serves`);
    return others.reduce((most, share) => (share.percent > most.percent ? share : most), first).version;
  }

  /** The version that serves a request; without one, the main one. */
  chosen(request: string | undefined): Version {
    return request === undefined || this.shares.length === 1 ? this.main : chooseShare(this.shares, this.name, request).version;
  }

  /** Name for the next version that nobody names. */
  nextVersion(): string {
    do this.#count++;
    while (this.versions.has(String(this.#count)));
    return String(this.#count);
  }

  /** Lets versions serve; gives those that served and are to go, since no more than `keep` of them stay. */
  serve(shares: readonly Served[], keep: number): Version[] {
    const serving = shares.map(({ version }) => version);
    // One that already serves keeps its place.
    const fresh = serving.filter((version) => !this.#serves(version));
    this.served = [...this.served.filter((version) => !fresh.includes(version)), ...fresh];
    // Which version serves a request must not depend on how the shares were written down.
    this.shares = shares.toSorted(({ version: a }, { version: b }) => (a.version < b.version ? -1 : 1));
    const resting = this.served.filter((version) => !serving.includes(version));
    const gone = resting.slice(0, Math.max(resting.length - keep, 0));
    for (const version of gone) this.drop(version);
    return gone;
  }

  #serves(version: Version): boolean {
    return this.shares.some((share) => share.version === version);
  }

  /** Forgets a version that does not serve. */
  drop(version: Version): void {
    this.versions.delete(version.version);
    this.served = this.served.filter((each) => each !== version);
  }

  /** The version that served before the last one came; undefined if there is none. */
  get earlier(): { readonly back: Version; readonly leaving: readonly Version[] } | undefined {
    const serving = this.shares.map(({ version }) => version);
    const last = this.served.findLastIndex((version) => serving.includes(version));
    const back = this.served[last - 1];
    if (back === undefined) return undefined;
    return { back, leaving: serving.filter((version) => version !== back) };
  }

  /** Notes what became of a version; once more when it goes on. */
  remember({ version, digest, history }: Version): void {
    const before = this.past.findLastIndex((each) => each.version === version);
    const others = this.past.filter((_, index) => index !== before);
    this.past = [...others, { version, digest, history }].slice(-MAX_PAST);
  }

  /** Its present part in the hooks: none while it is disabled. */
  rosterShares(): Share[] {
    if (!this.enabled) return [];
    return this.shares.flatMap(({ version: { seating }, percent }) => (seating === undefined ? [] : [{ seating, percent }]));
  }
}
