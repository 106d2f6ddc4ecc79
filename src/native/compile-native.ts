// Makes a plugin of an ES module or a Node-API addon. Neither has a sandbox: what runs is what the operator has allowed
// by path and digest, byte for byte.

import { extname } from "node:path";

import { MortiseError, isMortiseError, printable } from "../api/errors.ts";
import type { ExportTable } from "../abi/guest.ts";
import type { RunnerFactory } from "../host/runner.ts";
import { forget, watch } from "../wasm/deadlines.ts";
import { type NativeFile, checkGrants, readDigest, refused } from "./grants.ts";
import { checkAddon, loadAddon } from "./load-addon.ts";
import { loadModule } from "./load-module.ts";
import { nativeRunners } from "./native-runner.ts";
import type { NativeFunction, NativeOptions, NativeState } from "./options.ts";
import { readNativeFile } from "./read-file.ts";

type Kind = "module" | "addon";

/** Kinds by extension of the file. */
const KINDS: ReadonlyMap<string, Kind> = new Map([
  [".js", "module"],
  [".mjs", "module"],
  [".node", "addon"],
  [".so", "addon"],
  [".dylib", "addon"],
  [".dll", "addon"],
]);

/** True for a path that names a native plugin: by its extension. */
export function isNativePath(path: string): boolean {
  return KINDS.has(extname(path).toLowerCase());
}

/**
 * Reads a native plugin once, checks that exactly these bytes are allowed, and runs them: their top level, or their
 * initialiser. What they export as functions can be called.
 *
 * @param path an ES module (`.mjs`, `.js`) or a Node-API addon (`.node`, `.so`, `.dylib`, `.dll`)
 * @throws MortiseError MORTISE_NATIVE_REFUSED, with what would allow it, or why it cannot be loaded here;
 *   MORTISE_DIGEST_MISMATCH for other bytes than `options.digest`; MORTISE_SOURCE_NOT_FOUND, MORTISE_SOURCE_UNREADABLE or
 *   MORTISE_MODULE_LIMIT; MORTISE_INSTANCE_FAILED if its top level or initialiser throws; MORTISE_TIMEOUT if that takes
 *   longer than limits.initTimeoutMs, as far as it can be noticed
 */
export async function compileNative(path: string, options: NativeOptions): Promise<{ exports: ExportTable; runners: RunnerFactory; digest: string }> {
  const { state, allow } = options;
  const wanted = options.digest === undefined ? undefined : readDigest("digest", options.digest);
  const kind = KINDS.get(extname(path).toLowerCase());
  const file = await readNativeFile(path, state.limits.moduleBytes);
  if (kind === undefined) throw refused(file.path, `its name must end with one of ${[...KINDS.keys()].join(", ")}`);
  if (wanted !== undefined && wanted !== file.digest)
    throw new MortiseError("MORTISE_DIGEST_MISMATCH", { source: `"${printable(path)}"`, found: file.digest, wanted });
  // Before it is said how to allow it.
  if (kind === "addon") checkAddon(file);
  await checkGrants(file, allow);
  const exported = await load(kind, file, state);
  const { functions, others } = sortExports(exported);
  const callable = new Map(Array.from(functions.keys(), (name) => [name, "(input, context) => output"]));
  const config = Object.freeze(Object.assign(Object.create(null) as Record<string, string>, Object.fromEntries(state.config)));
  return { exports: { callable, others }, runners: nativeRunners({ state, functions, config }), digest: file.digest };
}

async function load(kind: Kind, file: NativeFile, state: NativeState): Promise<Readonly<Record<string, unknown>>> {
  try {
    return kind === "addon" ? loadAddon(file) : await inTime(loadModule(file), state);
  } catch (error) {
    if (isMortiseError(error)) throw error;
    const reason = printable(error instanceof Error ? `${error.name}: ${error.message}` : error);
    throw new MortiseError("MORTISE_INSTANCE_FAILED", { plugin: state.name, reason });
  }
}

/** Gives a module up whose top level waits for too long. */
function inTime<T>(loading: Promise<T>, { name, limits }: NativeState): Promise<T> {
  const limit = limits.initTimeoutMs;
  if (limit === Number.POSITIVE_INFINITY) return loading;
  return new Promise((resolve, reject) => {
    const deadline = {
      expiresAt: performance.now() + limit,
      expire: () => reject(new MortiseError("MORTISE_TIMEOUT", { plugin: name, function: "start", limit })),
    };
    watch(deadline);
    void loading.then(resolve, reject).finally(() => forget(deadline));
  });
}

/** Functions that can be called, and what else there is. */
function sortExports(exported: Readonly<Record<string, unknown>>): {
  readonly functions: ReadonlyMap<string, NativeFunction>;
  readonly others: ReadonlyMap<string, string>;
} {
  const functions = new Map<string, NativeFunction>();
  const others = new Map<string, string>();
  for (const name of Object.keys(exported)) {
    const value = exported[name];
    if (typeof value === "function") functions.set(name, value as NativeFunction);
    else others.set(name, `a value of type ${typeof value}`);
  }
  return { functions, others };
}
