// Watches the files that a gateway is made of, whose set may change with their content.

import { hash } from "node:crypto";
import { readFileSync } from "node:fs";

import type { Config } from "../../config/config.ts";
import { type FileWatch, watchFile } from "../../manager/watch.ts";

/** Files with the digests of what they hold; undefined for one that cannot be read. */
export type FileDigests = ReadonlyMap<string, string | undefined>;

/**
 * Files of a configuration, its texts and the providers, as they are now: to be asked for as soon as it has been read, so
 * that what changes while it is put to work is seen.
 *
 * @param withPlugins the plugins as well; those that are loaded are watched by their host
 */
export function filesOf({ documents, gateway, plugins }: Config, withPlugins: boolean = false): FileDigests {
  const texts = documents.flatMap(({ path }) => path ?? []);
  const sources = [...(gateway?.providers ?? []), ...(withPlugins ? plugins : [])].map(({ source }) => source);
  const paths = [...texts, ...sources.filter((source) => !/^[a-z][a-z0-9+.-]+:/i.test(source))];
  return new Map(paths.map((path) => [path, digestOf(path)]));
}

function digestOf(path: string): string | undefined {
  try {
    return hash("sha256", readFileSync(path));
  } catch {
    return undefined;
  }
}

/** Watches, none at first. */
export class FileWatches {
  readonly #watches = new Map<string, FileWatch>();
  readonly #onChange: (path: string) => Promise<void>;

  /** @param onChange is called with a file that has another content; what it throws is a defect */
  constructor(onChange: (path: string) => Promise<void>) {
    this.#onChange = onChange;
  }

  /** Watches these files from now on, and no others. */
  set(files: FileDigests): void {
    for (const [path, watch] of this.#watches) {
      if (files.has(path)) continue;
      watch.close();
      this.#watches.delete(path);
    }
    for (const [path, digest] of files)
      if (!this.#watches.has(path)) this.#watches.set(path, watchFile({ path, digest, onChange: () => this.#onChange(path) }));
  }

  close(): void {
    this.set(new Map());
  }
}
