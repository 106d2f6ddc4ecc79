// Which secrets the log hides: those in use, those that requests still end with after a reload, and those that were tried last.

import type { ServerLog } from "./log.ts";

/** The secrets of one configuration. */
export interface ConfigSecrets {
  /** Hides some more. */
  add(secrets: readonly string[]): void;
  /** The configuration is in use; gives what forgets those before it, once nothing uses them any more. */
  commit(): () => void;
}

/** Secrets of one server. */
export class HiddenSecrets {
  readonly #log: Pick<ServerLog, "hide">;
  readonly #lists = new Set<string[]>();
  /** Not in use, or not yet: why it cannot be is still to be said. */
  #tried: string[] | undefined;

  constructor(log: Pick<ServerLog, "hide">) {
    this.#log = log;
  }

  /** Hides the secrets of a configuration that is tried, besides those before; one that was tried in vain is forgotten. */
  begin(secrets: readonly string[]): ConfigSecrets {
    const own = [...secrets];
    if (this.#tried !== undefined) this.#lists.delete(this.#tried);
    this.#tried = own;
    this.#lists.add(own);
    this.#hide();
    return {
      add: (more) => {
        own.push(...more);
        this.#hide();
      },
      commit: () => {
        this.#tried = undefined;
        const former = [...this.#lists].filter((list) => list !== own);
        return () => {
          for (const list of former) this.#lists.delete(list);
          this.#hide();
        };
      },
    };
  }

  #hide(): void {
    this.#log.hide([...new Set([...this.#lists].flat())]);
  }
}
