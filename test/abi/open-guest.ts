// Opens prebuilt guests for tests, with services that the whole test shares.

import { join } from "node:path";
import type { TestContext } from "node:test";

import { type Plugin, type PluginOptions, loadPlugin } from "../../src/index.ts";
import { type Services, createServices } from "../../src/services/create-services.ts";

const PREBUILT = join(import.meta.dirname, "..", "..", "guests", "prebuilt");

/** Opens a guest with every service granted; closed after the test. */
export async function openGuest(t: TestContext, guest: string, options: PluginOptions = {}): Promise<Plugin> {
  const services = options.services ?? openServices(t);
  const permissions = { kv: "read-write", cache: "read-write", clock: true, crypto: true, metrics: true } as const;
  const plugin = await loadPlugin(join(PREBUILT, `${guest}.wasm`), { permissions, ...options, services });
  t.after(() => plugin.close({ abort: true }));
  return plugin;
}

/** Services that are closed after the test. */
export function openServices(t: TestContext): Services {
  const services = createServices({ clock: () => 1_700_000_000_123 });
  t.after(() => services.close());
  return services;
}
