// What getInstance gives: the exports of the module as it was written, callable under the plugin's limits.

import { MortiseError } from "../api/errors.ts";
import type { Plugin as CorePlugin } from "../host/plugin.ts";
import type { ModuleFacts } from "./module-facts.ts";

/**
 * An instance with the original exports. Memories, tables and globals are those of the core's present instance; a function
 * makes a call of the plugin, at once and without input.
 *
 * @param explained gives an error the shape to throw it in
 */
export function instanceOf(core: CorePlugin, facts: ModuleFacts, explained: (error: unknown, fn: string) => unknown): WebAssembly.Instance {
  const exports: Record<string, unknown> = Object.create(null);
  for (const { name, kind } of facts.exports) {
    const value = kind === "function" ? caller(core, facts, name, explained) : facts.isMain ? core.exportedValue(name) : undefined;
    if (value !== undefined) exports[name] = value;
  }
  return Object.create(WebAssembly.Instance.prototype, { exports: { value: Object.freeze(exports), enumerable: true } }) as WebAssembly.Instance;
}

function caller(core: CorePlugin, { isMain }: ModuleFacts, name: string, explained: (error: unknown, fn: string) => unknown): () => number {
  return () => {
    try {
      if (!isMain) throw new MortiseError("MORTISE_UNKNOWN_FUNCTION", { plugin: core.name, function: name, hint: "" });
      core.callSync(name);
      return 0;
    } catch (error) {
      throw explained(error, name);
    }
  };
}
