// Keeps a server as its configuration says while it runs.

import type { Config } from "../../config/config.ts";
import type { ConfigProblem } from "../../config/problems.ts";
import { describeProblem } from "../config-command.ts";
import { toMortiseError } from "../failure.ts";
import { type FileDigests, FileWatches, filesOf } from "./file-watches.ts";
import type { ServerLog } from "./log.ts";
import type { RunningServer } from "./server.ts";
import type { Settings } from "./settings.ts";

/** What it is about. */
export interface LiveConfigParts {
  readonly settings: Settings;
  readonly config: Config;
  /** Of the configuration, as it was read. */
  readonly files: FileDigests;
  readonly server: RunningServer;
  readonly log: ServerLog;
}

/** Reloads when it is told to, and when files change. */
export class LiveConfig {
  readonly #parts: LiveConfigParts;
  readonly #watches: FileWatches;

  constructor(parts: LiveConfigParts) {
    this.#parts = parts;
    this.#watches = new FileWatches((path) => this.reload(`${path} has changed`, false));
    this.#watch(parts.files);
  }

  #watch(files: FileDigests): void {
    // Whether files are watched counts from the start, as it does for plugins.
    if (this.#parts.config.gateway?.watch === true) this.#watches.set(files);
  }

  /** Reads everything anew. What cannot be used changes nothing, and is logged. */
  async reload(why: string, all: boolean): Promise<void> {
    const { settings, server, log } = this.#parts;
    let config: Config | undefined;
    try {
      config = await settings.read();
      const files = filesOf(config);
      const { loaded, replaced, unloaded, later } = await server.reload(config, files, all);
      this.#watch(files);
      for (const warning of config.warnings) log.warn(describeProblem(warning));
      log.info({ why, ...named({ loaded, replaced, unloaded }) }, "took over the configuration");
      if (later.length > 0) log.warn({ keys: later.join(", ") }, "these count from the next start only");
    } catch (error) {
      // What it lacks may come later, as when files are copied one after the other.
      if (config !== undefined) this.#watch(filesOf(config, true));
      const { code, message, details } = toMortiseError(error);
      const { problems = [] } = details as { readonly problems?: readonly ConfigProblem[] };
      log.error({ why, code }, `everything goes on as it was: ${message}`);
      for (const problem of problems.slice(1)) log.error(describeProblem(problem));
    }
  }

  close(): void {
    this.#watches.close();
  }
}

/** Lists that are not empty. */
function named(lists: Readonly<Record<string, readonly string[]>>): Record<string, string> {
  return Object.fromEntries(Object.entries(lists).flatMap(([name, list]) => (list.length === 0 ? [] : [[name, list.join(", ")]])));
}
