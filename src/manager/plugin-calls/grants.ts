// What `permissions.call` grants: functions of plugins by name.

/** Whether a function of a plugin may be called. */
export type CallGrants = (plugin: string, fn: string) => boolean;

const ALL = "*";

/** Reads entries such as `geoip:lookup` and `geoip:*`; what follows the last colon is the function. */
export function readCallGrants(entries: readonly string[] = []): CallGrants {
  const granted = new Map<string, Set<string>>();
  for (const entry of entries) {
    const at = entry.lastIndexOf(":");
    const plugin = entry.slice(0, at);
    const functions = granted.get(plugin) ?? new Set<string>();
    granted.set(plugin, functions.add(entry.slice(at + 1)));
  }
  return (plugin, fn) => {
    const functions = granted.get(plugin);
    return functions !== undefined && (functions.has(fn) || functions.has(ALL));
  };
}
