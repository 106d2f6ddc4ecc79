// HeliosProxy's hooks, by every name that manifests call them.

/** Export of each name, in lower case. `custom_hook`, which HeliosProxy itself does not accept, is what the export is called. */
export const HELIOS_HOOKS: ReadonlyMap<string, string> = new Map([
  ["pre_query", "pre_query"],
  ["prequery", "pre_query"],
  ["post_query", "post_query"],
  ["postquery", "post_query"],
  ["authenticate", "authenticate"],
  ["auth", "authenticate"],
  ["authorize", "authorize"],
  ["route", "route"],
  ["routing", "route"],
  ["cache_get", "cache_get"],
  ["cacheget", "cache_get"],
  ["cache_set", "cache_set"],
  ["cacheset", "cache_set"],
  ["rewrite", "rewrite"],
  ["metrics", "metrics"],
  ["on_connect", "on_connect"],
  ["connect", "on_connect"],
  ["on_disconnect", "on_disconnect"],
  ["disconnect", "on_disconnect"],
  ["custom", "custom_hook"],
  ["custom_hook", "custom_hook"],
]);

/** The export that a manifest means, whatever its case; undefined if there is no such hook. */
export function heliosHook(name: string): string | undefined {
  return HELIOS_HOOKS.get(name.toLowerCase());
}
