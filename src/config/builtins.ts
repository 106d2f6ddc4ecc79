// Plugins that come with Mortise: a source `builtin:NAME` means their file.

import { fileURLToPath } from "node:url";

import { didYouMean } from "../api/near-names.ts";

const SCHEME = "builtin:";
const GUESTS = new URL("../../guests/", import.meta.url);

interface BuiltinProvider {
  /** Its file below guests/. */
  readonly file: string;
  /** Where its requests go unless `base_url` says otherwise. */
  readonly host?: string;
}

const PROVIDERS: Readonly<Record<string, BuiltinProvider>> = {
  openai: { file: "kits/prebuilt/provider-openai.wasm", host: "api.openai.com" },
  anthropic: { file: "kits/prebuilt/provider-anthropic.wasm", host: "api.anthropic.com" },
  google: { file: "kits/prebuilt/provider-google.wasm", host: "generativelanguage.googleapis.com" },
  echo: { file: "prebuilt/provider_echo.c.wasm" },
};

const PLUGINS: Readonly<Record<string, string>> = {
  pii: "prebuilt/gateway_pii.rs.wasm",
  guard: "prebuilt/gateway_guard.c.wasm",
  budget: "prebuilt/gateway_budget.ts.wasm",
  audit: "prebuilt/gateway_audit.ts.wasm",
  cache: "prebuilt/gateway_cache.ts.wasm",
  schema: "prebuilt/gateway_schema.rs.wasm",
};

/** Names that `builtin:` may be followed by. */
export const BUILTINS: { readonly provider: readonly string[]; readonly plugin: readonly string[] } = {
  provider: Object.keys(PROVIDERS),
  plugin: Object.keys(PLUGINS),
};

/** What comes with Mortise, by its source; undefined for any other source. `fault` follows the name of the place. */
export function builtinOf(
  source: string,
  kind: keyof typeof BUILTINS,
): { readonly path: string; readonly host?: string | undefined } | { readonly fault: string } | undefined {
  if (!source.startsWith(SCHEME)) return undefined;
  const name = source.slice(SCHEME.length);
  if (!BUILTINS[kind].includes(name)) {
    const known = BUILTINS[kind].map((each) => SCHEME + each);
    return { fault: `names no ${kind} that comes with Mortise; there are ${known.join(", ")}${didYouMean(source, known)}` };
  }
  if (kind === "plugin") return { path: pathOf(PLUGINS[name] ?? "") };
  const { file = "", host } = PROVIDERS[name] ?? {};
  return { path: pathOf(file), host };
}

/** `builtin:NAME` for the path of what comes with Mortise; undefined for any other. */
export function builtinNameOf(path: string): string | undefined {
  const files = [...Object.entries(PROVIDERS).map(([name, { file }]) => [name, file] as const), ...Object.entries(PLUGINS)];
  const found = files.find(([, file]) => pathOf(file) === path);
  return found === undefined ? undefined : SCHEME + found[0];
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(file, GUESTS));
}
